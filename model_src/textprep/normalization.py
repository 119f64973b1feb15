"""Unicode NFKC and white space, with the way back to the text as it was sent."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial


def normalize(text: str) -> str:
    r"""Return ``text`` in Unicode normal form NFKC, each run of white space one space, none at the ends.

    Normalising twice changes nothing more.

    >>> normalize("  ＡＢＣ１２３\r\nﬁne　好 ")
    'ABC123 fine 好'
    """
    return " ".join(unicodedata.normalize("NFKC", text).split())


@dataclass(frozen=True, kw_only=True, slots=True)
class NormalizedText:
    """A normalised text and where each of its characters comes from.

    Args:
        text: What :func:`normalize` returns.
        spans: For each character of ``text``, ``(start, end)`` of the characters of the original that it
            was made from, in code points, end excluded. Never decreasing; characters that were made
            together (``ﬁ`` becomes ``f`` and ``i``) share their span.
    """

    text: str
    spans: tuple[tuple[int, int], ...]

    def original_span(self, start: int, end: int) -> tuple[int, int]:
        """Return the ``(start, end)`` in the original of ``text[start:end]``, which must not be empty.

        Raises:
            ValueError: The range is empty or not inside ``text``.

        >>> normalize_with_offsets("ﬁne　好").original_span(5, 6)
        (4, 5)
        """
        if not 0 <= start < end <= len(self.spans):
            raise ValueError(f"range [{start}, {end}) is empty or outside a text of {len(self.spans)}")
        return self.spans[start][0], self.spans[end - 1][1]


def normalize_with_offsets(text: str) -> NormalizedText:
    r"""Normalise as :func:`normalize` does and remember where each character comes from.

    >>> normalize_with_offsets("e\u0301 \r\n½")
    NormalizedText(text='é 1⁄2', spans=((0, 2), (2, 5), (5, 6), (5, 6), (5, 6)))
    """
    if normalize(text) == text:
        return NormalizedText(text=text, spans=tuple(zip(range(len(text)), range(1, len(text) + 1), strict=True)))
    characters: list[str] = []
    spans: list[tuple[int, int]] = []
    for character, start, end in _normal_characters(text):
        if not character.isspace():
            characters.append(character)
            spans.append((start, end))
        elif characters and characters[-1] == " ":
            spans[-1] = (spans[-1][0], end)
        elif characters:
            characters.append(" ")
            spans.append((start, end))
    if characters and characters[-1] == " ":
        del characters[-1], spans[-1]
    return NormalizedText(text="".join(characters), spans=tuple(spans))


def _normal_characters(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield the characters of the NFKC form of ``text``, each with its span in ``text``."""
    if unicodedata.is_normalized("NFKC", text):
        yield from ((character, index, index + 1) for index, character in enumerate(text))
        return
    for start, end in _independent_segments(text):
        segment = text[start:end]
        normal = _nfkc(segment)
        if normal == segment:
            yield from ((character, start + index, start + index + 1) for index, character in enumerate(normal))
        else:
            yield from ((character, start, end) for character in normal)


def _independent_segments(text: str) -> Iterator[tuple[int, int]]:
    """Yield the smallest pieces of ``text`` that normalise on their own, whatever stands around them."""
    start = 0
    for index in range(1, len(text)):
        if not (may_join(text[index]) and _joins(text[start:index], text[index])):
            yield start, index
            start = index
    if text:
        yield start, len(text)


_nfkc = lru_cache(maxsize=8192)(partial(unicodedata.normalize, "NFKC"))


@lru_cache(maxsize=8192)
def may_join(character: str) -> bool:
    """Return whether NFKC may reorder or compose ``character`` with what stands before it, in any text.

    Few characters do: marks, and some vowels and consonants of Indic scripts and of Hangul, in two ranges.
    """
    first = unicodedata.normalize("NFKD", character)[0]
    return bool(unicodedata.combining(first)) or "\u0900" <= first <= "\u1bff" or "\U00011000" <= first <= "\U00016fff"


def _joins(segment: str, character: str) -> bool:
    """Return whether NFKC may reorder or compose ``character`` with what stands before it."""
    if unicodedata.combining(unicodedata.normalize("NFKD", character)[0]):
        return True  # marks are reordered among themselves: later ones decide, so keep them together
    # Some characters that are no marks compose backwards too: Hangul vowels and final consonants.
    apart = unicodedata.normalize("NFKC", segment) + unicodedata.normalize("NFKC", character)
    return unicodedata.normalize("NFKC", segment + character) != apart
