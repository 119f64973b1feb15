"""What an alarm watches and when it fires, read from the form in which CloudWatch's API and CloudFormation write it.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar, get_args

from sm_local.cloudwatch import metric_math
from sm_local.cloudwatch.series import MetricMathError
from sm_local.cloudwatch.statistics import statistic

_T = TypeVar("_T", int, float)
State: TypeAlias = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]
MissingData: TypeAlias = Literal["missing", "ignore", "breaching", "notBreaching"]

# AWS names no number; its examples retrieve 5 datapoints for 3 evaluation periods.
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
EXTRA_DATAPOINTS = 2

_DAY = 86_400
_MOST_METRICS = 10
_ID = re.compile(r"[a-z][a-zA-Z0-9_]*")
_COMPARISONS: Mapping[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
    "LessThanThreshold": (operator.lt, "less than"),
}
_NOT_HERE = ("ThresholdMetricId", "EvaluationCriteria", "EvaluationInterval", "WarmUpConfiguration")


class InvalidAlarmError(ValueError):
    """An alarm that CloudWatch would refuse, or that the local AWS cannot evaluate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric and the statistic of it.

    Args:
        namespace: Its namespace.
        name: Its name.
        dimensions: By name; a metric with other dimensions is another one.
        statistic: As CloudWatch writes it, ``Sum`` or ``p99``.
        unit: Only samples of this unit count; all, when None.
    """

    namespace: str
    name: str
    dimensions: Mapping[str, str]
    statistic: str
    unit: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """When datapoints make an alarm.

    Args:
        comparison: One of CloudWatch's comparison operators.
        threshold: What a datapoint is compared with.
        evaluation_periods: N, how many datapoints are judged.
        datapoints_to_alarm: M, how many of them must be breaching.
        missing_data: What stands for a missing datapoint.
    """

    comparison: str
    threshold: float
    evaluation_periods: int
    datapoints_to_alarm: int
    missing_data: MissingData

    @property
    def evaluation_range(self) -> int:
        """How many datapoints are retrieved, in case some of the last N are missing."""
        return self.evaluation_periods + EXTRA_DATAPOINTS

    @property
    def words(self) -> str:
        """The comparison in words, as in ``greater than``."""
        return _COMPARISONS[self.comparison][1]

    def breached_by(self, value: float) -> bool:
        """Whether a datapoint is on the wrong side of the threshold."""
        return _COMPARISONS[self.comparison][0](value, self.threshold)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """A metric alarm.

    Args:
        rule: When it fires.
        period: Seconds that make one datapoint.
        metrics: What it reads, by id.
        expressions: What it computes of them, by id.
        watched: The id of the metric or expression that is compared with the threshold.
        ignores_few_samples: Whether the state stays as it is while a percentile has too few samples.
    """

    rule: Rule
    period: int
    metrics: Mapping[str, Metric]
    expressions: Mapping[str, str]
    watched: str
    ignores_few_samples: bool

    @property
    def step(self) -> int:
        """Seconds between two evaluations, and how far the datapoints move on between them.

        Every minute, or every 10 seconds with a shorter period, or every hour when it looks back for more than a day.

        https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html
        """
        if self.rule.evaluation_periods * self.period > _DAY:
            return 3600
        return 60 if self.period >= 60 else 10

    def window_end(self, now: float) -> float:
        """Return where the last period ends that is judged at a time: it is over."""
        return now // self.step * self.step

    def timestamps(self, end: float) -> list[float]:
        """Return where the datapoints of the evaluation range begin, the oldest first."""
        return [end - back * self.period for back in range(self.rule.evaluation_range, 0, -1)]


def read_alarm(definition: Mapping[str, Any]) -> Alarm:
    """Return the alarm that the parameters of PutMetricAlarm, or the properties of CloudFormation's type, define.

    Raises:
        InvalidAlarmError: CloudWatch would refuse it, or the local AWS cannot evaluate it.
    """
    for name in _NOT_HERE:
        if definition.get(name):
            raise InvalidAlarmError(f"{name} is not supported by the local AWS")
    if "WallClockWindow" in (definition.get("EvaluationWindow") or {}):
        raise InvalidAlarmError("EvaluationWindow: the local AWS has sliding windows only")
    metrics, expressions, watched, period = _queries(definition)
    return Alarm(
        rule=_rule(definition, period),
        period=period,
        metrics=metrics,
        expressions=expressions,
        watched=watched,
        ignores_few_samples=_one_of(definition, "EvaluateLowSampleCountPercentile", ("evaluate", "ignore")) == "ignore",
    )


def _rule(definition: Mapping[str, Any], period: int) -> Rule:
    comparison = str(definition.get("ComparisonOperator"))
    if comparison not in _COMPARISONS:
        raise InvalidAlarmError(
            f"ComparisonOperator is {comparison}: it must be one of {', '.join(_COMPARISONS)}; "
            "the local AWS has no anomaly detection"
        )
    evaluation_periods = _number(definition, "EvaluationPeriods", int)
    wanted = definition.get("DatapointsToAlarm")
    datapoints = evaluation_periods if wanted is None else _number(definition, "DatapointsToAlarm", int)
    if not 1 <= datapoints <= evaluation_periods:
        raise InvalidAlarmError(f"DatapointsToAlarm is {datapoints}: it must be from 1 to EvaluationPeriods")
    longest = 7 * _DAY if period >= 3600 else _DAY
    if evaluation_periods * period > longest:
        raise InvalidAlarmError(f"EvaluationPeriods times Period is {evaluation_periods * period} s: at most {longest}")
    return Rule(
        comparison=comparison,
        threshold=_number(definition, "Threshold", float),
        evaluation_periods=evaluation_periods,
        datapoints_to_alarm=datapoints,
        missing_data=_one_of(definition, "TreatMissingData", get_args(MissingData)),
    )


def _queries(definition: Mapping[str, Any]) -> tuple[dict[str, Metric], dict[str, str], str, int]:
    queries = definition.get("Metrics")
    if not queries:
        stat = definition.get("ExtendedStatistic") or definition.get("Statistic")
        return {"m": _metric(definition, stat)}, {}, "m", _period(definition)
    if clash := [
        name for name in ("MetricName", "Namespace", "Dimensions", "Period", "Statistic") if definition.get(name)
    ]:
        raise InvalidAlarmError(f"Metrics stands in place of {', '.join(clash)}: give one or the other")
    metrics: dict[str, Metric] = {}
    expressions: dict[str, str] = {}
    periods: set[int] = set()
    for query in queries:
        name, stat = str(query.get("Id", "")), query.get("MetricStat")
        if not _ID.fullmatch(name) or name in metrics or name in expressions:
            raise InvalidAlarmError(f"Metrics: the id {name!r} must begin with a small letter and be used once")
        if bool(stat) == bool(query.get("Expression")):
            raise InvalidAlarmError(f"Metrics: {name} must have either MetricStat or Expression")
        if stat:
            metrics[name] = _metric({**stat.get("Metric", {}), "Unit": stat.get("Unit")}, stat.get("Stat"))
            periods.add(_period(stat))
        else:
            expressions[name] = str(query["Expression"])
            periods |= {_period(query)} if query.get("Period") else set()
    if len(periods) > 1 or len(metrics) > _MOST_METRICS:
        raise InvalidAlarmError(f"Metrics: there may be {_MOST_METRICS} metrics, all of the same period")
    watched = _watched(queries)
    period = periods.pop() if periods else 60
    if watched in expressions:
        _try_out(watched, expressions, metrics, period)
    return metrics, expressions, watched, period


def _watched(queries: Sequence[Mapping[str, Any]]) -> str:
    returned = [str(query["Id"]) for query in queries if _is_true(query.get("ReturnData", True))]
    if len(returned) != 1:
        raise InvalidAlarmError(
            f"Metrics: exactly one must have ReturnData, these have: {', '.join(returned) or 'none'}"
        )
    return returned[0]


def _try_out(watched: str, expressions: Mapping[str, str], metrics: Mapping[str, Metric], period: int) -> None:
    """Evaluate without data: what is wrong with an expression shows then, too."""
    try:
        metric_math.evaluate(watched, expressions, {name: {} for name in metrics}, timestamps=(), period=period)
    except MetricMathError as error:
        raise InvalidAlarmError(f"Metrics: {error}") from None


def _metric(definition: Mapping[str, Any], stat: str | None) -> Metric:
    namespace, name = definition.get("Namespace"), definition.get("MetricName")
    if not (namespace and name and stat):
        raise InvalidAlarmError("a metric needs its Namespace, its MetricName and a statistic")
    try:
        statistic(stat)
    except ValueError as error:
        raise InvalidAlarmError(str(error)) from None
    return Metric(
        namespace=namespace,
        name=name,
        dimensions={one["Name"]: str(one["Value"]) for one in definition.get("Dimensions") or ()},
        statistic=stat,
        unit=definition.get("Unit") or None,
    )


def _period(definition: Mapping[str, Any]) -> int:
    period = _number(definition, "Period", int)
    if period not in (10, 20, 30) and (period < 60 or period % 60):
        raise InvalidAlarmError(f"Period is {period}: it must be 10, 20, 30 or a multiple of 60 seconds")
    return period


def _number(definition: Mapping[str, Any], name: str, kind: Callable[[Any], _T]) -> _T:
    try:
        return kind(definition[name])
    except (KeyError, TypeError, ValueError):
        raise InvalidAlarmError(f"{name} must be a number, got {definition.get(name)!r}") from None


def _one_of(definition: Mapping[str, Any], name: str, allowed: Sequence[str]) -> Any:
    if (value := definition.get(name) or allowed[0]) not in allowed:
        raise InvalidAlarmError(f"{name} is {value!r}: it must be one of {', '.join(allowed)}")
    return value


def _is_true(value: Any) -> bool:
    return str(value).lower() == "true"
