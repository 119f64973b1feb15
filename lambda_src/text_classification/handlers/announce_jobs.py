"""Announces the jobs that have ended, from the table's stream."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import boto3

from text_classification.gateways.job_announcements import JobAnnouncements
from text_classification.gateways.job_items import job_of
from text_classification.handlers.job_gateways import BUDGET
from text_classification.handlers.telemetry import logger, tracer

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

tracer.patch(["botocore"])
_announcements = JobAnnouncements(
    sns=boto3.client("sns", config=BUDGET.client_config()),
    topic_arn=os.environ["TOPIC_ARN"],
    events=boto3.client("events", config=BUDGET.client_config()),
    event_bus_name=os.environ["EVENT_BUS_NAME"],
    bucket=os.environ["BUCKET_NAME"],
    budget=BUDGET,
)


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
def handler(event: dict[str, Any], _context: LambdaContext) -> None:
    """Announce the jobs of a batch of stream records.

    Raises:
        GatewayError: Not all were taken. Lambda calls again with the same records.
    """
    jobs = [job_of(record["dynamodb"]["NewImage"]) for record in event["Records"]]
    _announcements.announce(jobs)
    logger.info("jobs announced", jobs=len(jobs))
