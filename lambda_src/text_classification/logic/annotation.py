"""What a text says about itself: its tokens, with where they stand in the text as it was sent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from textprep import normalize_with_offsets

from text_classification.logic.segmentation import Segmenter

_NO_SPACE = re.compile(r"\S+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A word, number or sign.

    Args:
        text: As it was sent: ``text[start:end]`` of the annotated text.
        start: Where it begins, in code points.
        end: Where it ends, in code points; not part of it.
    """

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """What was found in one text. Tokens stand in order and do not overlap; between them is white space only."""

    tokens: tuple[Token, ...]


def annotate(text: str, segmenter: Segmenter) -> Annotation:
    """Return the tokens of a text, found in its normalised form.

    >>> annotate("Ｇｏｏｄ  ½", lambda text: [(0, 4), (4, 5), (5, 6), (6, 7), (7, 8)]).tokens
    (Token(text='Ｇｏｏｄ', start=0, end=4), Token(text='½', start=6, end=7))
    """
    return Annotation(
        tokens=tuple(Token(text=text[start:end], start=start, end=end) for start, end in _spans(text, segmenter))
    )


def _spans(text: str, segmenter: Segmenter) -> Iterator[tuple[int, int]]:
    """Yield the spans of the tokens in ``text``.

    One character can normalise to several tokens (``½`` to ``1``, ``⁄`` and ``2``): such tokens become one.
    """
    normalized = normalize_with_offsets(text)
    open_span: tuple[int, int] | None = None
    for piece_start, piece_end in segmenter(normalized.text):
        for word in _NO_SPACE.finditer(normalized.text, piece_start, piece_end):
            start, end = normalized.original_span(*word.span())
            if open_span and start < open_span[1]:
                open_span = open_span[0], max(end, open_span[1])
            else:
                if open_span:
                    yield open_span
                open_span = start, end
    if open_span:
        yield open_span
