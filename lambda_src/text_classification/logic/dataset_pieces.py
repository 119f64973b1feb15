"""The parts in which a data set to train with is checked: which objects it has, cut into what one call reads.

A part has one or more pieces: ranges of objects with JSON lines, or whole objects with CSV, where a line may end within
quotes. Many small objects, such as corrected labels, are one part.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypedDict

from text_classification.logic.dataset_parts import Part, parts

FEEDBACK_PREFIX = "datasets/feedback/"
Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

_MAX_PART_CHARACTERS = 200_000
"""Of its description, in JSON; what a state machine hands on has 256 KB at most:
https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
"""
_MAX_NAMED = 20


class Piece(Part):
    """A part of an object, and what is known of it by its key."""

    format: Literal["jsonl", "csv"]
    split: Split | None
    source: Literal["dataset", "feedback"]


class DatasetPart(TypedDict):
    """What one call checks; ``name`` sorts in the order of the data set."""

    name: str
    pieces: list[Piece]


@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetObjects:
    """The objects of a data set.

    Args:
        pieces: Of those with rows, in the order of their keys, those with corrected labels last.
        ignored: Keys of others, 20 at most.
    """

    pieces: tuple[Piece, ...]
    ignored: tuple[str, ...]


def dataset_objects(
    dataset: str, objects: Iterable[tuple[str, int]], feedback: Iterable[tuple[str, int]], part_bytes: int
) -> DatasetObjects:
    """Return the pieces of a data set.

    With objects under ``train/``, ``validation/`` or ``test/`` it brings its own splits, and its other objects are for
    training, too.

    Args:
        dataset: An object's key, or a prefix that ends in a slash.
        objects: Key and size of each object whose key begins so.
        feedback: Of each object with corrected labels.
        part_bytes: How many bytes a piece of JSON lines has at most.
    """
    whole = [(key, size) for key, size in objects if key == dataset or dataset.endswith("/")]
    found = [(key, size) for key, size in whole if _format(key) and size]
    splits = {key: _split(key.removeprefix(dataset)) for key, _ in found}
    given = any(splits.values())
    corrections = [(key, size) for key, size in feedback if _format(key) and size and key not in splits]
    return DatasetObjects(
        pieces=(
            *(
                piece
                for key, size in found
                for piece in _pieces(key, size, splits[key] or ("train" if given else None), "dataset", part_bytes)
            ),
            *(piece for key, size in corrections for piece in _pieces(key, size, None, "feedback", part_bytes)),
        ),
        ignored=tuple(key for key, size in whole if not key.endswith("/") and not (_format(key) and size))[:_MAX_NAMED],
    )


def dataset_parts(pieces: Iterable[Piece], part_bytes: int) -> Iterator[DatasetPart]:
    """Yield parts of as many pieces as have so many bytes together."""
    gathered: list[Piece] = []
    size = characters = number = 0
    for piece in pieces:
        piece_bytes, described = piece["end"] - piece["start"], len(json.dumps(piece))
        if gathered and (size + piece_bytes > part_bytes or characters + described > _MAX_PART_CHARACTERS):
            yield DatasetPart(name=f"{number:06}", pieces=gathered)
            gathered, size, characters, number = [], 0, 0, number + 1
        gathered.append(piece)
        size += piece_bytes
        characters += described
    if gathered:
        yield DatasetPart(name=f"{number:06}", pieces=gathered)


def _pieces(
    key: str, size: int, split: Split | None, source: Literal["dataset", "feedback"], part_bytes: int
) -> Iterator[Piece]:
    kind = _format(key) or "jsonl"
    for part in parts([(key, size)], key, size if kind == "csv" else part_bytes):
        yield Piece(
            key=key,
            start=part["start"],
            end=part["end"],
            size=size,
            name=part["name"],
            format=kind,
            split=split,
            source=source,
        )


def _format(key: str) -> Literal["jsonl", "csv"] | None:
    lower = key.lower()
    if lower.endswith(".csv"):
        return "csv"
    return "jsonl" if lower.endswith(".jsonl") else None


def _split(rest: str) -> Split | None:
    first = rest.partition("/")[0]
    return next((split for split in SPLITS if split == first and "/" in rest), None)
