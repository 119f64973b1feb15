"""Looks at the dead letters, by a schedule: their jobs have failed, and should say so."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from text_classification.handlers.job_gateways import job_queue, job_table
from text_classification.handlers.telemetry import logger, tracer
from text_classification.logic.job_messages import bury

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

_RESERVE_MILLISECONDS = 15_000

tracer.patch(["botocore"])
_table, _dead_letters = job_table(os.environ), job_queue(os.environ, "DEAD_LETTER_QUEUE_URL")


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
def handler(_event: object, context: LambdaContext) -> dict[str, int]:
    """Return how many jobs have failed by that."""
    buried = bury(
        table=_table,
        dead_letters=_dead_letters,
        time_left=lambda: context.get_remaining_time_in_millis() > _RESERVE_MILLISECONDS,
    )
    if buried:
        logger.warning("jobs failed whose messages died", jobs=len(buried))
    return {"jobs": len(buried)}
