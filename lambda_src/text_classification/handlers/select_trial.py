"""Chooses the best trial: ``{"plan": …, "trials": [{"trial": …, "job": …} or {"trial": …, "error": …}]}``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from text_classification.handlers.telemetry import logger, tracer
from text_classification.logic.trial_selection import select

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler
def handler(event: Mapping[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Return the ``best`` trial, those that ``failed`` and why, and all ``trials``.

    Raises:
        TrialsFailedError: None made a model; the message says of each why.
    """
    selected = select(event["trials"])
    logger.info("selected", best=selected["best"]["name"], failed=len(selected["failed"]))
    return selected
