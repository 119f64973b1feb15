"""``POST /v1/trainings``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from text_classification.handlers.api import (
    Answer,
    ProxyEvent,
    ProxyResponse,
    caller,
    header,
    json_body,
    respond,
)
from text_classification.handlers.execution_gateways import executions
from text_classification.handlers.telemetry import logger, tracer
from text_classification.handlers.training_gateways import training_rules
from text_classification.logic.executions import keyed_name, new_name, start_once
from text_classification.logic.training_requests import parse_training_body

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

tracer.patch(["botocore"])
_executions, _rules = executions(os.environ), training_rules(os.environ)


def _operation(event: ProxyEvent) -> Answer:
    """Start the training in the body of a request; the same under the same ``Idempotency-Key`` is one training."""
    request = parse_training_body(json_body(event, '{"dataset": "datasets/reviews/"}'), _rules)
    key = header(event, "Idempotency-Key")
    training_id = new_name() if key is None else keyed_name("training", caller(event), key)
    status = start_once(request.model_dump(), training_id, _executions)
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
