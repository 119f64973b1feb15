"""Answer as the project's endpoints do. SageMaker's TensorFlow Serving container calls these two functions.

Without this file the container answers as TensorFlow Serving does: ``{"instances": […]}`` → ``{"predictions": […]}``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO, Protocol

_METADATA = json.loads((Path(__file__).parent / "metadata.json").read_text(encoding="utf-8"))


class Context(Protocol):
    """What the container says of a request, as far as it matters here."""

    accept_header: str


class Response(Protocol):
    """What TensorFlow Serving answered."""

    status_code: int
    content: bytes


def input_handler(data: IO[bytes], context: Context) -> str:  # noqa: ARG001 - it takes JSON alone
    """Return TensorFlow Serving's request for ``{"texts": […]}``."""
    return json.dumps({"instances": json.load(data)["texts"]})


def output_handler(response: Response, context: Context) -> tuple[str, str]:  # noqa: ARG001 - it answers in JSON
    """Return the answer's body and its media type.

    Raises:
        ValueError: TensorFlow Serving refused; the container makes status 500 of it.
    """
    if response.status_code != 200:
        raise ValueError(response.content.decode("utf-8"))
    rows = [dict(zip(_METADATA["labels"], row, strict=True)) for row in json.loads(response.content)["predictions"]]
    results = [_result(row) for row in rows]
    return json.dumps({"model_version": _METADATA["model_version"], "results": results}), "application/json"


def _result(scores: dict[str, float]) -> dict[str, object]:
    best = max(scores, key=lambda label: scores[label])
    return {"label": best, "score": scores[best], "scores": scores}
