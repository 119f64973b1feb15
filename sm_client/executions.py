"""What trainings and transforms have in common: they run for a while, and end well or with a reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Status = Literal["running", "succeeded", "failed"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """Why a training or a transform failed.

    Args:
        code: The name of the error, such as ``DatasetError``.
        detail: Why, in words.
    """

    code: str
    detail: str

    @classmethod
    def from_json(cls, document: Mapping[str, str] | None) -> Failure | None:
        """Read the field ``error`` of a response body, if there is one. Raises KeyError where a part is missing."""
        return cls(code=document["code"], detail=document["detail"]) if document else None


def moment(text: str | None) -> datetime | None:
    """Return a date of a response body, if there is one. Raises ValueError for what is none."""
    return None if text is None else datetime.fromisoformat(text)
