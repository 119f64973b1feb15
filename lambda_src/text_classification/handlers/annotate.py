"""Tokens, tags, entities and features of texts in one language: ``{"texts": ["…"]}``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from textprep import LANGUAGES, Language

from text_classification.handlers.telemetry import logger, tracer
from text_classification.logic.annotation import annotate
from text_classification.logic.languages import Analyzer, load
from text_classification.logic.requests import InvalidRequestError, parse_annotation

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


def language(environment: Mapping[str, str]) -> Language:
    """Return the language that ``LANGUAGE`` names.

    Raises:
        ValueError: It is not set, or not to a language that there is.
    """
    value = environment.get("LANGUAGE")
    if value not in LANGUAGES:
        raise ValueError(f"LANGUAGE is {value!r}: must be one of {', '.join(LANGUAGES)}")
    return value


_language = language(os.environ)
_model = Path(directory) if (directory := os.environ.get("LANGUAGE_MODEL")) else None


@cache
def _analyzer() -> Analyzer:
    """Load library and model, once: with the first text, for initialisation may take no longer than 10 seconds."""
    return load(_language, _model)


# Where Lambda initialises long before anybody calls, the first caller shall not wait.
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") in {"provisioned-concurrency", "snap-start"}:
    list(_analyzer()(["load"]))


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)  # the response quotes texts
def handler(event: object, _context: LambdaContext) -> dict[str, object]:
    """Return ``{"annotations": [{"tokens": […], "entities": […], "features": {…}}, …]}``, one entry for each text.

    See :class:`~text_classification.logic.annotation.Annotation`. The entry of a text that cannot be annotated is
    ``{"error": "…"}``. So is the whole answer to an event that breaks the rules; it names all that is wrong.
    """
    try:
        request = parse_annotation(event)
    except InvalidRequestError as error:
        logger.warning("request refused", problems=error.kinds)
        return {"error": str(error)}
    found = annotate(request.texts, _analyzer)
    logger.info(
        "annotated",
        texts=len(found),
        tokens=sum(len(each["tokens"]) for each in found if "tokens" in each),
        refused=sum(1 for each in found if "error" in each),
    )
    return {"annotations": found}
