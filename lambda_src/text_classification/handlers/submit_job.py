"""``POST /v1/jobs``."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from text_classification.gateways.job_objects import JobObjects
from text_classification.gateways.job_table import JobTable
from text_classification.handlers.api import Answer, ProxyEvent, ProxyResponse, caller, header, json_body, respond
from text_classification.handlers.job_gateways import job_objects, job_table
from text_classification.handlers.telemetry import logger, tracer
from text_classification.logic.classification import check_annotations, languages_of
from text_classification.logic.jobs import Submission, idempotency_key, submit
from text_classification.logic.requests import parse_classification

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from textprep import Language


def operation(
    event: ProxyEvent,
    *,
    table: JobTable,
    objects: JobObjects,
    retention_seconds: int,
    annotated_languages: tuple[Language, ...],
) -> Answer:
    """Accept the job in the body of a request; the same under the same ``Idempotency-Key`` is one job.

    Raises:
        InvalidRequestError, ConflictError, GatewayError: As parsing and :func:`submit` do.
    """
    request = parse_classification(json_body(event))
    check_annotations(request, languages_of(request), annotated_languages)
    key = header(event, "Idempotency-Key")
    submission = Submission(
        request=request,
        submitted_by="api",
        retention_seconds=retention_seconds,
        key=None if key is None else idempotency_key(caller(event), key),
    )
    job = submit(submission, table=table, objects=objects)
    logger.info("job accepted", job_id=job.job_id, texts=job.texts)
    path = event["requestContext"]["path"].rstrip("/")
    return Answer(
        status=202,
        headers={"Location": f"{path}/{job.job_id}"},
        body={"job_id": job.job_id, "status": job.job_status},
    )


tracer.patch(["botocore"])
_operation = partial(
    operation,
    table=job_table(os.environ),
    objects=job_objects(os.environ),
    retention_seconds=int(os.environ["JOB_RETENTION_SECONDS"]),
    annotated_languages=tuple(os.environ["ANNOTATED_LANGUAGES"].split()),  # type: ignore[arg-type]  # from synth
)


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
def handler(event: ProxyEvent, _context: LambdaContext) -> ProxyResponse:
    """Answer a request that API Gateway passes on."""
    return respond(event, _operation)
