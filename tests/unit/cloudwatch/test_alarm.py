"""Alarms are read as CloudWatch's API and CloudFormation write them; what cannot be evaluated is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from sm_local.cloudwatch.alarm import Alarm, InvalidAlarmError, Metric, Rule, read_alarm

_DEFINITION = {
    "Namespace": "AWS/SageMaker",
    "MetricName": "Invocation5XXErrors",
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 3,
    "Threshold": 1.5,
    "ComparisonOperator": "GreaterThanThreshold",
}


def _query(name: str, **changes: Any) -> dict[str, Any]:
    metric = {"Namespace": "N", "MetricName": name, "Dimensions": [{"Name": "D", "Value": "v"}]}
    return {"Id": name, "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}, "ReturnData": False, **changes}


def _math(*queries: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: _DEFINITION[name] for name in ("EvaluationPeriods", "Threshold", "ComparisonOperator")}
    return {**kept, "Metrics": list(queries)}


def test_an_alarm_on_one_metric() -> None:
    dimensions = [{"Name": "EndpointName", "Value": "e"}, {"Name": "VariantName", "Value": "v"}]
    alarm = read_alarm(
        {
            **_DEFINITION,
            "Dimensions": dimensions,
            "DatapointsToAlarm": 2,
            "TreatMissingData": "notBreaching",
            "Unit": "None",
            "EvaluateLowSampleCountPercentile": "ignore",
        }
    )
    metric = Metric(
        namespace="AWS/SageMaker",
        name="Invocation5XXErrors",
        dimensions={"EndpointName": "e", "VariantName": "v"},
        statistic="Sum",
        unit="None",
    )
    rule = Rule(
        comparison="GreaterThanThreshold",
        threshold=1.5,
        evaluation_periods=3,
        datapoints_to_alarm=2,
        missing_data="notBreaching",
    )
    assert alarm == Alarm(
        rule=rule, period=60, metrics={"m": metric}, expressions={}, watched="m", ignores_few_samples=True
    )


def test_what_is_omitted() -> None:
    alarm = read_alarm(_DEFINITION)
    assert alarm.rule.datapoints_to_alarm == 3
    assert alarm.rule.missing_data == "missing"
    assert alarm.metrics["m"].dimensions == {}
    assert alarm.metrics["m"].unit is None
    assert not alarm.ignores_few_samples


def test_an_extended_statistic_wins() -> None:
    assert read_alarm({**_DEFINITION, "ExtendedStatistic": "p99"}).metrics["m"].statistic == "p99"


def test_numbers_and_truths_may_be_texts_as_in_templates() -> None:
    queries = _query("m1", ReturnData="false"), {"Id": "e1", "Expression": "m1 * 2", "ReturnData": "true"}
    alarm = read_alarm({**_math(*queries), "EvaluationPeriods": "2", "Threshold": "7"})
    assert (alarm.rule.evaluation_periods, alarm.rule.threshold, alarm.watched) == (2, 7, "e1")


def test_an_alarm_on_an_expression() -> None:
    alarm = read_alarm(_math(_query("m1"), _query("m2"), {"Id": "e1", "Expression": "m1 / m2", "Period": 60}))
    assert set(alarm.metrics) == {"m1", "m2"}
    assert alarm.metrics["m1"].dimensions == {"D": "v"}
    assert alarm.expressions == {"e1": "m1 / m2"}
    assert (alarm.watched, alarm.period) == ("e1", 60)


def test_an_alarm_may_watch_a_metric_among_metrics() -> None:
    assert read_alarm(_math(_query("m1"), _query("m2", ReturnData=True))).watched == "m2"


def test_a_sliding_window_is_the_only_one() -> None:
    assert read_alarm({**_DEFINITION, "EvaluationWindow": {"SlidingWindow": {}}})
    with pytest.raises(InvalidAlarmError, match="the local AWS has sliding windows only"):
        read_alarm({**_DEFINITION, "EvaluationWindow": {"WallClockWindow": {}}})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"ThresholdMetricId": "e1"}, "ThresholdMetricId is not supported by the local AWS"),
        ({"EvaluationCriteria": {"PromQLCriteria": {}}}, "EvaluationCriteria is not supported by the local AWS"),
        ({"ComparisonOperator": "GreaterThanUpperThreshold"}, "the local AWS has no anomaly detection"),
        ({"ComparisonOperator": None}, "ComparisonOperator is None: it must be one of GreaterThanOrEqualTo"),
        ({"EvaluationPeriods": 0}, "DatapointsToAlarm is 0: it must be from 1 to EvaluationPeriods"),
        ({"DatapointsToAlarm": 4}, "DatapointsToAlarm is 4: it must be from 1 to EvaluationPeriods"),
        ({"EvaluationPeriods": 1441}, "is 86460 s: at most 86400"),
        ({"Period": 3600, "EvaluationPeriods": 169}, "is 608400 s: at most 604800"),
        ({"EvaluationPeriods": None}, "EvaluationPeriods must be a number, got None"),
        ({"Threshold": "high"}, "Threshold must be a number, got 'high'"),
        ({"Period": 45}, "Period is 45: it must be 10, 20, 30 or a multiple of 60"),
        ({"Period": 0}, "Period is 0"),
        ({"TreatMissingData": "no"}, "TreatMissingData is 'no': it must be one of missing, ignore, breaching, notBr"),
        ({"EvaluateLowSampleCountPercentile": "no"}, "it must be one of evaluate, ignore"),
        ({"Statistic": "Median"}, "'Median' is no statistic"),
        ({"Statistic": None}, "a metric needs its Namespace, its MetricName and a statistic"),
        ({"Namespace": ""}, "a metric needs its Namespace"),
        ({"Metrics": [_query("m1", ReturnData=True)]}, "Metrics stands in place of MetricName, Namespace, Period, Sta"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidAlarmError, match=reason):
        read_alarm({**_DEFINITION, **changes})


_OF_M1 = {"Id": "e1", "Expression": "m1"}


@pytest.mark.parametrize(
    ("queries", "reason"),
    [
        ([_query("m1")], "exactly one must have ReturnData, these have: none"),
        ([_query("m1", ReturnData=True), _OF_M1], "these have: m1, e1"),
        ([_query("M1", ReturnData=True)], "the id 'M1' must begin with a small letter"),
        ([_query("m1"), _query("m1", ReturnData=True)], "the id 'm1' must begin with a small letter and be used once"),
        ([{"Id": "e1"}], "e1 must have either MetricStat or Expression"),
        ([_query("m1", Expression="1", ReturnData=True)], "m1 must have either MetricStat or Expression"),
        ([_query("m1"), {**_OF_M1, "Period": 300}], "all of the same period"),
        ([_query(f"m{number}") for number in range(11)] + [_OF_M1], "there may be 10 metrics"),
        ([_query("m1"), {"Id": "e1", "Expression": "m1 + m2"}], "no metric or expression has the id 'm2'"),
        ([_query("m1"), {"Id": "e1", "Expression": "SUM(m1)"}], "a time series is needed, not a number"),
        ([_query("m1"), {"Id": "e1", "Expression": "ANOMALY_DETECTION_BAND(m1)"}], "BAND is not supported here"),
        ([_query("m1"), {"Id": "e1", "Expression": "m1 +"}], "cannot read 'm1 \\+'"),
    ],
)
def test_queries_that_cannot_be_evaluated_are_refused(queries: list[dict[str, Any]], reason: str) -> None:
    with pytest.raises(InvalidAlarmError, match=reason):
        read_alarm(_math(*queries))
