"""How texts are split: by seed and hash of the text alone, in each class by itself.

A class's texts are in an order that looks random and depends on nothing else. The first of them are for the test and
the last for validation, so that both borders move little when the data set grows: nearly every text stays in its split
from one training to the next, and a model in service is seldom tested by what it was trained with.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassSplit:
    """The texts of one class by split, each in the order of :func:`rank`."""

    train: tuple[bytes, ...]
    validation: tuple[bytes, ...]
    test: tuple[bytes, ...]


def rank(text_hash: bytes, seed: int) -> bytes:
    """Return what a text is sorted by; another seed gives another order."""
    return blake2b(text_hash, key=str(seed).encode(), digest_size=16).digest()


def split_class(text_hashes: Iterable[bytes], *, seed: int, validation: float, test: float) -> ClassSplit:
    """Split the texts of one class.

    Args:
        text_hashes: Of each text, different ones, in any order.
        seed: Of the order.
        validation: Part of the texts, to the nearest whole number but one at least. 0 for none.
        test: As ``validation``.

    Raises:
        ValueError: There are too few for each split to have one.

    >>> found = split_class([bytes([number]) for number in range(10)], seed=1, validation=0.1, test=0.2)
    >>> len(found.train), len(found.validation), len(found.test)
    (7, 1, 2)
    """
    order = sorted(text_hashes, key=lambda text_hash: rank(text_hash, seed))
    tested, validated = split_sizes(len(order), validation=validation, test=test)
    end = len(order) - validated
    return ClassSplit(train=tuple(order[tested:end]), validation=tuple(order[end:]), test=tuple(order[:tested]))


def split_sizes(texts: int, *, validation: float, test: float) -> tuple[int, int]:
    """Return how many texts of a class are for the test and for validation.

    Raises:
        ValueError: There are too few for each split to have one.
    """
    needed = texts_needed(validation=validation, test=test)
    if texts < needed:
        raise ValueError(f"{texts} texts: at least {needed} are needed")
    tested = max(1, round(texts * test)) if test else 0
    validated = max(1, round(texts * validation)) if validation else 0
    while tested + validated >= texts:
        if tested > validated:
            tested -= 1
        else:
            validated -= 1
    return tested, validated


def texts_needed(*, validation: float, test: float) -> int:
    """Return how many texts a class needs so that each split has one."""
    return 1 + bool(validation) + bool(test)


def spread(classes: Iterable[Iterable[bytes]], shards: int) -> dict[bytes, int]:
    """Deal the training texts of all classes out to shards, so that sizes differ by one at most, also in each class.

    >>> spread([[b"a", b"b", b"c"], [b"d", b"e"]], 2)
    {b'a': 0, b'b': 1, b'c': 0, b'd': 1, b'e': 0}
    """
    order = (text_hash for members in classes for text_hash in members)
    return {text_hash: index % shards for index, text_hash in enumerate(order)}
