"""Tokens, part-of-speech tags and named entities, by one library for each language."""

from __future__ import annotations

from pathlib import Path

from textprep import Language

from text_classification.logic.languages.analysis import Analysis, Analyzer, Marked

__all__ = ["Analysis", "Analyzer", "Marked", "load"]


def load(language: Language, model: Path | None = None) -> Analyzer:
    """Load the library and the model of a language, and nothing of the others. Takes seconds.

    Args:
        language: The language of the texts.
        model: A directory with another model: for English a spaCy pipeline, for Chinese the files of LAC. When
            omitted: the one that the function's layer brings.
    """
    match language:
        case "en":
            from text_classification.logic.languages.english import English

            return English(model)
        case "zh":
            from text_classification.logic.languages.chinese import Chinese

            return Chinese(model)
