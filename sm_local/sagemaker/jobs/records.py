"""The records of a transform job's input, and what is made of them and the answers of the model.

https://docs.aws.amazon.com/sagemaker/latest/dg/batch-transform-data-processing.html
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sm_local.sagemaker.jobs.json_paths import compiled

_CSV = "text/csv"


class RecordError(ValueError):
    """Records that cannot be filtered or joined."""


def mini_batches(body: bytes, *, lines: bool, several: bool, most_bytes: int) -> Iterator[list[bytes]]:
    r"""Yield the records of each request.

    Args:
        body: An input file.
        lines: Whether each of its lines is a record; else it is one record as a whole.
        several: Whether a request has as many records as fit.
        most_bytes: The size of a request, 0 for any.

    Raises:
        RecordError: A record is too large.

    >>> list(mini_batches(b"aa\nbb\n\ncc\n", lines=True, several=True, most_bytes=6))
    [[b'aa', b'bb'], [b'cc']]
    """
    records = [line.rstrip(b"\r") for line in body.split(b"\n") if line.strip()] if lines else [body]
    batch: list[bytes] = []
    size = 0
    for record in records:
        if most_bytes and len(record) > most_bytes:
            raise RecordError(f"a record of {len(record)} bytes is larger than MaxPayloadInMB")
        if batch and (not several or (most_bytes and size + len(record) + 1 > most_bytes)):
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += len(record) + 1
    if batch:
        yield batch


@dataclass(frozen=True, slots=True, kw_only=True)
class DataProcessing:
    """What goes to the model, and what of its answers is kept.

    Args:
        input_filter: Selects what the model gets.
        output_filter: Selects what is kept.
        join: Whether the input is kept beside the answer.
        content_type: Of the input.
        accept: Of the answers.
    """

    input_filter: str = "$"
    output_filter: str = "$"
    join: bool = False
    content_type: str = ""
    accept: str = ""

    def __post_init__(self) -> None:
        compiled(self.input_filter)
        compiled(self.output_filter)

    @property
    def by_record(self) -> bool:
        """Whether answers must be taken apart."""
        return self.join or self.output_filter != "$"

    def request(self, records: Sequence[bytes]) -> bytes:
        """Return the body of a request. Raises RecordError when a record has not what the filter selects."""
        if self.input_filter != "$":
            records = [self._filtered(self.input_filter, record) for record in records]
        return b"\n".join(records)

    def result(self, records: Sequence[bytes], answer: bytes) -> bytes:
        """Return what is kept of an answer. Raises RecordError when answer and records do not fit."""
        if not self.by_record:
            return answer
        outputs = [line for line in answer.split(b"\n") if line.strip()] if len(records) > 1 else [answer.strip()]
        if len(outputs) != len(records):
            raise RecordError(f"{len(records)} records have {len(outputs)} answers: there must be a line for each")
        return b"\n".join(self._kept(record, output) for record, output in zip(records, outputs, strict=True))

    def _kept(self, record: bytes, output: bytes) -> bytes:
        if not self.join:
            return self._filtered(self.output_filter, output, self.accept or self.content_type)
        if self.content_type.startswith(_CSV):
            return _as_csv(_selected(self.output_filter, [*_from_csv(record), *_from_csv(output)]))
        source, answer = _from_json(record), _from_json(output)
        joined = {**source} if isinstance(source, dict) else {"SageMakerInput": source}
        return _as_json(_selected(self.output_filter, {**joined, "SageMakerOutput": answer}))

    def _filtered(self, path: str, record: bytes, content_type: str | None = None) -> bytes:
        if (content_type or self.content_type).startswith(_CSV):
            return _as_csv(_selected(path, _from_csv(record)))
        return _as_json(_selected(path, _from_json(record)))


def _selected(path: str, document: Any) -> Any:
    try:
        return compiled(path)(document)
    except (KeyError, IndexError, TypeError) as error:
        raise RecordError(f"a record has no {path}: {error}") from error


def _from_json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise RecordError(f"a record is not JSON: {error}") from error


def _as_json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _from_csv(line: bytes) -> list[str]:
    return next(csv.reader([line.decode()]), [])


def _as_csv(value: Any) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow(value if isinstance(value, list) else [value])
    return buffer.getvalue().encode()
