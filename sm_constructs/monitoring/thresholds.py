"""Rules that the thresholds of every segment share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from aws_cdk import Duration

_MINUTE_MS = 60_000
_DAY_MS = 24 * 60 * _MINUTE_MS


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """How long a threshold must be crossed before an alarm goes off: M of N periods.

    Args:
        period: Length of one period, whole minutes. When omitted: one minute.
        datapoints_to_alarm: M, how many of the last N periods must be over the threshold. When omitted: 3.
        evaluation_periods: N. When omitted: 5. All periods together last a day at most.

    >>> list(Evaluation(datapoints_to_alarm=6).problems("thresholds.evaluation"))
    ['thresholds.evaluation.datapoints_to_alarm is 6: must be from 1 to evaluation_periods, which is 5']
    """

    period: Duration = field(default_factory=lambda: Duration.minutes(1))
    datapoints_to_alarm: int = 3
    evaluation_periods: int = 5

    def problems(self, name: str) -> Iterator[str]:
        """Say what CloudWatch would refuse."""
        period = self.period.to_milliseconds()
        if period < _MINUTE_MS or period % _MINUTE_MS:
            yield f"{name}.period is {period} ms: must be whole minutes"
        if not 1 <= self.datapoints_to_alarm <= self.evaluation_periods:
            yield (
                f"{name}.datapoints_to_alarm is {self.datapoints_to_alarm}: "
                f"must be from 1 to evaluation_periods, which is {self.evaluation_periods}"
            )
        if period * self.evaluation_periods > _DAY_MS:
            yield f"{name} spans {self.evaluation_periods} periods of {period} ms: must be a day at most, all together"


def rate_problems(name: str, rate: float) -> Iterator[str]:
    """Say what is wrong with a share of requests. At 0 an alarm would never be quiet."""
    if not 0 < rate <= 1:
        yield f"{name} is {rate}: must be above 0 and at most 1, as a share of requests"


def count_problems(name: str, count: int) -> Iterator[str]:
    """Say what is wrong with a number of events in one period."""
    if count < 1:
        yield f"{name} is {count}: must be at least 1"


def latency_problems(name: str, latency: Duration, longest: Duration | None = None) -> Iterator[str]:
    """Say what is wrong with a latency. Above the longest that there can be, an alarm would never go off."""
    milliseconds = latency.to_milliseconds()
    if milliseconds < 1 or (longest and milliseconds > longest.to_milliseconds()):
        most = f"from 1 to {longest.to_milliseconds()}" if longest else "at least 1"
        yield f"{name} is {milliseconds} ms: must be {most} ms"
