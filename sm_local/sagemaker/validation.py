"""SageMaker's own limits on the members of a request: required, type, range, length, enumeration and pattern.

They are read from botocore's description of the service, so they are as current as botocore is, and refused in the
words that AWS services use for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import botocore.session
from botocore.model import ListShape, MapShape, ServiceModel, Shape, StructureShape

from sm_local.sagemaker.errors import invalid
from sm_local.sagemaker.registry import Parameters

_NUMBERS = ("integer", "long", "float", "double")


def check(operation: str, parameters: Parameters) -> None:
    """Check a request of the control plane.

    Args:
        operation: Such as ``CreateEndpointConfig``; one that botocore does not know is not checked.
        parameters: What the caller sent.

    Raises:
        SageMakerError: With everything that is wrong.
    """
    if (shape := _input_shape(operation)) is None:
        return
    problems = list(_problems(shape, parameters, ""))
    if problems:
        count = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} detected"
        raise invalid(f"{count}: {'; '.join(problems)}")


def typed(operation: str, properties: Parameters) -> Parameters:
    """Return a resource's properties with the types of a request's members; what is no member is left out.

    A template's parameters are strings, and CloudFormation makes numbers and booleans of them.

    >>> typed("CreateEndpointConfig", {"ProductionVariants": [{"InitialInstanceCount": "2"}], "DependsOn": "x"})
    {'ProductionVariants': [{'InitialInstanceCount': 2}]}
    """
    shape = _input_shape(operation)
    converted = properties if shape is None else _converted(shape, properties)
    return dict(converted)


@cache
def _service() -> ServiceModel:
    return botocore.session.get_session().get_service_model("sagemaker")


def _input_shape(operation: str) -> StructureShape | None:
    if operation not in _service().operation_names:
        return None
    return _service().operation_model(operation).input_shape


def _converted(shape: Shape, value: Any) -> Any:
    match shape:
        case StructureShape() if isinstance(value, dict):
            return {name: _converted(shape.members[name], one) for name, one in value.items() if name in shape.members}
        case ListShape() if isinstance(value, list):
            return [_converted(shape.member, one) for one in value]
    return _from_text(shape.type_name, value) if isinstance(value, str) else value


def _from_text(type_name: str, text: str) -> Any:
    """Return the number or boolean that a text stands for, else the text."""
    try:
        match type_name:
            case "integer" | "long":
                return int(text)
            case "float" | "double":
                return float(text)
            case "boolean":
                return {"true": True, "false": False}.get(text.lower(), text)
    except ValueError:
        pass
    return text


def _problems(shape: Shape, value: Any, path: str) -> Iterator[str]:
    match shape:
        case StructureShape():
            if not isinstance(value, dict):
                yield _wrong(value, path, "Member must be a structure")
                return
            for name in shape.required_members:
                if value.get(name) is None:
                    yield f"Value null at '{_below(path, name)}' failed to satisfy constraint: Member must not be null"
            for name, one in value.items():
                if name in shape.members and one is not None:
                    yield from _problems(shape.members[name], one, _below(path, name))
        case ListShape():
            if not isinstance(value, list):
                yield _wrong(value, path, "Member must be a list")
                return
            yield from _size(shape, len(value), value, path)
            for index, one in enumerate(value, start=1):
                yield from _problems(shape.member, one, f"{path}.{index}.member")
        case MapShape():
            if not isinstance(value, dict):
                yield _wrong(value, path, "Member must be a map")
                return
            yield from _size(shape, len(value), value, path)
        case _:
            yield from _scalar(shape, value, path)


def _scalar(shape: Shape, value: Any, path: str) -> Iterator[str]:
    if shape.type_name == "string":
        if not isinstance(value, str):
            yield _wrong(value, path, "Member must be a string")
            return
        yield from _size(shape, len(value), value, path)
        enum = shape.metadata.get("enum")
        if enum and value not in enum:
            yield _wrong(value, path, f"Member must satisfy enum value set: [{', '.join(enum)}]")
        pattern = shape.metadata.get("pattern")
        # Java's pattern classes, such as \p{Print}, are not Python's.
        if pattern and "\\p" not in pattern and not re.fullmatch(pattern.removeprefix("^").removesuffix("$"), value):
            yield _wrong(value, path, f"Member must satisfy regular expression pattern: {pattern}")
    elif shape.type_name in _NUMBERS:
        if not isinstance(value, int | float) or isinstance(value, bool):
            yield _wrong(value, path, "Member must be a number")
            return
        least, most = shape.metadata.get("min"), shape.metadata.get("max")
        if least is not None and value < least:
            yield _wrong(value, path, f"Member must have value greater than or equal to {least}")
        if most is not None and value > most:
            yield _wrong(value, path, f"Member must have value less than or equal to {most}")


def _size(shape: Shape, size: int, value: Any, path: str) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and size < least:
        yield _wrong(value, path, f"Member must have length greater than or equal to {least}")
    if most is not None and size > most:
        yield _wrong(value, path, f"Member must have length less than or equal to {most}")


def _wrong(value: Any, path: str, constraint: str) -> str:
    return f"Value '{value}' at '{path}' failed to satisfy constraint: {constraint}"


def _below(path: str, name: str) -> str:
    member = name[0].lower() + name[1:]
    return f"{path}.{member}" if path else member
