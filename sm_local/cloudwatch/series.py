"""The operators and functions of metric math, on numbers and time series.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar, cast

Series = dict[float, float]  # values by timestamp; a missing datapoint has no entry
Value = float | str | Series | list[Series]

_NAMES = {float: "a number", str: "a text", dict: "a time series", list: "several time series"}
_T = TypeVar("_T", float, str, Series, list[Series])


class MetricMathError(ValueError):
    """What CloudWatch would refuse in an expression, or the local AWS does not understand."""


def checked(value: Value, kind: type[_T]) -> _T:
    """Return a value that must be of a kind.

    Raises:
        MetricMathError: It is not.
    """
    if not isinstance(value, kind):
        raise MetricMathError(f"{_NAMES[kind]} is needed, not {_NAMES[type(value)]}")
    return value


def several(value: Value) -> list[Series]:
    """Return time series as a list, one of them alone as well.

    Raises:
        MetricMathError: It is a number or a text.
    """
    return value if isinstance(value, list) else [checked(value, dict)]


def nth(value: Value, index: int) -> Series:
    """Return one of an array of time series.

    Raises:
        MetricMathError: It has not so many.
    """
    try:
        return several(value)[index]
    except IndexError:
        raise MetricMathError("an array of time series is empty") from None


def combine(operator: Callable[[float, float], float], left: Value, right: Value) -> Value:
    """Apply an operator of two numbers to numbers, time series and arrays of them.

    Where only one of two time series has a value, the other one counts as 0. What cannot be computed, such as a
    division by zero, is dropped.

    >>> combine(lambda a, b: a / b, {0: 1.0, 60: 1.0}, {0: 2.0})
    {0: 0.5}
    """
    if isinstance(left, list) and isinstance(right, list):
        raise MetricMathError("two arrays of time series cannot be combined")
    if isinstance(left, list):
        return [cast(Series, combine(operator, series, right)) for series in left]
    if isinstance(right, list):
        return [cast(Series, combine(operator, left, series)) for series in right]
    if isinstance(left, dict) and isinstance(right, dict):
        times = sorted(left.keys() | right.keys())
        return _kept((at, _number(operator, left.get(at, 0.0), right.get(at, 0.0))) for at in times)
    if isinstance(left, dict):
        number = checked(right, float)
        return _kept((at, _number(operator, value, number)) for at, value in left.items())
    if isinstance(right, dict):
        number = checked(left, float)
        return _kept((at, _number(operator, number, value)) for at, value in right.items())
    return _number(operator, checked(left, float), checked(right, float))


def each_value(function: Callable[[float], float]) -> Callable[[Value], Value]:
    """Return a function of time series that applies `function` to every value."""

    def apply(value: Value) -> Value:
        several(value)  # a number alone is refused
        return combine(lambda number, _: function(number), value, 0.0)

    return apply


def each_series(function: Callable[[Series], Series]) -> Callable[[Value], Value]:
    """Return a function of one time series or an array that applies `function` to each of them."""

    def apply(value: Value) -> Value:
        return [function(series) for series in value] if isinstance(value, list) else function(checked(value, dict))

    return apply


def reduction(
    function: Callable[[Sequence[float]], float], *, missing_is_zero: bool = False
) -> Callable[[Value], Value]:
    """Return a function that makes a number of a time series, and a time series of an array.

    Args:
        function: What makes one number of many.
        missing_is_zero: Whether a time series of an array counts as 0 where it has no value.
    """

    def number(values: Sequence[float]) -> float:
        try:
            return float(function(values))
        except (ArithmeticError, ValueError):
            return math.nan

    def reduce(value: Value) -> Value:
        if not isinstance(value, list):
            return number(list(checked(value, dict).values()))
        times = sorted({at for series in value for at in series})
        columns = ([one.get(at, 0.0) for one in value if missing_is_zero or at in one] for at in times)
        return _kept(zip(times, map(number, columns), strict=True))

    return reduce


def differences(series: Series) -> Series:
    """Return each value less the one before it."""
    pairs = zip(series.items(), list(series.items())[1:], strict=False)
    return {at: value - before for (_, before), (at, value) in pairs}


def rates(series: Series) -> Series:
    """Return each difference divided by the seconds since the value before it."""
    pairs = zip(series.items(), list(series.items())[1:], strict=False)
    return {at: (value - before) / (at - earlier) for (earlier, before), (at, value) in pairs}


def running_sum(series: Series) -> Series:
    """Return the sum of the values up to each."""
    total = 0.0
    return {at: (total := total + value) for at, value in series.items()}


def fill(series: Series, filler: Value, timestamps: Sequence[float]) -> Series:
    """Fill what is missing in a time series with a number, another one's values, ``REPEAT`` or ``LINEAR``.

    ``REPEAT`` takes the last value before the gap, ``LINEAR`` draws a line over it; where there is none, the gap stays.

    >>> fill({0: 1.0, 120: 3.0}, "LINEAR", (0, 60, 120, 180))
    {0: 1.0, 60: 2.0, 120: 3.0}
    """
    match filler:
        case float():
            return {at: series.get(at, filler) for at in timestamps}
        case dict():
            return dict(sorted((filler | series).items()))
        case "REPEAT":
            known = sorted(series)
            return {
                at: series[max(before for before in known if before <= at)]
                for at in timestamps
                if known and at >= known[0]
            }
        case "LINEAR":
            return _interpolated(series, timestamps)
    raise MetricMathError("FILL fills with a number, a time series, REPEAT or LINEAR")


def choose(condition: Value, then: Value, otherwise: Value | None = None) -> Value:
    """Return `then` where the condition is not 0, else `otherwise`; without that, the datapoint is dropped.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html#using-IF-expressions

    >>> choose({0: 1.0, 60: 1.0, 120: 0.0}, {0: 30.0}, 5.0)
    {0: 30.0, 60: 0.0, 120: 5.0}
    """
    if isinstance(condition, float):
        chosen_one = then if condition else otherwise
        return {} if chosen_one is None else chosen_one
    chosen: Series = {}
    for at, holds in checked(condition, dict).items():
        value = then if holds else otherwise
        if isinstance(value, dict):
            value = value.get(at, 0.0) if holds else value.get(at)
        if value is not None:
            chosen[at] = checked(value, float)
    return chosen


def _number(operator: Callable[[float, float], float], left: float, right: float) -> float:
    try:
        return float(operator(left, right))
    except (ArithmeticError, ValueError):
        return math.nan


def _kept(items: Iterable[tuple[float, float]]) -> Series:
    return {at: value for at, value in items if math.isfinite(value)}


def _interpolated(series: Series, timestamps: Sequence[float]) -> Series:
    known, filled = sorted(series), {}
    for at in timestamps:
        before = max((other for other in known if other <= at), default=None)
        after = min((other for other in known if other >= at), default=None)
        if before is None or after is None:
            continue
        share = (at - before) / (after - before) if after > before else 0.0
        filled[at] = series[before] + share * (series[after] - series[before])
    return filled
