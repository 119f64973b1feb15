"""From texts to labels: the language of each, one call of the model, annotations where they are wanted."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
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
    languages = languages_of(request)
    check_annotations(request, languages, annotators)
    with ThreadPoolExecutor() as threads:
        annotations = start_annotating(request, languages, annotators, threads)
        started = time.perf_counter()
        answer = classifier.classify(request.texts)
        model_seconds = time.perf_counter() - started
        annotated = annotations()
    return Classification(
        model_version=answer.model_version,
        model_seconds=model_seconds,
        texts=classified_texts(answer.results, languages, annotated),
    )


def languages_of(request: ClassificationRequest) -> list[Language]:
    """Return the language of each text: the one that is asked for, or the one of its script."""
    return [detect_language(text) if request.language == "auto" else request.language for text in request.texts]


def check_annotations(
    request: ClassificationRequest, languages: Sequence[Language], available: Collection[Language]
) -> None:
    """Raise InvalidRequestError when annotations are asked for in a language that has no annotator."""
    if missing := sorted(set(languages) - set(available)) if request.annotations else []:
        raise InvalidRequestError(
            [f"annotations is true: there are none for {', '.join(missing)} here; send false"],
            kinds=["annotations_not_available"],
        )


def start_annotating(
    request: ClassificationRequest,
    languages: Sequence[Language],
    annotators: Mapping[Language, Annotator],
    threads: Executor,
) -> Callable[[], Mapping[int, Annotation]]:
    """Annotate the texts of a request on other threads, if it asks for that.

    Returns:
        A function that waits for the annotations and returns them by the text's index. It raises GatewayError when
        an annotator could not be called.
    """
    pending = [
        (indexes, threads.submit(annotators[language].annotate, [request.texts[i] for i in indexes]))
        for language, indexes in (_by_language(languages) if request.annotations else {}).items()
    ]

    def annotations() -> dict[int, Annotation]:
        return {
            index: annotation
            for indexes, annotated in pending
            for index, annotation in zip(indexes, annotated.result(), strict=True)
        }

    return annotations


def classified_texts(
    results: Sequence[ModelResult], languages: Sequence[Language], annotations: Mapping[int, Annotation]
) -> tuple[ClassifiedText, ...]:
    """Return what is known of each text of a request."""
    return tuple(
        ClassifiedText(result=result, language=language, annotations=annotations.get(index))
        for index, (result, language) in enumerate(zip(results, languages, strict=True))
    )


def _by_language(languages: Sequence[Language]) -> dict[Language, list[int]]:
    """Return for each language the indexes of its texts."""
    indexes: dict[Language, list[int]] = {}
    for index, language in enumerate(languages):
        indexes.setdefault(language, []).append(index)
    return indexes
