"""The JSONPath that DataProcessing of a transform job understands.

https://docs.aws.amazon.com/sagemaker/latest/dg/batch-transform-data-processing.html#data-processing-operators
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

_STEP = re.compile(
    r"\.(?P<name>[\w-]+)|\[(?P<names>'[^']*'(?:\s*,\s*'[^']*')*)\]"
    r"|\[(?P<slice>-?\d*:-?\d*)\]|\[(?P<indexes>-?\d+(?:\s*,\s*-?\d+)*)\]"
)


def compiled(path: str) -> Callable[[Any], Any]:
    """Return what selects a path from a document.

    Raises:
        ValueError: It is no path, or one of another kind.

    >>> compiled("$['id','SageMakerOutput']")({"id": 1, "text": "a", "SageMakerOutput": "spam"})
    {'id': 1, 'SageMakerOutput': 'spam'}
    >>> compiled("$[1:]")(["id", "text", "label"]), compiled("$.texts[-1]")({"texts": ["a", "b"]})
    (['text', 'label'], 'b')
    """
    if not path.startswith("$"):
        raise ValueError(f"{path!r} does not begin with $")
    steps, position = [], 1
    while position < len(path):
        if (match := _STEP.match(path, position)) is None:
            raise ValueError(f"{path!r} cannot be read from {path[position:]!r} on")
        steps.append(_step(match))
        position = match.end()

    def select(document: Any) -> Any:
        for step in steps:
            document = step(document)
        return document

    return select


def _step(match: re.Match[str]) -> Callable[[Any], Any]:
    if (name := match["name"]) is not None:
        return lambda document: document[name]
    if match["names"] is not None:
        names = re.findall(r"'([^']*)'", match["names"])
        if len(names) == 1:
            return lambda document: document[names[0]]
        return lambda document: {one: document[one] for one in names}
    if match["slice"] is not None:
        first, last = (int(part) if part else None for part in match["slice"].split(":"))
        return lambda document: document[first:last]
    indexes = [int(part) for part in match["indexes"].split(",")]
    if len(indexes) == 1:
        return lambda document: document[indexes[0]]
    return lambda document: [document[index] for index in indexes]
