"""Looks by a schedule for jobs that nobody else will end: of messages that died or got lost, of silent endpoints."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from text_classification.handlers.job_gateways import job_queue, job_table
from text_classification.handlers.telemetry import logger, tracer
from text_classification.logic.lost_jobs import bury, remind

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

_UNTIL_REMINDED, _UNTIL_SHOWN, _UNTIL_BURIED = 15, 25, 35
"""What is left of the function's minute when each part ends, in seconds: none takes the others' time."""

tracer.patch(["botocore"])
_table = job_table(os.environ)
_queue, _dead_letters = job_queue(os.environ), job_queue(os.environ, "DEAD_LETTER_QUEUE_URL")
_settled: set[str] = set()  # of the calls before, which spares most of the reading when there are many dead letters


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
def handler(_event: object, context: LambdaContext) -> dict[str, int]:
    """Return how many jobs have failed by that, and how many got another message."""

    def more_is_left_than(seconds: int) -> bool:
        return context.get_remaining_time_in_millis() > seconds * 1000

    try:
        buried = bury(
            table=_table,
            queue=_queue,
            dead_letters=_dead_letters,
            settled=_settled,
            time_left=partial(more_is_left_than, _UNTIL_BURIED),
            time_to_show=partial(more_is_left_than, _UNTIL_SHOWN),
        )
        if buried:
            logger.warning("jobs failed whose messages died", jobs=len(buried))
    finally:
        reminded = remind(table=_table, queue=_queue, time_left=partial(more_is_left_than, _UNTIL_REMINDED))
        if reminded:
            logger.warning("jobs were overdue", jobs=len(reminded))
    return {"jobs": len(buried), "reminded": len(reminded)}
