"""The state of an alarm as a function of its datapoints: no clock, no store.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sm_local.cloudwatch import metric_math
from sm_local.cloudwatch.alarm import Alarm, Metric, MissingData, Rule, State
from sm_local.cloudwatch.series import Series
from sm_local.cloudwatch.statistics import Sample, percentile, statistic

_TREATED_AS: Mapping[MissingData, str] = {
    "missing": "Missing",
    "ignore": "Ignore",
    "breaching": "Breaching",
    "notBreaching": "NonBreaching",
}
Samples = Callable[[Metric, float, float], Sequence[Sample]]  # of a metric, from a time on, before another one
Datapoint = tuple[float, float]  # when its period begins, its value


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What an alarm was found to be.

    Args:
        state: The state it has or takes.
        reason: Why, in CloudWatch's words.
        data: Why, for programs.
    """

    state: State
    reason: str
    data: Mapping[str, Any]


def evaluate(alarm: Alarm, samples: Samples, *, current: State, now: float) -> Evaluation:
    """Return what an alarm is.

    Args:
        alarm: What to evaluate.
        samples: Where its metrics come from.
        current: The state that it has, kept where missing data are ignored.
        now: The time, in seconds since the epoch.
    """
    end = alarm.window_end(now)
    times = alarm.timestamps(end)
    read = {name: samples(metric, times[0], end) for name, metric in alarm.metrics.items()}
    series = {name: _series(metric, read[name], times, alarm.period) for name, metric in alarm.metrics.items()}
    watched = series.get(alarm.watched)
    if watched is None:
        watched = metric_math.evaluate(alarm.watched, alarm.expressions, series, timestamps=times, period=alarm.period)
    values = [watched.get(at) for at in times]
    if alarm.ignores_few_samples and _too_few(alarm, read.get(alarm.watched, ()), end):
        state = current
    else:
        state = judge(alarm.rule, values, current)
    judged = _judged(alarm.rule, values, times)
    data = {
        "version": "1.0",
        "queryDate": _iso(now),
        "startDate": _iso(judged[0][0] if judged else times[-alarm.rule.evaluation_periods]),
        "period": alarm.period,
        "recentDatapoints": [value for _, value in judged],
        "threshold": alarm.rule.threshold,
    }
    return Evaluation(state, _reason(alarm.rule, judged, state), data)


def judge(rule: Rule, values: Sequence[float | None], current: State) -> State:
    """Return the state that datapoints make, the oldest first and None for a missing one.

    The last N existing ones are judged. Where there are fewer, the rule says what stands for the missing ones.
    Where nothing does, and all existing ones are breaching, but fewer than M, the alarm fires as soon as the
    oldest of them is M periods old, so that a single late datapoint does not fire it at once.

    >>> rule = Rule(comparison="GreaterThanThreshold", threshold=1, evaluation_periods=3, datapoints_to_alarm=2,
    ...             missing_data="missing")
    >>> judge(rule, [0, None, 5, None, 5], "OK")
    'ALARM'
    """
    existing = [value for value in values if value is not None][-rule.evaluation_periods :]
    breaching = sum(map(rule.breached_by, existing))
    missing = rule.evaluation_periods - len(existing)
    if rule.missing_data == "breaching":
        breaching += missing
    if breaching >= rule.datapoints_to_alarm:
        return "ALARM"
    if not missing or rule.missing_data in ("breaching", "notBreaching") or breaching < len(existing):
        return "OK"
    if rule.missing_data == "ignore":
        return current
    age_of_oldest = len(values) - next((at for at, value in enumerate(values) if value is not None), len(values))
    return "ALARM" if age_of_oldest >= rule.datapoints_to_alarm else "INSUFFICIENT_DATA"


def _series(metric: Metric, samples: Sequence[Sample], times: Sequence[float], period: int) -> Series:
    compute = statistic(metric.statistic)
    by_period: dict[int, list[Sample]] = {}
    for sample in samples:
        by_period.setdefault(int((sample.timestamp - times[0]) // period), []).append(sample)
    computed = {times[index]: compute(of_period) for index, of_period in sorted(by_period.items())}
    return {at: value for at, value in computed.items() if value is not None}


def _too_few(alarm: Alarm, samples: Sequence[Sample], end: float) -> bool:
    """Whether a percentile has too few samples in the evaluation periods to mean something.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/percentiles-with-low-samples.html
    """
    metric = alarm.metrics.get(alarm.watched)
    if metric is None or (percent := percentile(metric.statistic)) is None:
        return False
    start = end - alarm.rule.evaluation_periods * alarm.period
    count = sum(sample.count for sample in samples if sample.timestamp >= start)
    return count * min(percent, 100 - percent) / 100 < 10


def _judged(rule: Rule, values: Sequence[float | None], times: Sequence[float]) -> list[Datapoint]:
    existing = [(at, value) for at, value in zip(times, values, strict=True) if value is not None]
    return existing[-rule.evaluation_periods :]


def _reason(rule: Rule, judged: Sequence[Datapoint], state: State) -> str:
    missing = rule.evaluation_periods - len(judged)
    if state == "INSUFFICIENT_DATA":
        return f"Insufficient Data: {_count(missing, 'datapoint')} {_be(missing)} unknown."
    filled = f"{_count(missing, 'missing datapoint')} {_be(missing)} treated as [{_TREATED_AS[rule.missing_data]}]"
    if not judged:
        return f"Threshold Crossed: no datapoints were received for {_count(missing, 'period')} and {filled}."
    alarms = state == "ALARM"
    counted = [point for point in judged if rule.breached_by(point[1]) == alarms]
    needed = rule.datapoints_to_alarm if alarms else rule.evaluation_periods - rule.datapoints_to_alarm + 1
    points = ", ".join(f"{float(value)} ({_short(at)})" for at, value in reversed(counted))
    return (
        f"Threshold Crossed: {len(counted)} out of the last {len(judged)} datapoints [{points}] "
        f"{_be(len(counted))} {'' if alarms else 'not '}{rule.words} the threshold ({rule.threshold})"
        f"{f' and {filled}' if missing else ''} "
        f"(minimum {_count(needed, 'datapoint')} for {'OK -> ALARM' if alarms else 'ALARM -> OK'} transition)."
    )


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _be(number: int) -> str:
    return "was" if number == 1 else "were"


def _short(timestamp: float) -> str:
    return datetime.fromtimestamp(timestamp, UTC).strftime("%d/%m/%y %H:%M:%S")


def _iso(timestamp: float) -> str:
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"
