"""Plans a training: ``{"training_id": "…", "request": {…}}``, an execution's name and what it was started with."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from text_classification.handlers.telemetry import logger, tracer
from text_classification.handlers.training_gateways import datasets, training_rules
from text_classification.logic.training_plans import Planner

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

_PART_BYTES = 16 * 1024 * 1024

tracer.patch(["botocore"])
_planner = Planner(
    datasets=datasets(os.environ),
    rules=training_rules(os.environ),
    job_prefix=os.environ["JOB_PREFIX"],
    part_bytes=int(os.environ.get("PART_BYTES", _PART_BYTES)),
)


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler
def handler(event: Mapping[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Write the list of the data set's parts to ``trainings/work/<training_id>/parts.json`` and return the plan.

    Raises:
        InvalidRequestError: The request breaks rules; the message names all.
        DatasetError: There is no such data set, or nothing in it.
    """
    plan = _planner.plan(event.get("training_id"), event.get("request"))
    logger.info("planned", training_id=plan["training_id"], trials=len(plan["trials"]))
    return plan
