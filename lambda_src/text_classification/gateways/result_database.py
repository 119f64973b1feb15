"""The database of results: one row for each classified text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassificationRow:
    """What is known of one text of a job."""

    job_id: str
    text_index: int
    text: str
    label: str
    score: float
    scores: Mapping[str, float]
    language: str
    model_version: str
    classified_at: datetime


class ResultStore(Protocol):
    """Whatever can keep results."""

    def save(self, rows: Sequence[ClassificationRow]) -> None:
        """Keep the rows; those of a job and text that are there already are not kept twice. Raises GatewayError."""
        ...
