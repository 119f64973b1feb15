"""Metric math gives what the documentation's examples and rules say.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from sm_local.cloudwatch.metric_math import MAX_EXPRESSION_LENGTH, evaluate
from sm_local.cloudwatch.series import MetricMathError, Series

_TIMES = (0, 60, 120, 180, 240)
Values = Sequence[float | None]


def _series(values: Values) -> Series:
    return {at: float(value) for at, value in zip(_TIMES, values, strict=False) if value is not None}


def _evaluate(expression: str, **metrics: Values) -> list[float | None]:
    """Evaluate over minutes; None stands for a missing datapoint."""
    count = max(len(values) for values in metrics.values())
    by_id = {name: _series(values) for name, values in metrics.items()}
    result = evaluate("e", {"e": expression}, by_id, timestamps=_TIMES[:count], period=60)
    return [result.get(at) for at in _TIMES[:count]]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("m1 + m2", [50, 20, 20, 0]),  # a value that only one of them misses counts as 0
        ("m1 - m2", [10, 20, -20, 0]),
        ("m1 * 2", [60, 40, 0, 0]),
        ("2 ^ m1", [2**30, 2**20, 1, 1]),
        ("m1 / m2", [1.5, None, 0, None]),  # a division by zero is dropped
        ("100 / m1", [100 / 30, 5, None, None]),
        ("-m1", [-30, -20, 0, 0]),
        ("-m1 + 1 * 2 ^ 3", [-22, -12, 8, 8]),
        ("(m1 + 1) * 2", [62, 42, 2, 2]),
        ("m1 + .5e1", [35, 25, 5, 5]),
        ("(m1 < m2)", [0, 0, 1, 0]),
        ("(m1 >= 30)", [1, 0, 0, 0]),
        ("(m1 > 15 AND m2 > 15)", [1, 0, 0, 0]),
        ("m1 > 15 && m2 > 15", [1, 0, 0, 0]),
        ("m1 > 25 OR m2 > 15", [1, 0, 1, 0]),
        ("m1 == 20 || m2 == 20", [1, 1, 1, 0]),
        ("m1 != 20", [1, 0, 1, 1]),
        ("m1 <= 20", [0, 1, 1, 1]),
    ],
)
def test_operators_work_on_pairs_of_time_series(expression: str, expected: Values) -> None:
    assert _evaluate(expression, m1=[30, 20, 0, 0], m2=[20, None, 20, None]) == expected


def test_where_no_time_series_has_a_value_there_is_none() -> None:
    assert _evaluate("m1 + m2", m1=[1, None, 1], m2=[1, None, None]) == [2, None, 1]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("IF(m1, m2, m3)", [30, 0, 20, None, None]),
        ("IF(m1, 5, m3)", [5, 5, 20, None, None]),
        ("IF(m1, m2, 5)", [30, 0, 5, 5, None]),
        ("IF(m1, m2)", [30, 0, None, None, None]),
        ("IF(m1 == 0, 10, 2)", [2, 2, 10, 10, None]),
        ("IF(1 > 0, m2, m3)", [30, None, 0, 0, 30]),
        ("IF(1 < 0, m2, m3)", [0, 0, 20, None, 20]),
        ("IF(1 < 0, m2)", [None, None, None, None, None]),
    ],
)
def test_if_follows_the_tables_of_the_documentation(expression: str, expected: Values) -> None:
    metrics = {"m1": [1, 1, 0, 0, None], "m2": [30, None, 0, 0, 30], "m3": [0, 0, 20, None, 20]}
    assert _evaluate(expression, **metrics) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("ABS(-m1)", [1, None, 4, None]),
        ("CEIL(m1 / 8)", [1, None, 1, None]),
        ("FLOOR(m1 / 3)", [0, None, 1, None]),
        ("LOG10(m1 * 100)", [2, None, pytest.approx(math.log10(400)), None]),
        ("LOG(m1 - 1)", [None, None, pytest.approx(math.log(3)), None]),
        ("m1 - AVG(m1)", [-1.5, None, 1.5, None]),
        ("m1 * 0 + SUM(m1)", [5, None, 5, None]),
        ("m1 * 0 + MIN(m1)", [1, None, 1, None]),
        ("m1 * 0 + MAX(m1)", [4, None, 4, None]),
        ("m1 * 0 + DATAPOINT_COUNT(m1)", [2, None, 2, None]),
        ("m1 / PERIOD(m1)", [1 / 60, None, 4 / 60, None]),
        ("DIFF(m1)", [None, None, 3, None]),
        ("RATE(m1)", [None, None, 3 / 120, None]),
        ("RUNNING_SUM(m1)", [1, None, 5, None]),
        ("TIME_SERIES(MAX(m1))", [4, 4, 4, 4]),
        ("FILL(m1, 0)", [1, 0, 4, 0]),
        ("FILL(m1, MIN(m1))", [1, 1, 4, 1]),
        ("FILL(m1, REPEAT)", [1, 1, 4, 4]),
        ("FILL(m1, LINEAR)", [1, 2.5, 4, None]),
        ("FILL(m1, m2)", [1, 9, 4, None]),
    ],
)
def test_functions_of_a_time_series(expression: str, expected: Values) -> None:
    assert _evaluate(expression, m1=[1, None, 4, None], m2=[None, 9, 9, None]) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("SUM(METRICS())", [3, 6, None]),
        ('SUM(METRICS("err"))', [1, 4, None]),
        ("SUM([err4, err5])", [1, 4, None]),
        ("AVG([err4, err5])", [0.5, 2, None]),  # a missing value counts as 0
        ("MIN([err4, err5])", [1, 1, None]),
        ("MAX([err4, err5])", [1, 3, None]),
        ("DATAPOINT_COUNT([err4, err5])", [1, 2, None]),
        ("SUM(100 / [err4, err5])", [100, pytest.approx(100 + 100 / 3), None]),
        ("SUM([err4, err5] / all)", [0.5, 2, None]),
        ("SUM(-[err4, err5])", [-1, -4, None]),
        ("MAX(FILL(METRICS(), 7))", [7, 3, 7]),
        ("SUM([METRICS('err'), all])", [3, 6, None]),
        ("FIRST(METRICS('err'))", [1, 1, None]),
        ("LAST(METRICS('err'))", [None, 3, None]),
        ("FIRST(REMOVE_EMPTY([all * (1 / 0), err5]))", [None, 3, None]),
        ("all / METRIC_COUNT(METRICS())", [2 / 3, 2 / 3, None]),
        ("SUM(DIFF([err4, err5]))", [None, 0, None]),
    ],
)
def test_functions_of_an_array_of_time_series(expression: str, expected: Values) -> None:
    metrics = {"err4": [1, 1, None], "err5": [None, 3, None], "all": [2, 2, None]}
    assert _evaluate(expression, **metrics) == expected


def test_an_expression_may_use_another() -> None:
    expressions = {"rate": "IF(calls > 9, percent)", "percent": "100 * errors / calls"}
    metrics = {"errors": _series([1, 1]), "calls": _series([10, 2])}
    assert evaluate("rate", expressions, metrics, timestamps=_TIMES, period=60) == {0: 10}


def test_expressions_may_be_nested_deeply() -> None:
    assert _evaluate("-" * 99 + "m1", m1=[1]) == [-1]


def test_metrics_leaves_expressions_out() -> None:
    expressions = {"e": "SUM(METRICS())", "other": "m * 2"}
    assert evaluate("e", expressions, {"m": _series([1])}, timestamps=_TIMES, period=60) == {0: 1}


def test_ids_may_be_words_of_python() -> None:
    assert _evaluate("in + lambda / not", **{"in": [1], "lambda": [4], "not": [2]}) == [3]


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("m1 +", "cannot read 'm1 \\+'"),
        ("m1 ** 2", "cannot read"),
        ("m1 // 2", "cannot read"),
        ("m1 % 2", "from character 3 on"),
        ("m1; m2", "from character 3 on"),
        ("m1.real", "from character 3 on"),
        ("__import__('os')", "from character 1 on"),
        ("m1[0]", "cannot understand"),
        ("SUM(^m1)", "cannot understand"),
        ("SUM(*m1)", "cannot understand"),
        ("(m1, m1)", "cannot understand '\\(m1, m1\\)'"),
        ("1 < m1 < 2", "cannot understand '1 < m1 < 2'"),
        ("+m1", "cannot understand"),
        ("m2", "no metric or expression has the id 'm2'"),
        ("SUM(m1)", "a time series is needed, not a number"),
        ("5", "a time series is needed, not a number"),
        ("METRICS()", "a time series is needed, not several time series"),
        ("'m1'", "a time series is needed, not a text"),
        ("ABS(1)", "a time series is needed, not a number"),
        ("m1 + 'a'", "a number is needed, not a text"),
        ("[m1] + [m1]", "two arrays of time series cannot be combined"),
        ("IF(m1, [m1])", "a number is needed, not several time series"),
        ("IF(m1)", "IF does not take 1 arguments"),
        ("FILL(m1, 'x')", "FILL fills with a number"),
        ("FIRST(METRICS('none'))", "an array of time series is empty"),
        ("e", "the expressions e need each other"),
        (
            "ANOMALY_DETECTION_BAND(m1)",
            "ANOMALY_DETECTION_BAND is not supported here; what is: ABS, AVG, .*TIME_SERIES",
        ),
        ("SEARCH('{A} b', 'Sum')", "SEARCH is not supported here"),
        ("sum(m1)", "sum is not supported here"),
        ("SELECT AVG(a) FROM b", "Metrics Insights queries are not supported here"),
        ("m1+" * 1000 + "m1", f"at most {MAX_EXPRESSION_LENGTH} characters, got 3002"),
        ("-" * 100 + "m1", "nested more than 100 times"),
        ("(" * 1000 + "m1" + ")" * 1000, "cannot read"),
    ],
)
def test_what_is_no_expression_is_refused_with_the_reason(expression: str, reason: str) -> None:
    with pytest.raises(MetricMathError, match=reason):
        _evaluate(expression, m1=[1])
