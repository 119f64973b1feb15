"""Annotates the rows of a data set, in calls that the functions of the languages take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from textprep import LANGUAGES, Language, detect_language

from text_classification.gateways.preprocessor import Annotator
from text_classification.logic.dataset_parts import Row, row
from text_classification.logic.requests import MAX_CHARACTERS_TOGETHER_ANNOTATED, MAX_TEXTS, text_problem

AnnotatedRow = dict[str, Any]


def annotated(lines: Sequence[bytes], annotators: Mapping[Language, Annotator]) -> list[AnnotatedRow]:
    """Return each line's fields with its ``annotations``, in the order of the lines.

    Of a line that cannot be read, or whose text or language cannot be annotated, they are ``{"error": "…"}``; what
    cannot be read at all is kept as ``line``.

    Raises:
        GatewayError: A function could not be called.
    """
    rows = [row(line) for line in lines]
    found: dict[int, Any] = {}
    wanted: dict[Language, list[tuple[int, str]]] = {}
    for index, each in enumerate(rows):
        if isinstance(each, str):
            found[index] = {"error": each}
        elif problem := _problem(each, annotators):
            found[index] = {"error": problem}
        else:
            wanted.setdefault(_language(each), []).append((index, str(each.text)))
    for language, texts in wanted.items():
        for batch in batches(texts):
            answers = annotators[language].annotate([text for _, text in batch])
            found.update(zip((index for index, _ in batch), answers, strict=True))
    return [
        {**(each.fields if isinstance(each, Row) else {"line": line.decode(errors="replace")}), "annotations": found[i]}
        for i, (line, each) in enumerate(zip(lines, rows, strict=True))
    ]


def batches(texts: Sequence[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    """Yield as many texts at a time as a function takes."""
    batch: list[tuple[int, str]] = []
    characters = 0
    for index, text in texts:
        if len(batch) == MAX_TEXTS or (batch and characters + len(text) > MAX_CHARACTERS_TOGETHER_ANNOTATED):
            yield batch
            batch, characters = [], 0
        batch.append((index, text))
        characters += len(text)
    if batch:
        yield batch


def _problem(each: Row, annotators: Mapping[Language, Annotator]) -> str | None:
    if problem := text_problem(each.text):
        return problem
    stated = each.fields.get("language")
    if stated is not None and stated not in LANGUAGES:
        return f"language is {str(stated)[:40]!r}: must be one of {', '.join(LANGUAGES)}"
    language = _language(each)
    return None if language in annotators else f"there are no annotations for {language} here"


def _language(each: Row) -> Language:
    stated: Language | None = each.fields.get("language")
    return stated or detect_language(str(each.text))
