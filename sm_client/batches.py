"""Many texts in requests that the API takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

MAX_TEXTS = 100
MAX_CHARACTERS = 200_000
MAX_CHARACTERS_ANNOTATED = 20_000

_Item = TypeVar("_Item")


def batches(
    items: Iterable[_Item], *, annotations: bool = False, characters: Callable[[Any], int] = len
) -> Iterator[list[_Item]]:
    """Yield texts in groups that the API takes in one request, in their order.

    A text that is too long by itself is a group by itself, for the API to refuse.

    Args:
        items: The texts, or what has a text each.
        annotations: Whether annotations will be asked for, of which there can be fewer at a time.
        characters: Returns the size of an item. When omitted: its length.

    >>> [len(group) for group in batches(["x" * 9_000] * 23 + ["x"] * 99)]
    [22, 100]
    """
    limit = MAX_CHARACTERS_ANNOTATED if annotations else MAX_CHARACTERS
    group: list[_Item] = []
    together = 0
    for item in items:
        size = characters(item)
        if group and (len(group) == MAX_TEXTS or together + size > limit):
            yield group
            group, together = [], 0
        group.append(item)
        together += size
    if group:
        yield group
