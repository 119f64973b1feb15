"""What a text says about itself: tokens, entities and features, with where they stand in the text as it was sent."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypedDict, final

from textprep import FEATURES_VERSION, NormalizedText, normalize_with_offsets, text_features

from text_classification.logic.languages import Analysis, Analyzer, Marked
from text_classification.logic.requests import text_problem

_NO_SPACE = re.compile(r"\S+")
# What goes on with the sign before it: joiners, variation selectors and skin colours of emoji.
_JOINER = "\u200d"
_GOES_ON = frozenset("\u200d\ufe0e\ufe0f\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff")


class Token(TypedDict):
    """A word, number or sign: ``text[start:end]`` of the text as it was sent, in code points, and its Universal POS."""

    text: str
    start: int
    end: int
    pos: str


class Entity(TypedDict):
    """A named entity: ``text[start:end]`` of the text as it was sent, in code points.

    Its type is ``PERSON``, ``LOCATION``, ``ORGANIZATION``, or what else the language's model knows.
    """

    text: str
    start: int
    end: int
    type: str


@final
class Annotation(TypedDict):
    """What was found in one text.

    ``tokens`` stand in order, do not overlap, and leave out nothing but white space. ``entities`` stand in order
    and do not overlap. ``features`` are those of :func:`features`.
    """

    tokens: list[Token]
    entities: list[Entity]
    features: dict[str, object]


@final
class Refusal(TypedDict):
    """Why a text is not annotated: what came and what is allowed, for the caller."""

    error: str


def annotate(texts: Sequence[object], analyzer: Callable[[], Analyzer]) -> list[Annotation | Refusal]:
    """Return what is in each text, or why it was refused: one text never harms another.

    Args:
        texts: As they were sent.
        analyzer: Returns what analyses them; called only when there is a text to analyse.
    """
    problems = [text_problem(text) for text in texts]
    accepted = [str(text) for text, problem in zip(texts, problems, strict=True) if not problem]
    annotations = _annotations(accepted, analyzer()) if accepted else iter(())
    return [Refusal(error=problem) if problem else next(annotations) for problem in problems]


def features(text: str, tokens: Sequence[Token], entities: Sequence[Entity]) -> dict[str, object]:
    """Return the features of an annotated text.

    Those of :func:`textprep.text_features`; ``version``, which changes with them; ``tokens``, their number;
    ``distinct_tokens``, without regard to case; and how many there are of each ``tags`` and ``entities``.
    """
    return {
        "version": FEATURES_VERSION,
        **text_features(text),
        "tokens": len(tokens),
        "distinct_tokens": len({token["text"].casefold() for token in tokens}),
        "tags": dict(Counter(token["pos"] for token in tokens)),
        "entities": dict(Counter(entity["type"] for entity in entities)),
    }


def _annotations(texts: Sequence[str], analyzer: Analyzer) -> Iterator[Annotation]:
    normalized = [normalize_with_offsets(text) for text in texts]
    analyses = analyzer([each.text for each in normalized])
    for text, normal, analysis in zip(texts, normalized, analyses, strict=True):
        yield _annotation(text, normal, analysis)


def _annotation(text: str, normalized: NormalizedText, analysis: Analysis) -> Annotation:
    tokens = [_token(text, *span) for span in _merged(text, _words(normalized, analysis.tokens))]
    entities = [
        Entity(text=text[start:end], start=start, end=end, type=kind)
        for start, end, kind in _merged(text, _wholes(normalized, analysis.entities))
    ]
    return Annotation(tokens=tokens, entities=entities, features=features(text, tokens, entities))


def _token(text: str, start: int, end: int, tag: str) -> Token:
    word = text[start:end]
    return Token(text=word, start=start, end=end, pos=tag if word.isalnum() or not _is_symbol(word) else "SYM")


def _is_symbol(word: str) -> bool:
    """Whether a word is of emoji and other symbols alone, which models take for words that they do not know."""
    kinds = {unicodedata.category(character) for character in word if character not in _GOES_ON}
    return bool(kinds) and kinds <= {"Sc", "Sk", "Sm", "So"}


def _words(normalized: NormalizedText, marked: Sequence[Marked]) -> Iterator[Marked]:
    """Yield the pieces of a normalised text without white space, as spans of the text as it was sent."""
    text, spans = normalized.text, normalized.spans
    for start, end, mark in marked:
        if " " not in text[start:end]:  # the only white space that normalisation leaves
            yield spans[start][0], spans[end - 1][1], mark
            continue
        for word in _NO_SPACE.finditer(text, start, end):
            yield spans[word.start()][0], spans[word.end() - 1][1], mark


def _wholes(normalized: NormalizedText, marked: Sequence[Marked]) -> Iterator[Marked]:
    """Yield the pieces of a normalised text as spans of the text as it was sent, with white space only within."""
    for start, end, mark in marked:
        if words := list(_words(normalized, [(start, end, mark)])):
            yield words[0][0], words[-1][1], mark


def _merged(text: str, marked: Iterable[Marked]) -> list[Marked]:
    """Return pieces of ``text``; those that are one character or one emoji together become one, with the first's mark.

    One character can normalise to several pieces: ``½`` to ``1``, ``⁄`` and ``2``.
    """
    pieces: list[Marked] = []
    for start, end, mark in marked:
        if pieces and _goes_on(text, start, pieces[-1][1]):
            first, last, first_mark = pieces[-1]
            pieces[-1] = first, max(last, end), first_mark
        else:
            pieces.append((start, end, mark))
    return pieces


def _goes_on(text: str, start: int, end: int) -> bool:
    """Whether what begins at ``start`` belongs to what ended at ``end``."""
    return start < end or (start == end and (text[start] in _GOES_ON or text[start - 1] == _JOINER))
