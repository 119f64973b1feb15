"""What is measured of endpoints and inference components, against AWS's documentation."""

from __future__ import annotations

import inspect
import tomllib
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_cloudwatch as cloudwatch

from sm_constructs import InvalidPropsError
from sm_constructs.endpoint import Endpoint, EndpointBase, InferenceComponent, RealTime
from sm_constructs.endpoint.metrics import COMPONENT_METRICS, CONTAINER_METRICS, METRICS, Publisher
from tests.synth.endpoint.making import REAL_TIME, SERVERLESS, endpoint_in, model_in, pipeline_in, queue_in

TABLES: list[dict[str, Any]] = tomllib.loads(Path(__file__).with_name("metrics.toml").read_text())["table"]
PUBLISHERS = {
    "real-time": Publisher.REAL_TIME,
    "serverless": Publisher.SERVERLESS,
    "asynchronous": Publisher.ASYNCHRONOUS,
    "component": Publisher.COMPONENT,
    "container": Publisher.CONTAINER,
}
DOCUMENTED = [
    pytest.param(publisher, table, metric, id=f"{publisher}-{metric['name']}")
    for table in TABLES
    for publisher in table["publishers"]
    for metric in table["metrics"]
]


def endpoint_of_kind(stack: cdk.Stack, publisher: str) -> Endpoint:
    match publisher:
        case "serverless":
            return endpoint_in(stack, SERVERLESS)
        case "asynchronous":
            return endpoint_in(stack, queue_in(stack))
        case _:
            return endpoint_in(stack)


def pipeline_endpoint_in(stack: cdk.Stack, **arguments: Any) -> Endpoint:
    return Endpoint(stack, "Pipeline", model=pipeline_in(stack, "Steps", **arguments), variant=REAL_TIME)


def component_in(stack: cdk.Stack) -> InferenceComponent:
    host = Endpoint(stack, "Host", variant=RealTime(instance_type="ml.m5.large", instance_count=1))
    return InferenceComponent(stack, "Component", endpoint=host, model=model_in(stack), memory_size_mb=512)


@pytest.mark.parametrize(("publisher", "table", "metric"), DOCUMENTED)
def test_a_documented_metric_comes_with_its_namespace_dimensions_and_a_valid_statistic(
    stack: cdk.Stack, publisher: str, table: dict[str, Any], metric: dict[str, Any]
) -> None:
    made: cloudwatch.Metric
    if publisher == "component":
        component, known = component_in(stack), COMPONENT_METRICS
        made = component.metric(metric["name"])
        values = {"InferenceComponentName": component.inference_component_name}
    elif publisher == "container":
        endpoint, known = pipeline_endpoint_in(stack), CONTAINER_METRICS
        made = endpoint.metric(metric["name"], container_name="words")
        values = {"EndpointName": endpoint.endpoint_name, "VariantName": "AllTraffic", "ContainerName": "words"}
    else:
        endpoint, known = endpoint_of_kind(stack, publisher), METRICS
        made = endpoint.metric(metric["name"])
        values = {"EndpointName": endpoint.endpoint_name, "VariantName": "AllTraffic"}

    assert made.namespace == table["namespace"]
    assert made.dimensions == {name: values[name] for name in table["dimensions"]}
    assert made.statistic in metric.get("statistics", ["Average"])
    assert made.period.to_seconds() == 60
    assert known[metric["name"]].unit == metric.get("unit")


def test_the_library_knows_no_metric_that_is_not_documented() -> None:
    documented = {
        (metric["name"], publisher)
        for table in TABLES
        for publisher in table["publishers"]
        for metric in table["metrics"]
    }
    known = {
        (metric.name, name)
        for metric in (*METRICS.values(), *COMPONENT_METRICS.values(), *CONTAINER_METRICS.values())
        for name, publisher in PUBLISHERS.items()
        if metric.publishers & publisher
    }

    assert known == documented


@pytest.mark.parametrize(
    ("publisher", "name"),
    [
        ("asynchronous", "Invocations"),
        ("asynchronous", "InvocationsPerInstance"),
        ("asynchronous", "OverheadLatency"),
        ("serverless", "CPUUtilization"),
        ("real-time", "ModelSetupTime"),
        ("real-time", "ApproximateBacklogSize"),
    ],
)
def test_a_metric_that_the_variant_does_not_publish_is_refused(stack: cdk.Stack, publisher: str, name: str) -> None:
    endpoint = endpoint_of_kind(stack, publisher)

    with pytest.raises(InvalidPropsError) as raised:
        endpoint.metric(name)

    assert raised.value.problems == (f"metric_name is '{name}': SageMaker publishes it for no {publisher} variant",)


