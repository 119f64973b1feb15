"""What the API answers, as values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Token:
    """A word of a text.

    Args:
        text: The word.
        start: Offset of its first character (code point) in the text as it was sent.
        end: Offset just behind its last character.
    """

    text: str
    start: int
    end: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Annotations:
    """What the preprocessing function of a language found in one text."""

    tokens: tuple[Token, ...]

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Annotations:
        """Read a result's ``annotations``. Raises KeyError where a field is missing."""
        return cls(
            tokens=tuple(
                Token(text=token["text"], start=token["start"], end=token["end"]) for token in document["tokens"]
            )
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Classification:
    """The label of one text.

    Args:
        label: The most probable label.
        score: Its probability, from 0 to 1.
        scores: The probability of every label; they sum to 1.
        language: ``"en"`` or ``"zh"``: as asked for, or as detected.
        annotations: ``None`` unless they were asked for.
    """

    label: str
    score: float
    scores: Mapping[str, float]
    language: str
    annotations: Annotations | None = None

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Classification:
        """Read one of the ``results``. Raises KeyError where a field is missing."""
        annotations = document.get("annotations")
        return cls(
            label=document["label"],
            score=document["score"],
            scores=document["scores"],
            language=document["language"],
            annotations=None if annotations is None else Annotations.from_json(annotations),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Classifications:
    """The answer to one request; iterates over its results.

    Args:
        model_version: The version of the model that answered.
        results: One for each text, in the order of the texts.
        request_id: Names the request in the logs.
    """

    model_version: str
    results: tuple[Classification, ...]
    request_id: str

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Classifications:
        """Read a response body. Fields that this version does not know are ignored.

        Raises:
            KeyError: A field is missing.
        """
        return cls(
            model_version=document["model_version"],
            results=tuple(Classification.from_json(result) for result in document["results"]),
            request_id=document["request_id"],
        )

    def __len__(self) -> int:
        return len(self.results)

    def __iter__(self) -> Iterator[Classification]:
        return iter(self.results)
