"""Alarms take the states that the tables of the documentation give.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

import pytest

from sm_local.cloudwatch.alarm import Metric, MissingData, Rule, State, read_alarm
from sm_local.cloudwatch.evaluation import Evaluation, evaluate, judge
from sm_local.cloudwatch.statistics import Sample

_RETAIN = "Retain current state"
_STATES: Sequence[State] = get_args(State)
_DEFINITION = {
    "Namespace": "N",
    "MetricName": "M",
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 1,
    "Threshold": 1.0,
    "ComparisonOperator": "GreaterThanThreshold",
}
_NOW = 1_700_000_025.0  # 22:13:45; the last full minute began at 22:12:00
_MINUTE = 1_699_999_920.0


def _rule(missing: MissingData, datapoints: int, periods: int = 3) -> Rule:
    return Rule(
        comparison="GreaterThanThreshold",
        threshold=1,
        evaluation_periods=periods,
        datapoints_to_alarm=datapoints,
        missing_data=missing,
    )


def _datapoints(drawing: str) -> list[float | None]:
    """Return datapoints as the documentation draws them: 0 not breaching, X breaching, - missing."""
    return [{"0": 0.0, "X": 5.0, "-": None}[letter] for letter in drawing.split()]


@pytest.mark.parametrize("current", _STATES)
@pytest.mark.parametrize(
    ("datapoints_to_alarm", "drawing", "missing", "ignore", "breaching", "not_breaching"),
    [
        # The first table: 3 out of 3.
        (3, "0 - X - X", "OK", "OK", "OK", "OK"),
        (3, "0 - - - -", "OK", "OK", "OK", "OK"),
        (3, "- - - - -", "INSUFFICIENT_DATA", _RETAIN, "ALARM", "OK"),
        (3, "0 X X - X", "ALARM", "ALARM", "ALARM", "ALARM"),
        (3, "- - X - -", "ALARM", _RETAIN, "ALARM", "OK"),
        # The second one: 2 out of 3.
        (2, "0 - X - X", "ALARM", "ALARM", "ALARM", "ALARM"),
        (2, "0 0 X 0 X", "ALARM", "ALARM", "ALARM", "ALARM"),
        (2, "0 - X - -", "OK", "OK", "ALARM", "OK"),
        (2, "- - - - 0", "OK", "OK", "ALARM", "OK"),
        (2, "- - - X -", "ALARM", _RETAIN, "ALARM", "OK"),
        # Avoiding premature transitions: the next datapoint may be all right.
        (3, "- - - - X", "INSUFFICIENT_DATA", _RETAIN, "ALARM", "OK"),
        (3, "- - - X -", "INSUFFICIENT_DATA", _RETAIN, "ALARM", "OK"),
        (3, "- - - X 0", "OK", "OK", "OK", "OK"),
        (3, "- - X - 0", "OK", "OK", "OK", "OK"),
        (2, "- - - - X", "INSUFFICIENT_DATA", _RETAIN, "ALARM", "OK"),
        (1, "- - - - X", "ALARM", "ALARM", "ALARM", "ALARM"),
        # Older datapoints than the last three that exist are not judged.
        (1, "X X 0 0 0", "OK", "OK", "OK", "OK"),
        (1, "X - 0 0 0", "OK", "OK", "OK", "OK"),
        (1, "X 0 - 0 -", "ALARM", "ALARM", "ALARM", "ALARM"),
    ],
)
def test_the_tables_of_the_documentation(  # noqa: PLR0917 - the columns of the tables
    datapoints_to_alarm: int,
    drawing: str,
    missing: State,
    ignore: str,
    breaching: State,
    not_breaching: State,
    current: State,
) -> None:
    expected: Mapping[MissingData, str] = {
        "missing": missing,
        "ignore": current if ignore == _RETAIN else ignore,
        "breaching": breaching,
        "notBreaching": not_breaching,
    }
    for treatment, state in expected.items():
        rule = _rule(treatment, datapoints_to_alarm)
        assert rule.evaluation_range == len(drawing.split())
        assert judge(rule, _datapoints(drawing), current) == state, treatment


@pytest.mark.parametrize(
    ("comparison", "below", "equal", "above"),
    [
        ("GreaterThanThreshold", False, False, True),
        ("GreaterThanOrEqualToThreshold", False, True, True),
        ("LessThanThreshold", True, False, False),
        ("LessThanOrEqualToThreshold", True, True, False),
    ],
)
def test_comparisons(comparison: str, below: bool, equal: bool, above: bool) -> None:
    alarm = read_alarm({**_DEFINITION, "ComparisonOperator": comparison})
    assert [alarm.rule.breached_by(value) for value in (0.9, 1.0, 1.1)] == [below, equal, above]


class _Store:
    """Samples by metric name; remembers what was asked for."""

    def __init__(self, **samples: Sequence[Sample]) -> None:
        self.samples = samples
        self.asked: list[tuple[Metric, float, float]] = []

    def __call__(self, metric: Metric, start: float, end: float) -> list[Sample]:
        self.asked.append((metric, start, end))
        return [sample for sample in self.samples.get(metric.name, ()) if start <= sample.timestamp < end]


def _evaluate(
    store: _Store, definition: Mapping[str, Any] | None = None, *, current: State = "OK", now: float = _NOW
) -> Evaluation:
    return evaluate(read_alarm({**_DEFINITION, **(definition or {})}), store, current=current, now=now)


def test_only_periods_that_are_over_are_judged() -> None:
    last_minute = _Store(M=[Sample.of(_MINUTE, 5), Sample.of(_MINUTE + 59.9, 5)])
    this_minute = _Store(M=[Sample.of(_MINUTE + 60, 5)])
    assert _evaluate(last_minute).state == "ALARM"
    assert _evaluate(last_minute).data["recentDatapoints"] == [10]
    assert _evaluate(this_minute, {"TreatMissingData": "notBreaching"}).state == "OK"
    assert _evaluate(this_minute, now=_NOW + 60).state == "ALARM"


def test_the_datapoints_of_a_long_period_move_on_every_minute() -> None:
    store = _Store(M=[Sample.of(_MINUTE - 200, 5)])
    assert _evaluate(store, {"Period": 300}).state == "ALARM"
    assert _evaluate(store, {"Period": 300}, now=_NOW + 60).state == "ALARM"
    alarm = read_alarm({**_DEFINITION, "Period": 300})
    assert alarm.timestamps(alarm.window_end(_NOW)) == [_MINUTE + 60 - 900, _MINUTE + 60 - 600, _MINUTE + 60 - 300]


@pytest.mark.parametrize(
    ("period", "periods", "step"), [(10, 3, 10), (30, 1, 10), (60, 5, 60), (300, 12, 60), (3600, 48, 3600)]
)
def test_how_often_the_datapoints_move_on(period: int, periods: int, step: int) -> None:
    alarm = read_alarm({**_DEFINITION, "Period": period, "EvaluationPeriods": periods})
    assert alarm.window_end(7200) == alarm.window_end(7200 + step - 0.1) == 7200
    assert alarm.window_end(7200 + step) == 7200 + step


def test_what_is_asked_of_the_store() -> None:
    store = _Store()
    dimensions = [{"Name": "EndpointName", "Value": "a"}]
    _evaluate(store, {"EvaluationPeriods": 3, "Dimensions": dimensions, "Unit": "Count", "ExtendedStatistic": "p90"})
    metric = Metric(namespace="N", name="M", dimensions={"EndpointName": "a"}, statistic="p90", unit="Count")
    assert store.asked == [(metric, _MINUTE + 60 - 5 * 60, _MINUTE + 60)]


def test_a_metric_without_datapoints_has_insufficient_data() -> None:
    result = _evaluate(_Store(), {"EvaluationPeriods": 2})
    assert result.state == "INSUFFICIENT_DATA"
    assert result.reason == "Insufficient Data: 2 datapoints were unknown."


def test_the_error_rate_is_computed_of_two_metrics() -> None:
    rate = {
        "Metrics": [
            {"Id": "errors", "MetricStat": _stat("Errors"), "ReturnData": False},
            {"Id": "calls", "MetricStat": _stat("Calls"), "ReturnData": False},
            {"Id": "rate", "Expression": "100 * errors / calls"},
        ],
        **dict.fromkeys(("MetricName", "Namespace", "Period", "Statistic")),
        "Threshold": 10,
    }
    calls = [Sample.of(_MINUTE, 1, count=20)]
    assert _evaluate(_Store(Errors=[Sample.of(_MINUTE, 3)], Calls=calls), rate).state == "ALARM"
    assert _evaluate(_Store(Errors=[Sample.of(_MINUTE, 2)], Calls=calls), rate).state == "OK"
    assert _evaluate(_Store(Calls=calls), rate).state == "OK"
    assert _evaluate(_Store(Errors=[Sample.of(_MINUTE, 3)]), rate).state == "INSUFFICIENT_DATA"


def _stat(name: str) -> dict[str, Any]:
    return {"Metric": {"Namespace": "N", "MetricName": name}, "Period": 60, "Stat": "Sum"}


def test_fill_stands_for_missing_datapoints() -> None:
    filled = {
        "Metrics": [
            {"Id": "m", "MetricStat": _stat("M"), "ReturnData": False},
            {"Id": "e", "Expression": "FILL(m, 5)"},
        ],
        **dict.fromkeys(("MetricName", "Namespace", "Period", "Statistic")),
    }
    assert _evaluate(_Store(), filled).state == "ALARM"


@pytest.mark.parametrize(("count", "state"), [(999, "INSUFFICIENT_DATA"), (1000, "ALARM")])
def test_a_percentile_of_few_samples_is_ignored_when_told_so(count: int, state: State) -> None:
    store = _Store(M=[Sample.of(_MINUTE, 5, count=count), Sample.of(_MINUTE - 60, 5, count=5000)])
    told = {"ExtendedStatistic": "p99", "EvaluateLowSampleCountPercentile": "ignore"}
    assert _evaluate(store, told, current="INSUFFICIENT_DATA").state == state
    assert _evaluate(store, {"ExtendedStatistic": "p99"}, current="INSUFFICIENT_DATA").state == "ALARM"


def test_low_percentiles_need_samples_below() -> None:
    told = {"ExtendedStatistic": "p10", "EvaluateLowSampleCountPercentile": "ignore"}
    assert _evaluate(_Store(M=[Sample.of(_MINUTE, 5, count=99)]), told).state == "OK"
    assert _evaluate(_Store(M=[Sample.of(_MINUTE, 5, count=100)]), told).state == "ALARM"


def test_other_statistics_never_have_too_few_samples() -> None:
    assert _evaluate(_Store(M=[Sample.of(_MINUTE, 5)]), {"EvaluateLowSampleCountPercentile": "ignore"}).state == "ALARM"


@pytest.mark.parametrize(
    ("values", "definition", "reason"),
    [
        (
            [5],
            {},
            "Threshold Crossed: 1 out of the last 1 datapoints [5.0 (14/11/23 22:12:00)] was greater than the "
            "threshold (1.0) (minimum 1 datapoint for OK -> ALARM transition).",
        ),
        (
            [0],
            {"ComparisonOperator": "GreaterThanOrEqualToThreshold"},
            "Threshold Crossed: 1 out of the last 1 datapoints [0.0 (14/11/23 22:12:00)] was not greater than or equal "
            "to the threshold (1.0) (minimum 1 datapoint for ALARM -> OK transition).",
        ),
        (
            [5, 0, 6],
            {"EvaluationPeriods": 3, "DatapointsToAlarm": 2},
            "Threshold Crossed: 2 out of the last 3 datapoints [6.0 (14/11/23 22:12:00), 5.0 (14/11/23 22:10:00)] were "
            "greater than the threshold (1.0) (minimum 2 datapoints for OK -> ALARM transition).",
        ),
        (
            [0, 5, 0, 0, 0],
            {"EvaluationPeriods": 5, "DatapointsToAlarm": 4, "ComparisonOperator": "LessThanThreshold", "Threshold": 0},
            "Threshold Crossed: 5 out of the last 5 datapoints [0.0 (14/11/23 22:12:00), 0.0 (14/11/23 22:11:00), "
            "0.0 (14/11/23 22:10:00), 5.0 (14/11/23 22:09:00), 0.0 (14/11/23 22:08:00)] were not less than the "
            "threshold (0.0) (minimum 2 datapoints for ALARM -> OK transition).",
        ),
        (
            [],
            {"EvaluationPeriods": 3, "TreatMissingData": "breaching"},
            "Threshold Crossed: no datapoints were received for 3 periods and 3 missing datapoints were treated as "
            "[Breaching].",
        ),
        (
            [],
            {"TreatMissingData": "notBreaching"},
            "Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was treated as "
            "[NonBreaching].",
        ),
        (
            [5],
            {"EvaluationPeriods": 2, "TreatMissingData": "breaching"},
            "Threshold Crossed: 1 out of the last 1 datapoints [5.0 (14/11/23 22:12:00)] was greater than the "
            "threshold (1.0) and 1 missing datapoint was treated as [Breaching] (minimum 2 datapoints for OK -> ALARM "
            "transition).",
        ),
    ],
)
def test_the_reason_names_the_datapoints(values: Sequence[float], definition: dict[str, Any], reason: str) -> None:
    samples = [Sample.of(_MINUTE - 60 * back, value) for back, value in enumerate(reversed(values))]
    assert _evaluate(_Store(M=samples), definition).reason == reason


def test_the_data_of_the_reason_are_for_programs() -> None:
    assert _evaluate(_Store(M=[Sample.of(_MINUTE, 5)])).data == {
        "version": "1.0",
        "queryDate": "2023-11-14T22:13:45.000+0000",
        "startDate": "2023-11-14T22:12:00.000+0000",
        "period": 60,
        "recentDatapoints": [5.0],
        "threshold": 1.0,
    }
