"""CloudWatch's statistics over the samples of one period.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_BASIC = ("SampleCount", "Sum", "Average", "Minimum", "Maximum")
_SHORT = re.compile(r"(p|tm|tc|ts|wm)(\d+(?:\.\d+)?)", re.IGNORECASE)
_BOUND = r"(?:(\d+(?:\.\d+)?)(%?))?"
_RANGE = re.compile(rf"(tm|tc|ts|wm|pr)\({_BOUND}:{_BOUND}\)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Sample:
    """Values that were published together: one value, one value many times, or a statistic set.

    Args:
        timestamp: Seconds since the epoch.
        count: How many values.
        total: Their sum.
        minimum: The least of them.
        maximum: The greatest of them.
    """

    timestamp: float
    count: float
    total: float
    minimum: float
    maximum: float

    @classmethod
    def of(cls, timestamp: float, value: float, count: float = 1) -> Sample:
        """Return `count` times the same value."""
        return cls(timestamp, count, value * count, value, value)

    @property
    def is_uniform(self) -> bool:
        """Whether all values in it are known, because they are the same."""
        return self.minimum == self.maximum and math.isclose(self.total, self.minimum * self.count)


Statistic = Callable[[Sequence[Sample]], float | None]
_Weighted = list[tuple[float, float]]  # ascending values, each with how often it was published
_Measure = Callable[[_Weighted], float | None]


def statistic(name: str) -> Statistic:
    """Return the function that computes a statistic over the samples of one period.

    It returns None when there is nothing to compute: no sample, or, for all but the five basic statistics, a
    negative value or a statistic set of different values.

    Raises:
        ValueError: CloudWatch has no such statistic.

    >>> statistic("p50")([Sample.of(0, 1), Sample.of(0, 3)])
    2.0
    >>> statistic("TM(10%:90%)")([Sample.of(0, value) for value in (1, 2, 2, 2, 2, 2, 2, 2, 2, 100)])
    2.0
    """
    if name in _BASIC:
        return lambda samples: _basic(name, samples)
    measure = _extended(name)

    def compute(samples: Sequence[Sample]) -> float | None:
        values = _values(samples)
        return measure(values) if values else None

    return compute


def percentile(name: str) -> float | None:
    """Return the percentage that a percentile's name holds, or None for any other statistic.

    >>> percentile("p99.9"), percentile("Average")
    (99.9, None)
    """
    match = _SHORT.fullmatch(name)
    return float(match[2]) if match and match[1].lower() == "p" else None


def _basic(name: str, samples: Sequence[Sample]) -> float | None:
    count = sum(sample.count for sample in samples)
    if not count:
        return None
    total = sum(sample.total for sample in samples)
    match name:
        case "SampleCount":
            return count
        case "Sum":
            return total
        case "Minimum":
            return min(sample.minimum for sample in samples if sample.count)
        case "Maximum":
            return max(sample.maximum for sample in samples if sample.count)
        case _:
            return total / count


def _values(samples: Sequence[Sample]) -> _Weighted | None:
    if any(not sample.is_uniform or sample.minimum < 0 for sample in samples):
        return None
    return sorted((sample.minimum, sample.count) for sample in samples if sample.count)


def _extended(name: str) -> _Measure:
    wanted = "tm(25%:75%)" if name.lower() == "iqm" else name.lower()
    if (percent := percentile(wanted)) is not None and percent <= 100:
        return lambda values: _percentile(values, percent)
    if (match := _SHORT.fullmatch(wanted)) and float(match[2]) <= 100:
        return _between_ranks(match[1], 0, float(match[2]))
    if match := _RANGE.fullmatch(wanted):
        kind, lower, lower_sign, upper, upper_sign = match.groups()
        signs = {sign for bound, sign in ((lower, lower_sign), (upper, upper_sign)) if bound}
        if signs == {"%"} and kind != "pr" and float(lower or 0) < float(upper or 100) <= 100:
            return _between_ranks(kind, float(lower or 0), float(upper or 100))
        if signs == {""} and float(lower or "-inf") < float(upper or "inf"):
            return _between_values(kind, float(lower or "-inf"), float(upper or "inf"))
    raise ValueError(f"{name!r} is no statistic: use {', '.join(_BASIC)}, p99, tm90, tc90, ts90, wm90, PR(:300) or IQM")


def _percentile(values: _Weighted, percent: float) -> float:
    """Interpolate between the two nearest ranks; AWS does not publish how it does it."""
    rank = max(0.0, percent / 100 * (sum(weight for _, weight in values) - 1))
    low, high = _at(values, int(rank)), _at(values, int(rank) + 1)
    return low + (rank - int(rank)) * (high - low)


def _at(values: _Weighted, index: int) -> float:
    seen = 0.0
    for value, weight in values:
        seen += weight
        if index < seen:
            return value
    return values[-1][0]


def _between_ranks(kind: str, lower: float, upper: float) -> _Measure:
    """Measure what lies between two percentages of the sorted values; one on the border counts in part."""

    def compute(values: _Weighted) -> float | None:
        if kind == "wm":
            return _mean(_clamped(values, _percentile(values, lower), _percentile(values, upper)))
        everything, seen, kept = sum(weight for _, weight in values), 0.0, []
        for value, weight in values:
            overlap = min(seen + weight, upper / 100 * everything) - max(seen, lower / 100 * everything)
            kept.append((value, max(0.0, overlap)))
            seen += weight
        return _measure(kind, kept, everything)

    return compute


def _between_values(kind: str, lower: float, upper: float) -> _Measure:
    """Measure what lies between two values, the lower one excluded and the upper one included."""

    def compute(values: _Weighted) -> float | None:
        if kind == "wm":
            return _mean(_clamped(values, lower, upper))
        kept = [(value, weight) for value, weight in values if lower < value <= upper]
        return _measure(kind, kept, sum(weight for _, weight in values))

    return compute


def _clamped(values: _Weighted, lower: float, upper: float) -> _Weighted:
    return [(min(max(value, lower), upper), weight) for value, weight in values]


def _measure(kind: str, kept: _Weighted, everything: float) -> float | None:
    match kind:
        case "tc":
            return sum(weight for _, weight in kept)
        case "ts":
            return sum(value * weight for value, weight in kept)
        case "pr":
            return 100 * sum(weight for _, weight in kept) / everything
        case _:
            return _mean(kept)


def _mean(values: _Weighted) -> float | None:
    count = sum(weight for _, weight in values)
    return sum(value * weight for value, weight in values) / count if count else None
