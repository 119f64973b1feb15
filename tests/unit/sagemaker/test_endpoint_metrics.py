"""Endpoint metrics, against AWS's documentation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import nullcontext

import pytest

from sm_constructs.endpoint import metrics as offered
from sm_local.sagemaker import metrics
from sm_local.sagemaker.containers import DirectContainers, Measured, Pipeline
from sm_local.sagemaker.errors import NoAnswerError
from sm_local.sagemaker.measuring import measured
from sm_local.sagemaker.messages import Answer, Invocation
from sm_local.sagemaker.metrics import Publisher
from tests.unit.sagemaker.recording import Model, RecordingSink

# Copied by hand from the pages that sm_local/sagemaker/metrics.py names.
EXHAUSTIVE_ASYNCHRONOUS = {
    "Invocation4XXErrors": "None",
    "Invocation5XXErrors": "None",
    "ModelLatency": "Microseconds",
    "RequestDownloadFailures": "Count",
    "ResponseUploadFailures": "Count",
    "NotificationFailures": "Count",
    "RequestDownloadLatency": "Microseconds",
    "ResponseUploadLatency": "Microseconds",
    "ExpiredRequests": "Count",
    "InvocationFailures": "Count",
    "InvocationsProcessed": "Count",
    "TimeInBacklog": "Microseconds",
    "TotalProcessingTime": "Milliseconds",
}
SERVERLESS_HAS = {"Invocation4XXErrors", "Invocation5XXErrors", "Invocations", "ModelLatency", "ModelSetupTime",
                  "OverheadLatency", "ServerlessConcurrentExecutionsUtilization"}  # fmt: skip


def test_asynchronous_endpoints_publish_what_is_documented_and_nothing_else() -> None:
    assert dict(metrics.ASYNCHRONOUS) == EXHAUSTIVE_ASYNCHRONOUS
    assert not metrics.ASYNCHRONOUS.keys() & {"Invocations", "InvocationsPerInstance", "OverheadLatency"}


@pytest.mark.parametrize(
    ("publisher", "tables"),
    [
        (
            offered.Publisher.REAL_TIME,
            [metrics.REAL_TIME, metrics.MULTI_MODEL, metrics.INSTANCES],
        ),
        (offered.Publisher.SERVERLESS, [metrics.SERVERLESS, metrics.SERVERLESS_COMPUTE]),
        (offered.Publisher.ASYNCHRONOUS, [metrics.ASYNCHRONOUS, metrics.BACKLOG, metrics.INSTANCES]),
    ],
)
def test_what_the_constructs_offer_is_published_in_the_same_unit(
    publisher: offered.Publisher, tables: list[Mapping[str, str]]
) -> None:
    published = {name: unit for table in tables for name, unit in table.items()}
    wanted = {
        name: metric
        for name, metric in offered.METRICS.items()
        if publisher in metric.publishers and not re.search("GPU|Reservation|Normalized", name)
    }
    assert wanted.keys() - published.keys() == set()
    assert {name for name in published if name in wanted and wanted[name].unit not in (None, published[name])} == set()


def test_serverless_endpoints_publish_what_is_documented_and_nothing_per_instance() -> None:
    assert metrics.SERVERLESS.keys() >= SERVERLESS_HAS
    assert not metrics.SERVERLESS.keys() & {"InvocationsPerInstance", "InvocationModelErrors"}


@pytest.mark.parametrize(
    "table", [metrics.REAL_TIME, metrics.SERVERLESS, metrics.ASYNCHRONOUS, metrics.COMPONENT, metrics.MULTI_MODEL]
)
def test_latencies_are_in_microseconds_and_errors_have_no_unit(table: Mapping[str, str]) -> None:
    for name, unit in table.items():
        if "Latency" in name or (name.endswith("Time") and name != "TotalProcessingTime"):
            assert unit == "Microseconds", name
        if name.startswith("Invocation") and name.endswith("Errors"):
            assert unit == "None", name


def publish(units: Mapping[str, str], status: int = 200) -> RecordingSink:
    sink = RecordingSink()
    publisher = Publisher(sink, units, ({"EndpointName": "e", "VariantName": "v"},))
    further = {"InvocationsPerInstance": 0.5, "ConcurrentRequestsPerModel": 1}
    measured(nullcontext(Model(status=status)), Invocation(body=b""), [publisher], further)
    return sink


@pytest.mark.parametrize(("status", "errors"), [(200, (0, 0, 0)), (400, (1, 0, 1)), (503, (0, 1, 1)), (302, (0, 0, 1))])
def test_every_call_publishes_each_metric_of_its_kind_once(status: int, errors: tuple[int, int, int]) -> None:
    sink = publish(metrics.REAL_TIME, status)
    names = [name for _, name, *_ in sink.values]
    assert sorted(names) == sorted(metrics.REAL_TIME)
    assert sink.of("Invocations") == [1]
    assert sink.of("InvocationsPerInstance") == [0.5]
    found = [sink.of(name)[0] for name in ("Invocation4XXErrors", "Invocation5XXErrors", "InvocationModelErrors")]
    assert tuple(found) == errors
    assert all(published == "AWS/SageMaker" for published, *_ in sink.values)


def test_what_is_not_of_the_kind_is_left_out() -> None:
    assert {name for _, name, *_ in publish(metrics.ASYNCHRONOUS).values} == {
        "Invocation4XXErrors",
        "Invocation5XXErrors",
        "ModelLatency",
    }


def test_a_model_that_does_not_answer_is_a_model_error() -> None:
    class Silent(Model):
        def invoke(self, _invocation: Invocation) -> Answer:
            raise NoAnswerError("primary", "gone")

    sink = RecordingSink()
    with pytest.raises(NoAnswerError):
        measured(nullcontext(Silent()), Invocation(body=b""), [Publisher(sink, metrics.REAL_TIME, ({},))], {})
    assert (sink.of("InvocationModelErrors"), sink.of("Invocation5XXErrors")) == ([1], [0])


def containers(sink: RecordingSink, *models: Model) -> list[Measured]:
    return [
        Measured(model, name, Publisher(sink, metrics.CONTAINER, ({"ContainerName": name},)))
        for name, model in zip(("words", "labels"), models, strict=True)
    ]


def test_each_container_of_a_pipeline_is_measured_by_itself() -> None:
    sink = RecordingSink()

    Pipeline(containers(sink, Model(), Model(status=503))).invoke(Invocation(body=b""))

    found = [(name, dimensions["ContainerName"], value) for _, name, dimensions, value, _ in sink.values]
    assert {each[:2] for each in found} == {(name, one) for name in metrics.CONTAINER for one in ("words", "labels")}
    assert {each for each in found if each[0] != "ContainerLatency"} == {
        ("Invocations", "words", 1),
        ("Invocation4XXErrors", "words", 0),
        ("Invocation5XXErrors", "words", 0),
        ("Invocations", "labels", 1),
        ("Invocation4XXErrors", "labels", 0),
        ("Invocation5XXErrors", "labels", 1),
    }
    units = {name: unit for _, name, _, _, unit in sink.values}
    assert units == {name: offered.CONTAINER_METRICS[name].unit for name in units}


def test_only_the_container_that_is_called_is_measured() -> None:
    sink = RecordingSink()

    DirectContainers(containers(sink, Model(), Model())).invoke(Invocation(body=b"", target_container="labels"))

    assert {dimensions["ContainerName"] for _, _, dimensions, _, _ in sink.values} == {"labels"}


def test_times_are_published_in_the_metrics_own_unit() -> None:
    sink = RecordingSink()
    publisher = Publisher(sink, metrics.ASYNCHRONOUS, ({},))
    publisher.put_seconds("ModelLatency", 0.25)
    publisher.put_seconds("TotalProcessingTime", 0.25)
    assert [(value, unit) for *_, value, unit in sink.values] == [(250_000, "Microseconds"), (250, "Milliseconds")]


def test_every_set_of_dimensions_gets_the_value() -> None:
    sink = RecordingSink()
    Publisher(sink, metrics.REAL_TIME, ({"A": "1"}, {"A": "1", "B": "2"})).put("Invocations", 1)
    assert [dimensions for _, _, dimensions, _, _ in sink.values] == [{"A": "1"}, {"A": "1", "B": "2"}]
