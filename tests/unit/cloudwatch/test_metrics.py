"""Metrics of the local AWS itself."""

from __future__ import annotations

import asyncio
import json
import math
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest import mock

import pytest
from ministack.services import cloudwatch

from sm_local import patches
from sm_local.clock import Clock
from sm_local.cloudwatch.metrics import Metrics
from tests.unit.cloudwatch.conftest import START, Wall

_DIMENSIONS = {"VariantName": "v", "EndpointName": "e"}


def _stored() -> list[tuple[float, float, float]]:
    (points,) = cloudwatch._metrics.values()
    return [(point["Timestamp"] - START, point["Value"], point.get("Count", 1)) for point in points]


def test_a_value_is_stored_as_ministack_stores_it(wall: Wall) -> None:
    Metrics(Clock()).put("AWS/SageMaker", "ModelLatency", _DIMENSIONS, 1500, "Microseconds")
    key = ("AWS/SageMaker", "ModelLatency", "EndpointName=e|VariantName=v")
    stored = {"Timestamp": wall.now, "Value": 1500, "Unit": "Microseconds", "Dimensions": _DIMENSIONS}
    assert cloudwatch._metrics[key] == [stored]


def test_equal_values_within_a_second_are_stored_together(wall: Wall) -> None:
    metrics = Metrics(Clock())
    for later in (0, 0.4, 0.9, 1.0):
        wall.now = START + later
        metrics.put("N", "M", {}, 1)
    assert _stored() == [(0, 1, 3), (1, 1, 1)]


def test_it_is_the_virtual_second_that_counts(wall: Wall) -> None:
    metrics = Metrics(Clock(scale=10, origin=START))
    for later in (0, 0.05, 0.15, 0.18):
        wall.now = START + later
        metrics.put("N", "M", {}, 1)
    assert [count for _, _, count in _stored()] == [2, 2]


def test_values_of_many_threads_are_stored_one_after_the_other() -> None:
    metrics, under_way, most = Metrics(Clock()), 0, 0

    def store(*_: object) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        time.sleep(0.001)
        under_way -= 1

    with mock.patch.object(patches.cloudwatch, "put_datapoint", store), ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: metrics.put("N", "M", {}, 1), range(50)))
    assert most == 1


def _ask(operation: str, request: dict[str, Any]) -> dict[str, Any]:
    headers = {"content-type": "application/x-amz-json-1.0", "x-amz-target": f"CloudWatch.{operation}"}
    status, _, body = asyncio.run(cloudwatch.handle_request("POST", "/", headers, json.dumps(request).encode(), {}))
    assert status == 200
    answer: dict[str, Any] = json.loads(body)
    return answer


def test_they_are_read_as_any_other_metric(wall: Wall) -> None:
    metrics = Metrics(Clock(origin=START))
    for value in (100, 100, 400):
        metrics.put("AWS/SageMaker", "ModelLatency", _DIMENSIONS, value, "Microseconds")
    dimensions = [{"Name": name, "Value": value} for name, value in _DIMENSIONS.items()]
    metric = {"Namespace": "AWS/SageMaker", "MetricName": "ModelLatency", "Dimensions": dimensions}
    asked = {"StartTime": wall.now - 60, "EndTime": wall.now + 60}

    (listed,) = _ask("ListMetrics", {"Namespace": "AWS/SageMaker"})["Metrics"]
    assert (listed["MetricName"], listed["Dimensions"]) == ("ModelLatency", dimensions)
    statistics = {"Period": 60, "Statistics": ["SampleCount", "Average", "Maximum"]}
    (datapoint,) = _ask("GetMetricStatistics", {**metric, **asked, **statistics})["Datapoints"]
    assert (datapoint["SampleCount"], datapoint["Average"], datapoint["Maximum"]) == (3, 200, 400)
    assert datapoint["Unit"] == "Microseconds"
    query = {"Id": "m", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "p50"}}
    (result,) = _ask("GetMetricData", {"MetricDataQueries": [query], **asked})["MetricDataResults"]
    assert result["Values"] == [100]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_no_number_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="N M: a datapoint must be a finite number"):
        Metrics(Clock()).put("N", "M", {}, value)
