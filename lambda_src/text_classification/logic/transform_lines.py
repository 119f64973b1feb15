r"""The lines of a file that is to be transformed, checked before the model gets them.

SageMaker gives up a whole file when the model refuses one of its lines, so lines that it would refuse are left out.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

from text_classification.logic.dataset_parts import row
from text_classification.logic.requests import InvalidRequestError, Text, validated
from text_classification.logic.transform_requests import CSV

ANSWER = "SageMakerOutput"
"""The field that SageMaker adds to each object: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DataProcessing.html"""

_BLOCK_BYTES = 8 * 1024 * 1024


class _Texts(BaseModel):
    model_config = ConfigDict(strict=True)

    text: Text


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One line of a file.

    Args:
        number: Counted from 1.
        content: Its bytes, without the end; of a line that is too long its beginning.
        problem: Why the model does not get it. None: it does, unless it is blank.
        as_sent: Whether the line is as it would be written: it ends with a line feed alone, and is not blank.
    """

    number: int
    content: bytes
    problem: str | None
    as_sent: bool

    @property
    def is_record(self) -> bool:
        """Whether the model gets it."""
        return self.problem is None and bool(self.content)


def checked_lines(read: Callable[[int, int], bytes], size: int, *, kind: str, max_bytes: int) -> Iterator[Line]:
    r"""Yield the lines of a file.

    Args:
        read: Returns the bytes from a position to another.
        size: Of the file, in bytes.
        kind: ``.jsonl`` or ``.csv``.
        max_bytes: The most that a line may have.

    >>> content = b'{"text": "good"}\n\n[1]\r\n'
    >>> found = checked_lines(lambda start, end: content[start:end], len(content), kind=".jsonl", max_bytes=100)
    >>> [(line.number, line.is_record, line.as_sent, line.problem) for line in found]
    [(1, True, True, None), (2, False, False, None), (3, False, False, 'not an object with a text')]
    """
    for number, raw in enumerate(_raw_lines(read, size, max_bytes + 2), start=1):
        content = raw.removesuffix(b"\r")
        if number == 1:
            content = content.removeprefix(b"\xef\xbb\xbf")
        if not content.strip():
            yield Line(number=number, content=b"", problem=None, as_sent=False)
            continue
        if len(content) > max_bytes:
            problem: str | None = (
                f"has more than {max_bytes:,} bytes, which is the most that one call of the model takes"
            )
        else:
            problem = csv_problem(content) if kind == CSV else json_problem(content)
        yield Line(number=number, content=content, problem=problem, as_sent=content == raw and problem is None)


def json_problem(line: bytes) -> str | None:
    r"""Say why a line is no object with a text that can be labelled.

    >>> json_problem(b'{"id": 7}'), json_problem(b'{"text": "good", "SageMakerOutput": 1}')
    ('not an object with a text', 'has the field SageMakerOutput, which the result would replace')
    """
    found = row(line)
    if isinstance(found, str):
        return found
    if ANSWER in found.fields:
        return f"has the field {ANSWER}, which the result would replace"
    return text_problem(found.text)


def csv_problem(line: bytes) -> str | None:
    r"""Say why a line is not one text as CSV.

    >>> csv_problem(b'good'), csv_problem(b'"well, good"'), csv_problem(b'well, good')
    (None, None, 'has 2 columns: one text a line, quoted where it has a comma')
    """
    try:
        columns = next(csv.reader([line.decode()], strict=True))
    except UnicodeDecodeError as error:
        return f"not UTF-8: byte {error.start}"
    except csv.Error as error:
        return f"not CSV: {error}; a text must not go over several lines"
    if len(columns) != 1:
        return f"has {len(columns)} columns: one text a line, quoted where it has a comma"
    return text_problem(columns[0])


def text_problem(text: object) -> str | None:
    """Say what is wrong with a text by the rules of ``POST /v1/classifications``."""
    try:
        validated(lambda: _Texts.model_validate({"text": text}), _Texts)
    except InvalidRequestError as error:
        return error.problems[0]
    return None


def text_of(line: bytes, kind: str) -> str:
    """Return the text of a line that was checked."""
    if kind == CSV:
        return next(csv.reader([line.decode()]))[0]
    return str(json.loads(line)["text"])


def answered_text(line: bytes, kind: str) -> str | None:
    r"""Return the text that a line of results is about; None of one that has no result.

    >>> answered_text(b'{"text": "good", "id": 7, "SageMakerOutput": {"label": "x"}}', ".jsonl")
    'good'
    >>> answered_text(b'"well, good",x,0.9,"{}",v1', ".csv")
    'well, good'
    >>> answered_text(b'{"text": "good"}', ".jsonl")
    """
    try:
        if kind == CSV:
            columns = next(csv.reader([line.decode()], strict=True), [])
            return columns[0] if len(columns) > 1 else None
        fields: Any = json.loads(line)
    except (ValueError, csv.Error):
        return None
    has_answer = isinstance(fields, dict) and isinstance(fields.get(ANSWER), dict)
    return fields["text"] if has_answer and isinstance(fields.get("text"), str) else None


def records(read: Callable[[int, int], bytes], size: int) -> Iterator[bytes]:
    r"""Yield the lines of a file that are not blank.

    >>> list(records(lambda start, end: b"a\n\nb\r\n"[start:end], 6))
    [b'a', b'b']
    """
    for raw in _raw_lines(read, size, None):
        if content := raw.removesuffix(b"\r"):
            yield content


def _raw_lines(read: Callable[[int, int], bytes], size: int, most: int | None) -> Iterator[bytes]:
    """Yield lines without their line feeds; of a line longer than ``most`` at least so much of its beginning."""
    pending = b""
    for start in range(0, size, _BLOCK_BYTES):
        *complete, rest = read(start, min(start + _BLOCK_BYTES, size)).split(b"\n")
        for line in complete:
            yield pending + line
            pending = b""
        if most is None or len(pending) <= most:
            pending += rest
    if pending:
        yield pending