@pytest.mark.parametrize(
    ("metric_name", "container_name", "problem"),
    [
        (
            "ContainerLatency",
            None,
            "metric_name is 'ContainerLatency': SageMaker publishes it for single containers: pass container_name",
        ),
        (
            "ModelLatency",
            "words",
            "metric_name is 'ModelLatency': SageMaker publishes it for no container: leave container_name out",
        ),
        ("Invocations", "letters", "container_name is 'letters': must be one of 'words', 'labels'"),
    ],
)
def test_a_metric_that_no_container_publishes_is_refused(
    stack: cdk.Stack, metric_name: str, container_name: str | None, problem: str
) -> None:
    endpoint = pipeline_endpoint_in(stack)

    with pytest.raises(InvalidPropsError) as raised:
        endpoint.metric(metric_name, container_name=container_name)

    assert raised.value.problems == (problem,)


def test_a_single_container_is_not_measured_by_itself(stack: cdk.Stack) -> None:
    with pytest.raises(InvalidPropsError, match="container_name is 'primary': there is only one: leave it out"):
        endpoint_in(stack).metric("Invocations", container_name="primary")


@pytest.mark.parametrize("kind", ["imported", "named by SageMaker", "named at deployment"])
def test_containers_whose_names_are_not_known_are_let_through(stack: cdk.Stack, kind: str) -> None:
    endpoint: EndpointBase
    match kind:
        case "imported":
            endpoint = Endpoint.from_endpoint_name(stack, "Theirs", "reviews")
        case "named by SageMaker":
            endpoint = pipeline_endpoint_in(stack, hostnames=(None, None))
        case _:
            endpoint = pipeline_endpoint_in(stack, hostnames=(cdk.Fn.import_value("First"), "labels"))

    metric = endpoint.metric("ContainerLatency", container_name="container-1")

    assert metric.dimensions == {
        "EndpointName": endpoint.endpoint_name,
        "VariantName": "AllTraffic",
        "ContainerName": "container-1",
    }


METHODS = sorted(name for name in dir(EndpointBase) if name.startswith("metric_"))


@pytest.mark.parametrize("method", METHODS)
def test_each_method_gives_a_metric_that_is_documented(stack: cdk.Stack, method: str) -> None:
    endpoint = Endpoint.from_endpoint_name(stack, "Endpoint", "reviews", variant_names=["blue", "green"])

    metric: cloudwatch.Metric = getattr(endpoint, method)()

    assert method.removeprefix("metric_").replace("_", "") == metric.metric_name.lower()
    documented = METRICS[metric.metric_name]
    assert (metric.namespace, metric.statistic) == (documented.namespace, documented.statistic)
    values = {"EndpointName": "reviews", "VariantName": "blue"}
    assert metric.dimensions == {name: values[name] for name in documented.scope.value}


@pytest.mark.parametrize("method", METHODS)
def test_statistic_period_and_variant_of_a_metric_can_be_chosen(stack: cdk.Stack, method: str) -> None:
    endpoint = Endpoint.from_endpoint_name(stack, "Endpoint", "reviews", variant_names=["blue", "green"])
    function = getattr(endpoint, method)
    chosen = {"statistic": "Minimum", "period": cdk.Duration.minutes(5), "variant_name": "green"}
    taken = {name: value for name, value in chosen.items() if name in inspect.signature(function).parameters}

    metric: cloudwatch.Metric = function(**taken)

    assert metric.period.to_seconds() == 300
    assert metric.statistic == taken.get("statistic", "Sum")
    assert metric.dimensions is not None
    assert metric.dimensions.get("VariantName") == taken.get("variant_name")


def test_any_other_metric_can_be_had_by_its_name(stack: cdk.Stack) -> None:
    endpoint = endpoint_in(stack)

    metric = endpoint.metric("FirstChunkLatency", statistic="p99", period=cdk.Duration.seconds(10))

    assert (metric.namespace, metric.metric_name, metric.statistic) == ("AWS/SageMaker", "FirstChunkLatency", "p99")
    assert metric.dimensions == {"EndpointName": endpoint.endpoint_name, "VariantName": "AllTraffic"}
