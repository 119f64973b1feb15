"""``GET /v1/transforms/{transform_id}``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from text_classification.handlers.api import Answer, ProxyEvent, ProxyResponse, respond
from text_classification.handlers.execution_gateways import API_BUDGET, executions
from text_classification.handlers.telemetry import logger, tracer
from text_classification.handlers.transform_gateways import transform_objects
from text_classification.logic.transforms import look_at

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

tracer.patch(["botocore"])
_executions, _objects = executions(os.environ), transform_objects(os.environ, API_BUDGET)


def _operation(event: ProxyEvent) -> Answer:
    return Answer(body=look_at(event["pathParameters"]["transform_id"], _executions, _objects))


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
def handler(event: ProxyEvent, _context: LambdaContext) -> ProxyResponse:
    """Answer a request that API Gateway passes on."""
    return respond(event, _operation)
