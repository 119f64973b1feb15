"""What the API answers, as values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Token:
    """A word, number or sign of a text.

    Args:
        text: The word.
        start: Offset of its first character (code point) in the text as it was sent.
        end: Offset just behind its last character.
        pos: Its part of speech, a Universal POS tag such as ``"NOUN"``.
    """

    text: str
    start: int
    end: int
    pos: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Entity:
    """A named entity of a text.

    Args:
        text: The entity.
        start: Offset of its first character (code point) in the text as it was sent.
        end: Offset just behind its last character.
        type: ``"PERSON"``, ``"LOCATION"``, ``"ORGANIZATION"``, or what else the language's model knows.
    """

    text: str
    start: int
    end: int
    type: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Annotations:
    """What the preprocessing function of a language found in one text.

    Args:
        tokens: In order.
        entities: In order.
        features: Numbers that describe the text, by their names.
        error: Why the text was not annotated; then there is nothing else. ``None``: it was.
    """

    tokens: tuple[Token, ...] = ()
    entities: tuple[Entity, ...] = ()
    features: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Annotations:
        """Read a result's ``annotations``. Raises KeyError where a field is missing."""
        if "error" in document:
            return cls(error=document["error"])
        return cls(
            tokens=tuple(
                Token(text=token["text"], start=token["start"], end=token["end"], pos=token["pos"])
                for token in document["tokens"]
            ),
            entities=tuple(
                Entity(text=entity["text"], start=entity["start"], end=entity["end"], type=entity["type"])
                for entity in document["entities"]
            ),
            features=document["features"],
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
