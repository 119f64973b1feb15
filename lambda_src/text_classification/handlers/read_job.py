"""``GET /v1/jobs/{job_id}``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from text_classification.handlers.api import Answer, ProxyEvent, ProxyResponse, respond
from text_classification.handlers.job_gateways import job_objects, job_table
from text_classification.handlers.telemetry import logger, tracer
from text_classification.logic.jobs import look_at

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

tracer.patch(["botocore"])
_table, _objects = job_table(os.environ), job_objects(os.environ)


def _operation(event: ProxyEvent) -> Answer:
    return Answer(body=look_at(event["pathParameters"]["job_id"], table=_table, objects=_objects))


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)  # the response may quote texts
def handler(event: ProxyEvent, _context: LambdaContext) -> ProxyResponse:
    """Answer a request that API Gateway passes on."""
    return respond(event, _operation)
