"""``POST /v1/classifications``."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import boto3
from aws_lambda_powertools.metrics import MetricUnit, single_metric
from textprep import LANGUAGES, Language

from text_classification.gateways.calls import TimeBudget
from text_classification.gateways.datasets import S3Datasets
from text_classification.gateways.errors import GatewayError
from text_classification.gateways.model_endpoint import Classifier, EndpointClassifier
from text_classification.gateways.preprocessor import Annotator, FunctionAnnotator
from text_classification.handlers.api import Answer, ProxyEvent, ProxyResponse, json_body, respond
from text_classification.handlers.telemetry import logger, metrics, tracer
from text_classification.logic.classification import Classification, ClassifiedText, classify
from text_classification.logic.feedback import KnownText, remember
from text_classification.logic.requests import parse_classification

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

_TIMEOUT_SECONDS = 24.0
_STORE_BUDGET = TimeBudget(total_seconds=2)


def gateways(environment: Mapping[str, str]) -> tuple[Classifier, dict[Language, Annotator]]:
    """Return what calls the model, and what calls the functions that annotate, by their language.

    Args:
        environment: ``ENDPOINT_NAME``; ``PREPROCESSOR_FUNCTION_EN`` and ``PREPROCESSOR_FUNCTION_ZH``, where there
            are such functions; ``ENDPOINT_TIMEOUT_SECONDS``, the time that these calls may take, repetitions
            included, which is less than the function's own timeout. When omitted: 24 seconds.

    Raises:
        KeyError: There is no endpoint's name.
    """
    budget = TimeBudget(total_seconds=float(environment.get("ENDPOINT_TIMEOUT_SECONDS", _TIMEOUT_SECONDS)))
    config = budget.client_config()
    classifier = EndpointClassifier(
        client=boto3.client("sagemaker-runtime", config=config),
        endpoint_name=environment["ENDPOINT_NAME"],
        budget=budget,
    )
    functions = {language: environment.get(f"PREPROCESSOR_FUNCTION_{language.upper()}") for language in LANGUAGES}
    if not any(functions.values()):
        return classifier, {}
    client = boto3.client("lambda", config=config)
    return classifier, {
        language: FunctionAnnotator(client=client, function_name=name, budget=budget)
        for language, name in functions.items()
        if name
    }


def request_store(environment: Mapping[str, str]) -> S3Datasets | None:
    """Return where the texts of requests are kept for those who correct a label: ``REQUESTS_BUCKET``, if it is set."""
    bucket = environment.get("REQUESTS_BUCKET")
    if bucket is None:
        return None
    client = boto3.client("s3", config=_STORE_BUDGET.client_config())
    return S3Datasets(client=client, bucket=bucket, budget=_STORE_BUDGET)


def answer(
    body: bytes,
    *,
    classifier: Classifier,
    annotators: Mapping[Language, Annotator],
    keep: Callable[[Sequence[KnownText]], None],
) -> dict[str, object]:
    """Return the answer to a request body, without its ``request_id``.

    ``annotations`` is null in every result when they were not asked for, so that results always have the same
    fields.

    Args:
        body: The request.
        classifier: Calls the model.
        annotators: Call the functions that annotate, by their language.
        keep: Gets the texts once they have labels.

    Raises:
        InvalidRequestError, GatewayError: As :func:`classify` and :func:`parse_classification` do.
    """
    request = parse_classification(body)
    classification = classify(request, classifier=classifier, annotators=annotators)
    _record(classification)
    keep(
        [
            KnownText(text=text, language=known.language)
            for text, known in zip(request.texts, classification.texts, strict=True)
        ]
    )
    return {
        "model_version": classification.model_version,
        "results": [_result(text) for text in classification.texts],
    }


def _result(text: ClassifiedText) -> dict[str, object]:
    return {
        **text.result.model_dump(),
        "language": text.language,
        "annotations": text.annotations,
    }


def _record(classification: Classification) -> None:
    languages = Counter(text.language for text in classification.texts)
    logger.info("classified", model_version=classification.model_version, texts=languages)
    for language, texts in languages.items():
        with single_metric(name="Texts", unit=MetricUnit.Count, value=texts) as metric:
            metric.add_dimension("language", language)
    metrics.add_metric("ModelLatency", MetricUnit.Milliseconds, classification.model_seconds * 1000)
    metrics.flush_metrics()


tracer.patch(["botocore"])
_classifier, _annotators = gateways(os.environ)
_answer = partial(answer, classifier=_classifier, annotators=_annotators)
_store = request_store(os.environ)


def _keep(request_id: str, texts: Sequence[KnownText]) -> None:
    """Keep the texts of a request; the answer does not depend on it."""
    if _store is None:
        return
    try:
        remember(request_id, texts, _store)
    except GatewayError as error:
        logger.warning("texts not kept, their labels cannot be corrected: %s", error, extra=error.facts)


def _operation(event: ProxyEvent) -> Answer:
    keep = partial(_keep, event["requestContext"]["requestId"])
    return Answer(body=_answer(json_body(event), keep=keep))


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)  # the response may quote texts
def handler(event: ProxyEvent, _context: LambdaContext) -> ProxyResponse:
    """Answer a request that API Gateway passes on."""
    return respond(event, _operation)
