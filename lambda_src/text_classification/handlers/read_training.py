"""``GET /v1/trainings/{training_id}``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from text_classification.handlers.api import Answer, ProxyEvent, ProxyResponse, respond
from text_classification.handlers.execution_gateways import executions
from text_classification.handlers.telemetry import logger, tracer
from text_classification.logic.trainings import look_at

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

tracer.patch(["botocore"])
_executions = executions(os.environ)


def _operation(event: ProxyEvent) -> Answer:
    return Answer(body=look_at(event["pathParameters"]["training_id"], _executions))


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
def handler(event: ProxyEvent, _context: LambdaContext) -> ProxyResponse:
    """Answer a request that API Gateway passes on."""
    return respond(event, _operation)
