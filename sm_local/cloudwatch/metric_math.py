"""CloudWatch's metric math: reading and evaluating expressions.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html

Left out, and refused by name: functions that search, sort or look at the calendar, STDDEV, those of services that are
not here (anomaly detection, Contributor Insights, service quotas), and Metrics Insights queries.
"""

from __future__ import annotations

import ast
import inspect
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from sm_local.cloudwatch import series as on
from sm_local.cloudwatch.series import MetricMathError, Series, Value

# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDataQuery.html
MAX_EXPRESSION_LENGTH = 2048
MAX_DEPTH = 100  # ours: what recursion Python allows is not ours to know

_TOKEN = re.compile(
    r"""\s*(?:(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
    |(?P<text>"[^"\\]*"|'[^'\\]*')
    |(?P<name>[A-Za-z]\w*)
    |(?P<operator>&&|\|\||[=!<>]=|[-+*/^()\[\],<>]))""",
    re.VERBOSE | re.ASCII,
)
_IN_PYTHON = {"AND": "and", "&&": "and", "OR": "or", "||": "or", "^": "**"}
_OPERATORS: Mapping[type[ast.AST], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: math.pow,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.And: lambda left, right: left != 0 and right != 0,
    ast.Or: lambda left, right: left != 0 or right != 0,
}
_FUNCTIONS: Mapping[str, Callable[..., Value]] = {
    "ABS": on.each_value(abs),
    "AVG": on.reduction(lambda values: sum(values) / len(values), missing_is_zero=True),
    "CEIL": on.each_value(math.ceil),
    "DATAPOINT_COUNT": on.reduction(len),
    "DIFF": on.each_series(on.differences),
    "FIRST": lambda array: on.nth(array, 0),
    "FLOOR": on.each_value(math.floor),
    "IF": on.choose,
    "LAST": lambda array: on.nth(array, -1),
    "LOG": on.each_value(math.log),
    "LOG10": on.each_value(math.log10),
    "MAX": on.reduction(max),
    "METRIC_COUNT": lambda array: float(len(on.several(array))),
    "MIN": on.reduction(min),
    "RATE": on.each_series(on.rates),
    "REMOVE_EMPTY": lambda array: [series for series in on.several(array) if series],
    "RUNNING_SUM": on.each_series(on.running_sum),
    "SUM": on.reduction(sum),
}


def evaluate(
    wanted: str,
    expressions: Mapping[str, str],
    metrics: Mapping[str, Series],
    *,
    timestamps: Sequence[float],
    period: float,
) -> Series:
    """Return the time series of one expression.

    Args:
        wanted: The id of the expression.
        expressions: All expressions by id; one may use another.
        metrics: All metrics by id.
        timestamps: Where a time series without gaps has datapoints, ascending.
        period: Seconds between two of them.

    Raises:
        MetricMathError: The expression cannot be evaluated, or gives a number or several time series.

    >>> evaluate("rate", {"rate": "100 * errors / calls"}, {"errors": {0: 1.0}, "calls": {0: 4.0, 60: 5.0}},
    ...          timestamps=(0, 60, 120), period=60)
    {0: 25.0, 60: 0.0}
    """
    return on.checked(_Evaluator(expressions, metrics, timestamps, period).query(wanted), dict)


@lru_cache(maxsize=512)
def parse(expression: str) -> ast.expr:
    """Return the syntax tree of an expression in Python's terms; each name in it has an underscore before it.

    Raises:
        MetricMathError: It is none.
    """
    if len(expression) > MAX_EXPRESSION_LENGTH:
        raise MetricMathError(f"an expression has at most {MAX_EXPRESSION_LENGTH} characters, got {len(expression)}")
    if expression.split(maxsplit=1)[:1] in (["SELECT"], ["select"]):
        raise MetricMathError("Metrics Insights queries are not supported here")
    tokens, position, end = [], 0, len(expression.rstrip())
    while position < end:
        token = _TOKEN.match(expression, position)
        if token is None:
            raise MetricMathError(f"cannot read {expression!r} from character {position + 1} on")
        text = token[0].strip()
        tokens.append(_IN_PYTHON.get(text, f"_{text}" if token["name"] else text))
        position = token.end()
    try:
        return ast.parse(" ".join(tokens), mode="eval").body
    except (SyntaxError, RecursionError, MemoryError):
        raise MetricMathError(f"cannot read {expression!r}") from None


class _Evaluator:
    def __init__(
        self, expressions: Mapping[str, str], metrics: Mapping[str, Series], timestamps: Sequence[float], period: float
    ) -> None:
        self._expressions = expressions
        self._metrics = metrics
        self._under_way: list[str] = []
        self._depth = 0
        self._functions: Mapping[str, Callable[..., Value]] = {
            **_FUNCTIONS,
            "FILL": lambda value, filler: on.each_series(lambda series: on.fill(series, filler, timestamps))(value),
            "METRICS": self._all_metrics,
            "PERIOD": lambda _metric: float(period),
            "TIME_SERIES": lambda number: dict.fromkeys(timestamps, on.checked(number, float)),
        }

    def query(self, name: str) -> Value:
        if name in self._metrics:
            return self._metrics[name]
        if name not in self._expressions:
            raise MetricMathError(f"no metric or expression has the id {name!r}")
        if name in self._under_way:
            raise MetricMathError(f"the expressions {', '.join(self._under_way)} need each other")
        self._under_way.append(name)
        value = self._value(parse(self._expressions[name]))
        self._under_way.pop()
        return value

    def _value(self, node: ast.expr) -> Value:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise MetricMathError(f"the expressions are nested more than {MAX_DEPTH} times")
        value = self._value_of(node)
        self._depth -= 1
        return value

    def _value_of(self, node: ast.expr) -> Value:  # noqa: PLR0911 - one for each kind of node
        match node:
            case ast.Constant(value=str() as text):
                return text
            case ast.Constant(value=int() | float() as number):
                return float(number)
            case ast.Name(id="_REPEAT" | "_LINEAR"):
                return node.id[1:]
            case ast.Name():
                return self.query(node.id[1:])
            case ast.List():
                return [series for element in node.elts for series in on.several(self._value(element))]
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return on.combine(operator.mul, -1.0, self._value(operand))
            case ast.BinOp(left=left, op=sign, right=right) | ast.Compare(left=left, ops=[sign], comparators=[right]):
                return on.combine(_OPERATORS[type(sign)], self._value(left), self._value(right))
            case ast.BoolOp(op=sign, values=[first, *others]):
                value = self._value(first)
                for other in others:
                    value = on.combine(_OPERATORS[type(sign)], value, self._value(other))
                return value
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
                return self._call(name[1:], [self._value(argument) for argument in arguments])
            case _:
                text = re.sub(r"\b_", "", ast.unparse(node))
                raise MetricMathError(f"cannot understand {text!r}")

    def _call(self, name: str, arguments: list[Value]) -> Value:
        function = self._functions.get(name)
        if function is None:
            raise MetricMathError(f"{name} is not supported here; what is: {', '.join(sorted(self._functions))}")
        try:
            inspect.signature(function).bind(*arguments)
        except TypeError:
            raise MetricMathError(f"{name} does not take {len(arguments)} arguments") from None
        return function(*arguments)

    def _all_metrics(self, part_of_id: Value = "") -> Value:
        part = on.checked(part_of_id, str)
        return [series for name, series in self._metrics.items() if part in name]
