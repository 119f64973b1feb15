"""Answer texts with a packaged model, as an endpoint would: ``python probe.py MODEL_DIR REQUEST ANSWER``.

A process of its own, in which ``inference`` and all that it imports come from the model's ``code/`` alone. ``REQUEST``
is a file with ``{"texts": […], "timed": 100}``; ``ANSWER`` becomes ``{"model_version", "results", "errors",
"milliseconds"}``: a result is what the endpoint answers for a text, or ``null``, and each of the first ``timed`` texts
is answered alone, too, which takes the milliseconds.
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

_BATCH = 100
_WARM_UP = 5
_JSON = "application/json"


def probe(directory: Path, texts: list[str], timed: int) -> dict[str, object]:
    """Load the model and answer ``texts``."""
    inference = import_module("inference")
    model = inference.model_fn(str(directory))

    def answer(batch: list[str]) -> Any:  # noqa: ANN401  # what JSON holds
        prediction = inference.predict_fn(inference.input_fn(json.dumps({"texts": batch}), _JSON), model)
        body = inference.output_fn(prediction, _JSON)
        document = json.loads(body[0] if isinstance(body, tuple) else body)
        if len(document["results"]) != len(batch) or not all(
            isinstance(each["label"], str) for each in document["results"]
        ):
            raise ValueError(f"the answer to {len(batch)} texts is {str(document)[:200]}")
        return document

    version: str | None = None
    results: list[Any] = []
    errors: list[str] = []
    for start in range(0, len(texts), _BATCH):
        batch = texts[start : start + _BATCH]
        try:
            answers = [answer(batch)]
        except Exception:  # a text that it cannot read must not cost it the others
            answers = [_alone(answer, text, errors) for text in batch]
        for each in answers:
            version = each.get("model_version", version)
            results.extend(each["results"])
    milliseconds = []
    for number, text in enumerate([*texts[:_WARM_UP], *texts[:timed]]):
        began = time.perf_counter()
        _alone(answer, text, [])
        if number >= min(_WARM_UP, len(texts)):
            milliseconds.append((time.perf_counter() - began) * 1000)
    return {"model_version": version, "results": results, "errors": errors[:5], "milliseconds": milliseconds}


def _alone(answer: Any, text: str, errors: list[str]) -> Any:  # noqa: ANN401  # what JSON holds
    try:
        return answer([text])
    except Exception as error:
        errors.append(f"{type(error).__name__}: {error}")
        return {"results": [None]}


def main() -> None:
    """Probe as the command line says."""
    directory, request, answer = (Path(argument).resolve() for argument in sys.argv[1:])
    sys.path[0] = str(directory / "code")  # in the place of this script's directory, which has an `inference` as well
    os.chdir(directory)
    asked = json.loads(request.read_text(encoding="utf-8"))
    answer.write_text(json.dumps(probe(directory, asked["texts"], asked["timed"])), encoding="utf-8")


if __name__ == "__main__":
    main()
