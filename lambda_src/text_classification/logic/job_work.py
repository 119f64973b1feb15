"""What jobs ask for, in memory, and how much of it goes together."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from textprep import Language

from text_classification.logic.requests import ClassificationRequest

_Item = TypeVar("_Item")


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """How much a call of the model is asked, and what goes with it.

    Args:
        payload_bytes: Its body.
        texts: Its texts.
        characters: All of them together.
        annotator_calls: The calls that annotate them.
    """

    payload_bytes: int = 0
    texts: int = 0
    characters: int = 0
    annotator_calls: int = 0

    def __add__(self, other: Size) -> Size:
        return Size(
            payload_bytes=self.payload_bytes + other.payload_bytes,
            texts=self.texts + other.texts,
            characters=self.characters + other.characters,
            annotator_calls=self.annotator_calls + other.annotator_calls,
        )

    def within(self, other: Size) -> bool:
        """Return whether nothing of it is more than of the other."""
        return (
            self.payload_bytes <= other.payload_bytes
            and self.texts <= other.texts
            and self.characters <= other.characters
            and self.annotator_calls <= other.annotator_calls
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """A job that was read.

    Args:
        job_id: The job.
        request: What it asks for.
        languages: Of each of its texts.

    Attributes:
        size: How much of a call it needs.
    """

    job_id: str
    request: ClassificationRequest
    languages: Sequence[Language]
    size: Size = field(init=False)

    def __post_init__(self) -> None:
        texts = self.request.texts
        payload = json.dumps({"texts": texts}, ensure_ascii=False)
        size = Size(
            payload_bytes=len(payload.encode()),
            texts=len(texts),
            characters=sum(map(len, texts)),
            annotator_calls=len(set(self.languages)) if self.request.annotations else 0,
        )
        object.__setattr__(self, "size", size)


def together(
    items: Iterable[_Item], size_of: Callable[[_Item], Size], fits: Callable[[Size], bool]
) -> Iterator[list[_Item]]:
    """Yield as many items together as fit, in their order; one that does not fit by itself is alone.

    >>> list(together("abcde", lambda _: Size(texts=1), lambda size: size.texts <= 2))
    [['a', 'b'], ['c', 'd'], ['e']]
    """
    some: list[_Item] = []
    size = Size()
    for item in items:
        if some and not fits(size + size_of(item)):
            yield some
            some, size = [], Size()
        some.append(item)
        size += size_of(item)
    if some:
        yield some
