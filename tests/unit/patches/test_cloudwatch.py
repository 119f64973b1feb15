"""Patches of CloudWatch."""

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any
from unittest import mock

import pytest
from ministack.services import (
    cloudwatch,
    eventbridge,
)
from ministack.services.cloudformation import provisioners

from sm_local import patches

_ALARM_ARN = "arn:aws:cloudwatch:us-east-1:000000000000:alarm:"
_ALARM = {
    "AlarmName": "errors",
    "Namespace": "N",
    "MetricName": "M",
    "Dimensions": [{"Name": "EndpointName", "Value": "mine"}],
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 2,
    "Threshold": 1,
    "ComparisonOperator": "GreaterThanOrEqualToThreshold",
}
_MATH = {
    "AlarmName": "rate",
    "EvaluationPeriods": 1,
    "Threshold": 1,
    "ComparisonOperator": "GreaterThanThreshold",
    "EvaluateLowSampleCountPercentile": "ignore",
    "Metrics": [
        {
            "Id": "m1",
            "MetricStat": {"Metric": {"Namespace": "N", "MetricName": "M"}, "Period": 60, "Stat": "Sum"},
            "ReturnData": False,
        },
        {"Id": "e1", "Expression": "m1 * 2", "ReturnData": True},
    ],
}


def _cloudwatch(operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """Call MiniStack's CloudWatch over its JSON protocol; return the answer, or the error with its status."""
    headers = {
        "content-type": "application/x-amz-json-1.0",
        "x-amz-target": f"GraniteServiceVersion20100801.{operation}",
    }
    status, _headers, body = asyncio.run(
        cloudwatch.handle_request("POST", "/", headers, json.dumps(request).encode(), {})
    )
    answer: dict[str, Any] = json.loads(body)
    return answer if status == 200 else {**answer, "status": status}


def _state(name: str) -> str:
    state: str = patches.cloudwatch.alarm_state(name)
    return state


def test_an_alarm_is_not_fired_by_the_data_of_another_dimension() -> None:
    def state_after_data_of_another() -> str:
        _cloudwatch("PutMetricAlarm", _ALARM)
        datum = {"MetricName": "M", "Value": 5, "Dimensions": [{"Name": "EndpointName", "Value": "other"}]}
        _cloudwatch("PutMetricData", {"Namespace": "N", "MetricData": [datum]})
        state = _state("errors")
        cloudwatch.reset()
        return state

    assert state_after_data_of_another() == "ALARM"

    patches.cloudwatch.let_us_evaluate_alarms()

    assert state_after_data_of_another() == "INSUFFICIENT_DATA"


def test_an_alarm_keeps_its_metric_math() -> None:
    _cloudwatch("PutMetricAlarm", _MATH)
    (alarm,) = _cloudwatch("DescribeAlarms", {})["MetricAlarms"]
    assert "Metrics" not in alarm
    assert "EvaluateLowSampleCountPercentile" not in alarm

    patches.cloudwatch.keep_alarms_whole(mock.Mock())

    _cloudwatch("PutMetricAlarm", _MATH)
    (alarm,) = _cloudwatch("DescribeAlarms", {})["MetricAlarms"]
    assert alarm["Metrics"] == _MATH["Metrics"]
    assert alarm["EvaluateLowSampleCountPercentile"] == "ignore"
    assert "MetricName" not in alarm
    assert "Period" not in alarm


def test_an_alarm_keeps_its_metric_math_over_the_query_protocol() -> None:
    patches.cloudwatch.keep_alarms_whole(mock.Mock())
    query = {
        "Action": ["PutMetricAlarm"],
        "AlarmName": ["rate"],
        "Metrics.member.1.Id": ["m1"],
        "Metrics.member.1.ReturnData": ["true"],
    }
    status, _headers, _body = asyncio.run(cloudwatch.handle_request("POST", "/", {}, b"", query))
    assert status == 200
    assert cloudwatch._alarms["rate"]["Metrics"] == [{"Id": "m1", "ReturnData": "true"}]


def test_a_template_may_have_metric_math() -> None:
    create = provisioners._RESOURCE_HANDLERS["AWS::CloudWatch::Alarm"]["create"]
    with pytest.raises(ValueError, match="metric math"):
        create("Rate", _MATH, "stack")

    patches.cloudwatch.keep_alarms_whole(mock.Mock())

    assert create("Rate", _MATH, "stack") == ("rate", {"Arn": f"{_ALARM_ARN}rate"})
    assert cloudwatch._alarms["rate"]["Metrics"] == _MATH["Metrics"]
    assert "MetricName" not in cloudwatch._alarms["rate"]


def test_an_alarm_that_cannot_be_evaluated_is_refused() -> None:
    create = provisioners._RESOURCE_HANDLERS["AWS::CloudWatch::Alarm"]["create"]
    assert "status" not in _cloudwatch("PutMetricAlarm", {**_ALARM, "DatapointsToAlarm": 3})

    patches.cloudwatch.keep_alarms_whole(mock.Mock(side_effect=ValueError("the reason")))
    cloudwatch.reset()

    refusal = _cloudwatch("PutMetricAlarm", {**_ALARM, "DatapointsToAlarm": 3})
    assert refusal == {"__type": "ValidationError", "message": "the reason", "status": 400}
    with pytest.raises(ValueError, match="the reason"):
        create("Errors", _ALARM, "stack")
    assert not cloudwatch._alarms


def test_suppression_is_refused() -> None:
    composite = {
        "AlarmName": "both",
        "AlarmRule": "TRUE",
        "ActionsSuppressor": "other",
        "ActionsSuppressorWaitPeriod": 60,
        "ActionsSuppressorExtensionPeriod": 60,
    }
    assert "status" not in _cloudwatch("PutCompositeAlarm", composite)

    patches.cloudwatch.refuse_suppressed_composite_alarms()

    refusal = _cloudwatch("PutCompositeAlarm", composite)
    assert refusal["message"] == "ActionsSuppressor is not supported by the local AWS"
    assert "status" not in _cloudwatch("PutCompositeAlarm", {"AlarmName": "both", "AlarmRule": "FALSE"})


def test_a_stack_may_have_a_composite_alarm() -> None:
    assert "AWS::CloudWatch::CompositeAlarm" not in provisioners._RESOURCE_HANDLERS

    patches.cloudwatch.add_composite_alarms()

    handlers = provisioners._RESOURCE_HANDLERS["AWS::CloudWatch::CompositeAlarm"]
    _cloudwatch("PutMetricAlarm", _ALARM)
    tags = [{"Key": "team", "Value": "nlp"}]
    properties = {"AlarmRule": f'ALARM("{_ALARM_ARN}errors")', "ActionsEnabled": "false", "Tags": tags}
    name, attributes = handlers["create"]("Both", properties, "stack")
    assert name.startswith("stack-Both-")
    assert attributes == {"Arn": _ALARM_ARN + name}
    assert _state(name) == "OK"
    assert cloudwatch._composite_alarms[name]["ActionsEnabled"] is False
    assert _cloudwatch("ListTagsForResource", {"ResourceARN": attributes["Arn"]})["Tags"] == tags

    assert handlers["update"](name, properties, {"AlarmRule": "TRUE"}, "stack", "Both") == (name, attributes)
    assert _state(name) == "ALARM"
    assert _cloudwatch("ListTagsForResource", {"ResourceARN": attributes["Arn"]})["Tags"] == []
    renamed, _ = handlers["update"](name, {}, {"AlarmRule": "TRUE", "AlarmName": "other"}, "stack", "Both")
    assert renamed == "other"

    handlers["delete"](name, {})
    assert name not in cloudwatch._composite_alarms


def test_a_composite_alarm_of_alarms_that_do_not_exist_fails_the_stack() -> None:
    patches.cloudwatch.add_composite_alarms()
    create = provisioners._RESOURCE_HANDLERS["AWS::CloudWatch::CompositeAlarm"]["create"]
    with pytest.raises(ValueError, match=r"alarms \[.*:alarm:none\] in the alarm rule do not exist"):
        create("Both", {"AlarmRule": "ALARM(none)"}, "stack")


def test_eventbridge_is_told_of_a_new_state() -> None:
    def events() -> list[dict[str, Any]]:
        _cloudwatch("PutMetricAlarm", _ALARM)
        with mock.patch.object(eventbridge, "_dispatch_event") as dispatch:
            _cloudwatch("SetAlarmState", {"AlarmName": "errors", "StateValue": "ALARM", "StateReason": "tried"})
        cloudwatch.reset()
        return [call.args[0] for call in dispatch.call_args_list]

    assert events() == []

    patches.cloudwatch.tell_eventbridge_of_alarms()

    (event,) = events()
    assert (event["Source"], event["DetailType"]) == ("aws.cloudwatch", "CloudWatch Alarm State Change")
    assert event["Resources"] == [f"{_ALARM_ARN}errors"]
    detail = json.loads(event["Detail"])
    assert detail["alarmName"] == "errors"
    assert detail["state"]["value"] == "ALARM"
    assert detail["state"]["reason"] == "tried"
    assert detail["previousState"]["value"] == "INSUFFICIENT_DATA"


def _put(value: float, timestamp: float) -> None:
    patches.cloudwatch.put_datapoint("N", "M", {"D": "v"}, value, "Count", timestamp, lambda one, other: one == other)


def test_datapoints_are_not_copied_at_every_request() -> None:
    def is_kept_in_place() -> bool:
        _put(1, time.time())
        (points,) = cloudwatch._metrics.values()
        _cloudwatch("ListMetrics", {})
        (points_later,) = cloudwatch._metrics.values()
        return points is points_later

    assert not is_kept_in_place()

    patches.cloudwatch.keep_datapoints_of_other_threads()

    assert is_kept_in_place()


def test_datapoints_of_more_than_two_weeks_ago_are_dropped() -> None:
    patches.cloudwatch.keep_datapoints_of_other_threads()
    now, weeks = time.time(), 7 * 24 * 3600
    for value, age in ((1, 3 * weeks), (2, 2.1 * weeks), (3, 1.9 * weeks)):
        _put(value, now - age)
    _cloudwatch("ListMetrics", {})
    assert [point["Value"] for (points) in cloudwatch._metrics.values() for point in points] == [3]
    cloudwatch._metrics.clear()
    _put(1, now - 3 * weeks)
    assert _cloudwatch("ListMetrics", {})["Metrics"] == []


def test_equal_values_of_the_same_time_are_stored_once_and_counted() -> None:
    for value, timestamp in ((1, 0), (1, 0), (2, 0), (1, 0), (1, 5)):
        _put(value, timestamp)
    (points,) = cloudwatch._metrics.values()
    assert [(point["Value"], point.get("Count", 1)) for point in points] == [(1, 2), (2, 1), (1, 1), (1, 1)]
    key = patches.cloudwatch.AlarmKey("000000000000", "us-east-1", "any")
    stored = list(patches.cloudwatch.datapoints(key, "N", "M", {"D": "v"}, since=0))
    assert stored[0] == patches.cloudwatch.StoredDatapoint(0, "Count", (2, 2, 1, 1))
    assert [point.timestamp for point in patches.cloudwatch.datapoints(key, "N", "M", {"D": "v"}, since=1)] == [5]
    assert list(patches.cloudwatch.datapoints(key, "N", "M", {}, since=0)) == []
    assert list(patches.cloudwatch.datapoints(key._replace(region="eu-west-1"), "N", "M", {"D": "v"}, since=0)) == []


def test_a_value_after_an_equal_statistic_set_is_stored_by_itself() -> None:
    datum = {"MetricName": "M", "Timestamp": 7, "Unit": "Count", "Dimensions": [{"Name": "D", "Value": "v"}]}
    values = {"SampleCount": 2, "Sum": 2, "Minimum": 0, "Maximum": 2}
    _cloudwatch("PutMetricData", {"Namespace": "N", "MetricData": [{**datum, "StatisticValues": values}]})
    _put(1, 7)
    (points,) = cloudwatch._metrics.values()
    assert len(points) == 2


def test_only_alarms_that_exist_have_a_state() -> None:
    with pytest.raises(KeyError):
        patches.cloudwatch.alarm_state("none")
