"""The tokens of texts in one language, for this system's own functions: ``{"texts": ["…"]}``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from textprep import LANGUAGES, Language

from text_classification.handlers.telemetry import logger, tracer
from text_classification.logic.annotation import annotate
from text_classification.logic.requests import InvalidRequestError, parse_annotation
from text_classification.logic.segmentation import segmenter

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


_segmenter = segmenter(language(os.environ))


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)  # the response quotes texts
def handler(event: object, _context: LambdaContext) -> dict[str, object]:
    """Return ``{"annotations": [{"tokens": [{"text", "start", "end"}, …]}, …]}``, one entry for each text.

    An event that breaks the rules is answered by ``{"error": "…"}``, which names all that is wrong with it.
    """
    try:
        request = parse_annotation(event)
    except InvalidRequestError as error:
        logger.warning("request refused", problems=error.kinds)
        return {"error": str(error)}
    annotations = [annotate(text, _segmenter) for text in request.texts]
    logger.info("annotated", texts=len(annotations), tokens=sum(len(each.tokens) for each in annotations))
    return {"annotations": [asdict(annotation) for annotation in annotations]}
