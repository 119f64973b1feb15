"""Reading what can be chosen for a training from a JSON schema: the one place that says names, defaults and limits.

The training scripts read ``hyperparameters.json`` and ``torch_hyperparameters.json`` here; so does whoever checks a
request before a training job is paid for.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

Properties: TypeAlias = Mapping[str, Mapping[str, Any]]
"""The JSON schema of each hyperparameter."""


class HyperparameterError(ValueError):
    """Hyperparameters that are not allowed; the message names all of them and what is allowed."""


def read_properties(name: str) -> Properties:
    """Return the ``properties`` of the schema that lies beside this module, in the file ``name``."""
    schema = json.loads(Path(__file__).with_name(name).read_text(encoding="utf-8"))
    properties: Properties = schema["properties"]
    return properties


def allowed(schema: Mapping[str, Any]) -> str:
    """Return what a hyperparameter may be, in words.

    >>> allowed({"type": "integer", "minimum": 1, "maximum": 10})
    'from 1 to 10'
    >>> allowed({"type": "number", "minimum": 0, "maximum": 5, "anyOf": [{"const": 0}, {"minimum": 2}]})
    '0 to choose it, or from 2 to 5'
    """
    if "enum" in schema:
        return f"one of {', '.join(schema['enum'])}"
    if schema["type"] == "boolean":
        return "true or false"
    if "anyOf" in schema:
        zero, others = schema["anyOf"]
        return f"{zero['const']} to choose it, or from {others['minimum']} to {schema['maximum']}"
    return f"from {schema['minimum']} to {schema['maximum']}"


def problems(properties: Properties, values: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with each of the values, all of which are of the right type."""
    for name, schema in properties.items():
        value = values[name]
        shown = repr(value) if isinstance(value, str) else value
        if not _is_allowed(schema, value):
            yield f"{name} is {shown}: must be {allowed(schema)}"
    if values["ngram_min"] > values["ngram_max"]:
        yield f"ngram_min is {values['ngram_min']}: must not be above ngram_max, which is {values['ngram_max']}"


def add_options(parser: argparse.ArgumentParser, properties: Properties) -> None:
    """Give ``parser`` an option for each hyperparameter.

    Both spellings are taken: ``--ngram-max``, and ``--ngram_max`` as SageMaker's containers pass it.
    """
    for name, schema in properties.items():
        parser.add_argument(
            *dict.fromkeys((f"--{name}", f"--{name.replace('_', '-')}")),
            dest=name,
            type=_TYPES[schema["type"]],
            default=schema["default"],
            help=f"{schema['description']} {allowed(schema)}; {json.dumps(schema['default'])} when omitted",
        )


def parse(
    parser: argparse.ArgumentParser, properties: Properties, arguments: Sequence[str] | None
) -> argparse.Namespace:
    """Return the parsed arguments; exit with code 2 and the names that there are when some are unknown."""
    parsed, unknown = parser.parse_known_args(arguments)
    if unknown:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in properties)
        parser.error(f"unknown: {' '.join(unknown)}; hyperparameters are {options}")
    return parsed


def _is_allowed(schema: Mapping[str, Any], value: Any) -> bool:  # noqa: ANN401  # of the type that the schema says
    if "enum" in schema:
        return value in schema["enum"]
    if schema["type"] == "boolean":
        return isinstance(value, bool)
    if any(value == choice.get("const") for choice in schema.get("anyOf", ())):
        return True
    lowest = max(each["minimum"] for each in (schema, *schema.get("anyOf", ())) if "minimum" in each)
    return math.isfinite(value) and bool(lowest <= value <= schema["maximum"])


def _truth(value: str) -> bool:
    """Return what SageMaker's ``true`` or ``false`` means."""
    if value.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{value!r} must be true or false")
    return value.lower() == "true"


_TYPES: Mapping[str, Callable[[str], object]] = {"integer": int, "number": float, "boolean": _truth, "string": str}
