"""``POST /v1/trainings``, and the start of a training by an event."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from text_classification.handlers.api import (
    Answer,
    ProxyEvent,
    ProxyResponse,
    caller,
    header,
    json_body,
    respond,
)
from text_classification.handlers.telemetry import logger, tracer
from text_classification.handlers.training_gateways import executions, training_rules
from text_classification.logic.training_requests import parse_training, parse_training_body
from text_classification.logic.trainings import keyed_training_id, new_training_id, start

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

tracer.patch(["botocore"])
_executions, _rules = executions(os.environ), training_rules(os.environ)


def _operation(event: ProxyEvent) -> Answer:
    """Start the training in the body of a request; the same under the same ``Idempotency-Key`` is one training."""
    request = parse_training_body(json_body(event, '{"dataset": "datasets/reviews/"}'), _rules)
    key = header(event, "Idempotency-Key")
    training_id = keyed_training_id(caller(event), key) if key else new_training_id()
    status = start(request, training_id, _executions)
    logger.info("training started", training_id=training_id, trials=len(request.expanded_trials))
    path = event["requestContext"]["path"].rstrip("/")
    return Answer(
        status=202,
        headers={"Location": f"{path}/{training_id}"},
        body={"training_id": training_id, "status": status},
    )


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
def handler(event: ProxyEvent, _context: LambdaContext) -> ProxyResponse:
    """Answer a request that API Gateway passes on."""
    return respond(event, _operation)


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler
def event_handler(event: Mapping[str, Any], _context: LambdaContext) -> dict[str, str]:
    """Start a training when EventBridge says so: on a schedule, or when a data set was put into S3.

    EventBridge itself would name the execution by more characters than the names of jobs have room for.

    Args:
        event: ``{"request": {"dataset": "…"}, "key": "…"}``, made by the rule. The ``key`` is one for each start, such
            as the id of the event, for EventBridge may deliver an event twice.

    Raises:
        InvalidRequestError: The request breaks rules; the message names all.
        GatewayError: It is not started. Lambda calls again.
    """
    request = parse_training(event.get("request"), _rules)
    training_id = keyed_training_id("event", str(event["key"])) if event.get("key") else new_training_id()
    status = start(request, training_id, _executions)
    logger.info("training started", training_id=training_id, trials=len(request.expanded_trials))
    return {"training_id": training_id, "status": status}
