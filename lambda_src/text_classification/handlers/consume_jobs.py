"""The consumer: works on the jobs that a batch of SQS messages names."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes import SQSEvent
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from text_classification.gateways.errors import GatewayError
from text_classification.handlers.classify import gateways
from text_classification.handlers.job_gateways import (
    asynchronous_endpoint,
    job_objects,
    job_queue,
    job_table,
    result_store,
)
from text_classification.handlers.telemetry import logger, metrics, tracer
from text_classification.logic.job_batch import Consumer
from text_classification.logic.job_messages import Message, consume
from text_classification.logic.job_results import ResultKeeper
from text_classification.logic.job_retries import Retries
from text_classification.logic.large_jobs import LargeJobs

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
    from aws_lambda_powertools.utilities.typing import LambdaContext

_SHARE_OF_KEEPING = 1 / 3
"""What keeping the results of a call may take, as a share of the call."""

tracer.patch(["botocore"])
_classifier, _annotators = gateways(os.environ)
_table, _objects, _queue = job_table(os.environ), job_objects(os.environ), job_queue(os.environ)
_keeper = ResultKeeper(table=_table, objects=_objects, database=result_store(os.environ))
_retries = Retries(
    max_receive_count=int(os.environ["MAX_RECEIVE_COUNT"]),
    first_pause_seconds=int(os.environ["FIRST_PAUSE_SECONDS"]),
)
_endpoint = asynchronous_endpoint(os.environ)
_large_jobs = (
    LargeJobs(
        endpoint=_endpoint,
        table=_table,
        objects=_objects,
        keeper=_keeper,
        queue=_queue,
        retries=_retries,
        timeout_seconds=int(os.environ["LARGE_JOB_TIMEOUT_SECONDS"]),
    )
    if _endpoint
    else None
)
_processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


class StaysError(Exception):
    """The message stays in the queue; the job's item says why."""


def _consumer(context: LambdaContext) -> Consumer:
    call_seconds = float(os.environ["ENDPOINT_TIMEOUT_SECONDS"])
    keep_seconds = call_seconds * _SHARE_OF_KEEPING
    return Consumer(
        table=_table,
        objects=_objects,
        keeper=_keeper,
        classifier=_classifier,
        annotators=_annotators,
        claim=context.aws_request_id,
        remaining_seconds=lambda: context.get_remaining_time_in_millis() / 1000,
        call_seconds=call_seconds + keep_seconds,
        keep_seconds=keep_seconds,
        max_payload_bytes=int(os.environ["MAX_PAYLOAD_BYTES"]),
        max_texts_per_call=int(os.environ["MAX_TEXTS_PER_CALL"]),
        alone_after=_retries.max_receive_count // 2,
        retention_seconds=int(os.environ["JOB_RETENTION_SECONDS"]),
        large_jobs=_large_jobs,
    )


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Return the messages that stay in the queue."""
    messages = [
        Message(
            message_id=record.message_id,
            receipt=record.receipt_handle,
            receive_count=int(record.attributes.approximate_receive_count or 1),
            sent_at=int(record.attributes.sent_timestamp or 0) / 1000,
            body=record.body,
        )
        for record in SQSEvent(event).records
    ]
    try:
        staying = consume(messages, consumer=_consumer(context), queue=_queue, retries=_retries)
    except GatewayError as error:
        logger.error("the batch failed: %s", error, extra=error.facts)
        staying = {message.message_id for message in messages}
    outcome = Counter("staying" if message.message_id in staying else "done" for message in messages)
    logger.info("batch worked on", messages=outcome)
    for name, count in outcome.items():
        metrics.add_metric(f"Messages{name.capitalize()}", MetricUnit.Count, count)

    def judge(record: SQSRecord) -> None:
        if record.message_id in staying:
            raise StaysError

    return process_partial_response(event=event, record_handler=judge, processor=_processor, context=context)
