"""``POST /v1/feedback``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from text_classification.handlers.api import Answer, ProxyEvent, ProxyResponse, json_body, respond
from text_classification.handlers.execution_gateways import API_BUDGET
from text_classification.handlers.job_gateways import job_objects, job_table
from text_classification.handlers.telemetry import logger, tracer
from text_classification.handlers.training_gateways import datasets
from text_classification.logic.feedback import JobTexts, correct, parse_feedback

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


def job_texts(environment: Mapping[str, str]) -> JobTexts | None:
    """Return the texts of the jobs in the table that ``JOB_TABLE_NAME`` names, if there is one."""
    if "JOB_TABLE_NAME" not in environment:
        return None
    return JobTexts(table=job_table(environment), objects=job_objects(environment))


tracer.patch(["botocore"])
_datasets, _jobs = datasets(os.environ, API_BUDGET), job_texts(os.environ)


def _operation(event: ProxyEvent) -> Answer:
    request = parse_feedback(json_body(event, '{"request_id": "…", "index": 0, "label": "…"}'))
    correct(request, datasets=_datasets, jobs=_jobs)
    logger.info("label corrected", index=request.index)
    return Answer(status=202, body={"status": "accepted", "corrected_request_id": request.request_id})


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
def handler(event: ProxyEvent, _context: LambdaContext) -> ProxyResponse:
    """Answer a request that API Gateway passes on."""
    return respond(event, _operation)
