"""What the state machine of batch transforms calls: to plan a round, to deliver its results, and to say what failed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from text_classification.handlers.telemetry import logger, tracer
from text_classification.handlers.transform_gateways import served_model, transform_objects
from text_classification.logic.execution_names import check_name
from text_classification.logic.transform_requests import parse_transform
from text_classification.logic.transform_rounds import Rounds
from text_classification.logic.transforms import explain_transform

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

_RESERVE_MILLISECONDS = 5 * 60 * 1000
"""What a file may take, of those that are let in."""

tracer.patch(["botocore"])
_objects, _model = transform_objects(os.environ), served_model(os.environ)


def _rounds(context: LambdaContext) -> Rounds:
    return Rounds(
        objects=_objects,
        model=_model,
        job_prefix=os.environ["JOB_PREFIX"],
        max_line_bytes=int(os.environ["MAX_LINE_BYTES"]),
        has_time=lambda: context.get_remaining_time_in_millis() > _RESERVE_MILLISECONDS,
    )


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler
def plan(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Plan a round: ``{"transform_id": "…", "round": 1, "request": {"input": "transform/input/…/"}}``.

    Raises:
        InvalidRequestError: The request breaks rules (naming all), or its files do.
        GatewayError: S3 or SageMaker failed.
    """
    request = parse_transform(event["request"])
    planned = _rounds(context).plan(check_name(event["transform_id"], kind="transform_id"), event["round"], request)
    logger.info("round planned", round=event["round"], files=planned["files"], summary=planned["summary"])
    return planned


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler
def deliver(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Deliver the results of a round, whose event is that of :func:`plan`. Raises GatewayError."""
    delivered = _rounds(context).deliver(event["transform_id"], event["round"])
    logger.info("round delivered", round=event["round"], files=delivered["files"], delivered=delivered["delivered"])
    return delivered


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler
def explain(event: Mapping[str, Any], _context: LambdaContext) -> dict[str, str]:
    """Say why a transform failed: ``{"transform_id": "…", "error": {"Error": "…", "Cause": "…"}, "problems": [...]}``.

    Never raises, whatever the event has: it is where all failures end.
    """
    failure = explain_transform(str(event.get("transform_id")), event.get("error"), event.get("problems"))
    logger.error("transform failed", transform_id=event.get("transform_id"), error=failure["error"])
    return failure
