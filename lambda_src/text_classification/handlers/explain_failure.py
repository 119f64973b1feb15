"""Says why a training failed: ``{"training_id": "…", "state": "…", "error": {"Error": "…", "Cause": "…"}}``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from text_classification.handlers.telemetry import logger, tracer
from text_classification.logic.failures import explain, message_of

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler
def handler(event: Mapping[str, Any], _context: LambdaContext) -> dict[str, str]:
    """Return the ``error`` and its ``cause`` in words, and ``subject`` and ``message`` for those who are told by mail.

    Never raises, whatever the event has: it is where all failures end.
    """
    error = event.get("error")
    error = error if isinstance(error, Mapping) else {"Cause": str(error) if error else None}
    failure = explain(error.get("Error"), error.get("Cause"))
    training_id = str(event.get("training_id"))
    logger.error("training failed", training_id=training_id, state=event.get("state"), error=failure.error)
    return {"error": failure.error, "cause": failure.cause, **message_of(training_id, event.get("state"), failure)}
