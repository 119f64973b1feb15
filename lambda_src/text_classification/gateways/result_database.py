"""The result database: one row for each text that was classified."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

from text_classification.gateways.data_api import DataApi, sql_parameters

if TYPE_CHECKING:
    from mypy_boto3_rds_data.type_defs import SqlParameterTypeDef

# The Data API takes requests of 4 MiB, JSON and headers included.
# https://docs.aws.amazon.com/rdsdataservice/latest/APIReference/API_BatchExecuteStatement.html
MAX_BATCH_BYTES = 3 * 1024 * 1024
MAX_BATCH_ROWS = 1_000

_INSERT = """
INSERT INTO classifications
    (job_id, text_index, text, label, score, scores, language, model_version, classified_at)
VALUES (
    :job_id, :text_index, :text, :label, :score,
    CAST(:scores AS jsonb), :language, :model_version, CAST(:classified_at AS timestamptz)
)
ON CONFLICT (job_id, text_index) DO NOTHING
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassificationRow:
    """A row of the table ``classifications``.

    Args:
        job_id: The job that the text belongs to.
        text_index: The text's place in its job, from 0.
        text: The text as it was sent.
        label: The likeliest label.
        score: Its probability, 0 to 1.
        scores: The probability of each label.
        language: The language's code, such as ``"en"``; None when nobody looked.
        model_version: The model that found the label.
        classified_at: When, with a time zone.

    Raises:
        ValueError: ``classified_at`` has no time zone.
    """

    job_id: str
    text_index: int
    text: str
    label: str
    score: float
    scores: Mapping[str, float]
    language: str | None
    model_version: str
    classified_at: datetime

    def __post_init__(self) -> None:
        if self.classified_at.tzinfo is None:
            raise ValueError("classified_at has no time zone: use datetime.now(UTC)")


class ResultStore(Protocol):
    """Whatever can keep classifications."""

    def save(self, rows: Sequence[ClassificationRow]) -> None:
        """Keep the rows; those that are kept already stay as they are. Raises GatewayError."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class DataApiResultStore:
    """Keeps classifications in the result database.

    Args:
        data_api: The database.
    """

    data_api: DataApi

    def save(self, rows: Sequence[ClassificationRow]) -> None:
        """Insert the rows that are not there yet, in as few calls as the Data API's limits allow.

        After a failure some of the rows may be there. Saving all of them again is harmless, and the thing to do.

        Raises:
            GatewayError: A call failed; UnavailableError while the database resumes from a pause.
        """
        # In one order, so that two calls with the same rows wait for each other and never lock each other out.
        ordered = sorted(rows, key=lambda row: (row.job_id, row.text_index))
        for batch in _batches([_parameters(row) for row in ordered]):
            self.data_api.execute_batch(_INSERT, batch)


def _parameters(row: ClassificationRow) -> list[SqlParameterTypeDef]:
    return sql_parameters(
        {
            "job_id": row.job_id,
            "text_index": row.text_index,
            "text": row.text,
            "label": row.label,
            "score": float(row.score),
            "scores": json.dumps(dict(row.scores), ensure_ascii=False),
            "language": row.language,
            "model_version": row.model_version,
            "classified_at": row.classified_at.isoformat(),
        }
    )


def _batches(sets: Sequence[list[SqlParameterTypeDef]]) -> Iterator[Sequence[list[SqlParameterTypeDef]]]:
    """Split into batches that keep to the limits; a set that breaks them by itself is a batch of its own."""
    starts, rows, size = [0], 0, 0
    for index, parameters in enumerate(sets):
        length = len(json.dumps(parameters))  # boto3, too, writes what is not ASCII in six bytes
        if rows and (rows == MAX_BATCH_ROWS or size + length > MAX_BATCH_BYTES):
            starts.append(index)
            rows, size = 0, 0
        rows, size = rows + 1, size + length
    for start, end in pairwise([*starts, len(sets)]):
        if start < end:
            yield sets[start:end]
