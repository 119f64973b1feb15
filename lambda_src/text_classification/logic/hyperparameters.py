"""What a training script can be told, checked against its own JSON schemas before anything is started."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from text_classification.logic.requests import shown

Schema = Mapping[str, Any]
"""JSON schema of one hyperparameter; of its words those that a single value needs."""

_MAX_CHARACTERS = 2_500
"""https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html"""


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_TYPES: Mapping[str, tuple[str, Callable[[object], bool]]] = {
    "boolean": ("true or false", lambda value: isinstance(value, bool)),
    "integer": ("a whole number", lambda value: isinstance(value, int) and not isinstance(value, bool)),
    "number": ("a number", _is_number),
    "string": ("a string", lambda value: isinstance(value, str)),
}


def hyperparameter_problems(values: Mapping[str, object], schemas: Mapping[str, Schema], where: str) -> Iterator[str]:
    """Yield what is wrong with hyperparameters, each with what is allowed.

    Args:
        values: The hyperparameters.
        schemas: Those that the script knows.
        where: What they are called in the request.

    >>> list(hyperparameter_problems({"epoch": 3, "rate": "1"}, {"rate": {"type": "number"}}, "hyperparameters"))
    ['hyperparameters.epoch is not known: the training script knows rate', \
'hyperparameters.rate is "1": must be a number']
    """
    for name, value in values.items():
        if name not in schemas:
            yield f"{where}.{name[:40]} is not known: the training script knows {', '.join(sorted(schemas))}"
        elif allowed := _refusal(value, schemas[name]):
            yield f"{where}.{name} is {shown(value)}: must be {allowed}"


def range_problems(values: Mapping[str, object], schemas: Mapping[str, Schema]) -> Iterator[str]:
    """Yield which ranges end before they begin: hyperparameters whose names end in ``_min`` and ``_max``.

    JSON schema has no word for it, and a training job would only find out once it is paid for.

    Args:
        values: The hyperparameters of one trial, each allowed by its schema.
        schemas: Those that the script knows, with their defaults.

    >>> schemas = {"ngram_min": {"default": 1}, "ngram_max": {"default": 4}}
    >>> list(range_problems({"ngram_min": 5}, schemas))
    ['ngram_min is 5: must not be above ngram_max, which is 4']
    """
    for name in schemas:
        other = f"{name.removesuffix('_min')}_max"
        if not name.endswith("_min") or other not in schemas:
            continue
        low = values.get(name, schemas[name].get("default"))
        high = values.get(other, schemas[other].get("default"))
        if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
            yield f"{name} is {shown(low)}: must not be above {other}, which is {shown(high)}"


def instance_problems(values: Mapping[str, object], schemas: Mapping[str, Schema]) -> Iterator[str]:
    """Yield which hyperparameters a training job on several instances would refuse: ``one_instance`` of their schemas.

    Args:
        values: The hyperparameters of one trial, each allowed by its schema.
        schemas: Those that the script knows, with their defaults.

    >>> schemas = {"loss": {"enum": ["log_loss", "hinge"], "one_instance": ["hinge"]}}
    >>> list(instance_problems({"loss": "hinge"}, schemas))
    ['loss is "hinge": must be another one where instance_count is above 1']
    """
    for name, schema in schemas.items():
        value = values.get(name, schema.get("default"))
        if any(_same(value, each) for each in schema.get("one_instance", ())):
            yield f"{name} is {shown(value)}: must be another one where instance_count is above 1"


def as_strings(values: Mapping[str, object]) -> dict[str, str]:
    """Return hyperparameters as SageMaker passes them on: strings, which its toolkit reads as JSON where they are.

    >>> as_strings({"text_features": True, "ngram_max": 3, "loss": "hinge"})
    {'text_features': 'true', 'ngram_max': '3', 'loss': 'hinge'}
    """
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}


def _refusal(value: object, schema: Schema) -> str | None:
    """Return what is allowed, if the value is not."""
    alternatives = schema.get("anyOf") or schema.get("oneOf")
    if alternatives:
        refusals = [_refusal(value, {**schema, "anyOf": None, "oneOf": None, **each}) for each in alternatives]
        return " or ".join(dict.fromkeys(map(str, refusals))) if all(refusals) else None
    return None if _fits(value, schema) else _allowed(schema)


def _fits(value: object, schema: Schema) -> bool:
    types = _types(schema)
    if types and not any(_TYPES[name][1](value) for name in types):
        return False
    if "const" in schema and not _same(value, schema["const"]):
        return False
    if "enum" in schema and not any(_same(value, each) for each in schema["enum"]):
        return False
    if isinstance(value, str):
        pattern = schema.get("pattern")
        return len(value) <= schema.get("maxLength", _MAX_CHARACTERS) and not (
            pattern and not re.search(pattern, value)
        )
    if not isinstance(value, int | float):
        return False
    return (
        math.isfinite(value)
        and schema.get("minimum", value) <= value <= schema.get("maximum", value)
        and ("exclusiveMinimum" not in schema or value > schema["exclusiveMinimum"])
        and ("exclusiveMaximum" not in schema or value < schema["exclusiveMaximum"])
    )


def _allowed(schema: Schema) -> str:
    if "const" in schema:
        return shown(schema["const"])
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    words = " or ".join(_TYPES[name][0] for name in _types(schema)) or "a single value"
    limits = [
        f"{word} {schema[name]}"
        for name, word in (
            ("minimum", "from"),
            ("exclusiveMinimum", "above"),
            ("maximum", "to" if "minimum" in schema else "at most"),
            ("exclusiveMaximum", "below"),
        )
        if name in schema
    ]
    if "pattern" in schema:
        limits.append(f"that matches {schema['pattern']}")
    if words == "a string":
        limits.append(f"of at most {schema.get('maxLength', _MAX_CHARACTERS):,} characters")
    return " ".join([words, *limits])


def _types(schema: Schema) -> list[str]:
    found = schema.get("type", [])
    return [found] if isinstance(found, str) else list(found)


def _same(value: object, other: object) -> bool:
    return value == other and isinstance(value, bool) is isinstance(other, bool)
