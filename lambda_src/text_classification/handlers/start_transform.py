"""``POST /v1/transforms``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from text_classification.handlers.api import Answer, ProxyEvent, ProxyResponse, caller, header, json_body, respond
from text_classification.handlers.execution_gateways import executions
from text_classification.handlers.telemetry import logger, tracer
from text_classification.logic.executions import keyed_name, new_name, start_once
from text_classification.logic.transform_requests import parse_transform_body

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

tracer.patch(["botocore"])
_executions = executions(os.environ)


def _operation(event: ProxyEvent) -> Answer:
    """Start the transform in the body of a request; the same under the same ``Idempotency-Key`` is one transform."""
    request = parse_transform_body(json_body(event, '{"input": "transform/input/reviews/"}'))
    key = header(event, "Idempotency-Key")
    transform_id = new_name() if key is None else keyed_name("transform", caller(event), key)
    status = start_once(request.document, transform_id, _executions)
    logger.info("transform started", transform_id=transform_id)
    path = event["requestContext"]["path"].rstrip("/")
    return Answer(
        status=202,
        headers={"Location": f"{path}/{transform_id}"},
        body={"transform_id": transform_id, "status": status},
    )


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
def handler(event: ProxyEvent, _context: LambdaContext) -> ProxyResponse:
    """Answer a request that API Gateway passes on."""
    return respond(event, _operation)
