"""From texts to labels: the language of each, one call of the model, annotations where they are wanted."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from textprep import Language, detect_language

from text_classification.gateways.model_endpoint import Classifier, ModelResult
from text_classification.gateways.preprocessor import Annotation, Annotator
from text_classification.logic.requests import ClassificationRequest, InvalidRequestError


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassifiedText:
    """What is known of one text.

    Args:
        result: The label and its scores.
        language: The language it was taken for.
        annotations: Its tokens. None: they were not asked for.
    """

    result: ModelResult
    language: Language
    annotations: Annotation | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Classification:
    """What is known of all texts of a request.

    Args:
        model_version: The model that labelled them.
        model_seconds: How long the model took to answer.
        texts: One for each text, in the order they were sent.
    """

    model_version: str
    model_seconds: float
    texts: tuple[ClassifiedText, ...]


def classify(
    request: ClassificationRequest, *, classifier: Classifier, annotators: Mapping[Language, Annotator]
) -> Classification:
    """Label the texts of a request.

    The model gets the texts as they were sent, all in one call; annotations never change a label, so they
    are made at the same time.

    Args:
        request: What is asked for.
        classifier: Labels the texts.
        annotators: Annotate the texts of a language. Languages may be missing.

    Raises:
        InvalidRequestError: Annotations are asked for in a language that has no annotator.
        GatewayError: The model or an annotator could not be called.
    """
    languages = [detect_language(text) if request.language == "auto" else request.language for text in request.texts]
    wanted = _by_language(languages) if request.annotations else {}
    if missing := sorted(wanted.keys() - annotators.keys()):
        raise InvalidRequestError(
            [f"annotations is true: there are none for {', '.join(missing)} here; send false"],
            kinds=["annotations_not_available"],
        )
    annotations: dict[int, Annotation] = {}
    with ThreadPoolExecutor() as threads:
        pending = [
            (indexes, threads.submit(annotators[language].annotate, [request.texts[i] for i in indexes]))
            for language, indexes in wanted.items()
        ]
        started = time.perf_counter()
        answer = classifier.classify(request.texts)
        model_seconds = time.perf_counter() - started
        for indexes, annotated in pending:
            annotations.update(zip(indexes, annotated.result(), strict=True))
    return Classification(
        model_version=answer.model_version,
        model_seconds=model_seconds,
        texts=tuple(
            ClassifiedText(result=result, language=language, annotations=annotations.get(index))
            for index, (result, language) in enumerate(zip(answer.results, languages, strict=True))
        ),
    )


def _by_language(languages: Sequence[Language]) -> dict[Language, list[int]]:
    """Return for each language the indexes of its texts."""
    indexes: dict[Language, list[int]] = {}
    for index, language in enumerate(languages):
        indexes.setdefault(language, []).append(index)
    return indexes
