"""What every language's library is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

Marked = tuple[int, int, str]
"""``(start, end, mark)``: a piece of a text in code points, end excluded, and its tag or type."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Analysis:
    """What was found in one text.

    Args:
        tokens: Words, numbers and signs with their Universal POS tags, in order. They do not overlap, and
            together they are the text, white space perhaps left out.
        entities: Named entities with their types, in order. They do not overlap.
    """

    tokens: Sequence[Marked]
    entities: Sequence[Marked]


class Analyzer(Protocol):
    """Finds tokens, their tags and entities in texts of one language."""

    def __call__(self, texts: Sequence[str]) -> Iterable[Analysis]:
        """Return what is in each text. Texts are normalised, see :mod:`textprep`."""
        ...
