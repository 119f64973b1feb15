"""Queues the jobs that were written to the table, from the table's stream."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from text_classification.handlers.job_gateways import job_queue
from text_classification.handlers.telemetry import logger, tracer

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

tracer.patch(["botocore"])
_queue = job_queue(os.environ)


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
def handler(event: dict[str, Any], _context: LambdaContext) -> None:
    """Queue the jobs of a batch of stream records.

    Raises:
        GatewayError: Not all were taken. Lambda calls again with the same records; a job that is queued twice is
            worked on once.
    """
    job_ids = [record["dynamodb"]["Keys"]["job_id"]["S"] for record in event["Records"]]
    _queue.send(job_ids)
    logger.info("jobs queued", jobs=len(job_ids))
