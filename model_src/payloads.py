"""The endpoint's payloads: texts in, results out, as JSON, JSON lines or CSV.

========================  =========================  =====================================================
media type                request                    answer
========================  =========================  =====================================================
``application/json``      ``{"texts": ["…"]}``       ``{"model_version", "results": [{"label", "score",
                                                     "scores"}]}``
``application/jsonlines``  a line for each text:     a line for each text:
                          ``{"text": "…"}``          ``{"model_version", "label", "score", "scores"}``
``text/csv``              a line for each text, one  a line for each text, without a header:
                          column without a header    ``label,score,scores,model_version``, with ``scores``
                                                     as JSON
========================  =========================  =====================================================

Lines of answers are in the order of the texts. Fields of a JSON object that are not named here are ignored.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypedDict

JSON = "application/json"


class Result(TypedDict):
    """What the model says of one text: the likeliest label, its probability, and those of all labels."""

    label: str
    score: float
    scores: dict[str, float]


class Prediction(TypedDict):
    """What the model says of a batch, in the order of its texts."""

    model_version: str
    results: list[Result]


class PayloadError(ValueError):
    """A body that is not what its media type promises; the message says where and what is expected."""


def read_json(body: str) -> list[str]:
    """Return the texts of ``{"texts": ["…"]}``.

    >>> read_json('{"texts": ["good", "bad"]}')
    ['good', 'bad']
    """
    document = _parse_json(body, "the body")
    texts = document.get("texts") if isinstance(document, dict) else None
    if not isinstance(texts, list):
        raise PayloadError('the body must be an object like {"texts": ["..."]}')
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise PayloadError(f"texts[{index}] must be a string")
    return texts


def read_json_lines(body: str) -> list[str]:
    r"""Return the text of each line's ``{"text": "…"}``.

    >>> read_json_lines('{"text": "good"}\n{"text": "bad", "id": 7}\n')
    ['good', 'bad']
    """
    texts = []
    # Only "\n" ends a line: str.splitlines would also split at characters that JSON strings may hold.
    for number, line in enumerate(body.removesuffix("\n").split("\n") if body else (), start=1):
        document = _parse_json(line, f"line {number}")
        text = document.get("text") if isinstance(document, dict) else None
        if not isinstance(text, str):
            raise PayloadError(f'line {number} must be an object like {{"text": "..."}}')
        texts.append(text)
    return texts


def read_csv(body: str) -> list[str]:
    r"""Return the only column; an empty line is an empty text, so that answers stay beside their texts.

    >>> read_csv('good\n"bad, ""really"" bad"\n')
    ['good', 'bad, "really" bad']
    """
    texts = []
    reader = csv.reader(io.StringIO(body, newline=""), strict=True)
    try:
        for row in reader:
            if len(row) > 1:
                raise PayloadError(
                    f"line {reader.line_num} has {len(row)} columns: one text a line, quoted where it has a comma"
                )
            texts.append(row[0] if row else "")
    except csv.Error as error:
        raise PayloadError(f"line {reader.line_num} is not CSV: {error}") from error
    return texts


def write_json(prediction: Prediction) -> str:
    """Return the prediction as it is."""
    return json.dumps(prediction, ensure_ascii=False)


def write_json_lines(prediction: Prediction) -> str:
    """Return an object a line, each with the model's version."""
    version = prediction["model_version"]
    objects = ({"model_version": version, **result} for result in prediction["results"])
    return "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in objects)


def write_csv(prediction: Prediction) -> str:
    """Return ``label,score,scores,model_version`` a line."""
    lines = io.StringIO(newline="")
    writer = csv.writer(lines, lineterminator="\n")
    for result in prediction["results"]:
        scores = json.dumps(result["scores"], ensure_ascii=False)
        writer.writerow([result["label"], result["score"], scores, prediction["model_version"]])
    return lines.getvalue()


READERS: Mapping[str, Callable[[str], list[str]]] = MappingProxyType(
    {JSON: read_json, "application/jsonlines": read_json_lines, "text/csv": read_csv}
)
WRITERS: Mapping[str, Callable[[Prediction], str]] = MappingProxyType(
    {JSON: write_json, "application/jsonlines": write_json_lines, "text/csv": write_csv}
)


def _parse_json(text: str, what: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PayloadError(f"{what} is not JSON: {error}") from error
