"""Transforms: started once, however often they are asked for, and looked at until they have ended."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any, Literal

from text_classification.gateways.executions import Execution, Executions
from text_classification.gateways.transform_objects import TransformObjects
from text_classification.logic.errors import ConflictError, NotFoundError
from text_classification.logic.failures import Failure, explain
from text_classification.logic.jobs import derived_job_id, keyed_job_id, timestamp
from text_classification.logic.transform_requests import TransformRequest, is_transform_id
from text_classification.logic.transform_rounds import results_under_way, status_of, summary_of

TransformStatus = Literal["running", "succeeded", "failed"]

_STATUSES: Mapping[str, TransformStatus] = {
    "RUNNING": "running",
    "PENDING_REDRIVE": "running",
    "SUCCEEDED": "succeeded",
}
_ENDINGS = {"TIMED_OUT": "States.Timeout", "ABORTED": "Aborted"}
_CAUSES = {"ABORTED": "somebody stopped it"}
_MAX_SUBJECT = 100  # https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
_MAX_CAUSE = 4_000


def keyed_transform_id(caller: str, key: str) -> str:
    """Return the id of the transform that a caller names by a key of its own. Raises InvalidRequestError."""
    return derived_job_id("transform", keyed_job_id(caller, key))


def new_transform_id() -> str:
    """Return an id that no other transform has."""
    return secrets.token_hex(16)


def start(request: TransformRequest, transform_id: str, executions: Executions) -> str:
    """Start a transform, once, and return its status.

    Raises:
        ConflictError: There is one of that id that was asked for something else.
        GatewayError: It is not started.
    """
    document = json.dumps({"input": request.input, "output": request.output_prefix}, sort_keys=True)
    if executions.start(transform_id, document):
        return "running"
    existing = executions.find(transform_id)
    if existing is None or json.loads(existing.input) != json.loads(document):
        raise ConflictError("the Idempotency-Key was used for another body before: send a new key with a new body")
    return _status(existing)


def look_at(transform_id: str, executions: Executions, objects: TransformObjects) -> dict[str, Any]:
    """Return what callers may know of a transform.

    Raises:
        NotFoundError: There is none of that id, or no longer.
        GatewayError: Step Functions or S3 failed.
    """
    execution = executions.find(transform_id) if is_transform_id(transform_id) else None
    if execution is None:
        raise NotFoundError(f"there is no transform {transform_id[:40]!r}, or no longer")
    status = _status(execution)
    view: dict[str, Any] = {
        "transform_id": transform_id,
        "status": status,
        **_progress(transform_id, objects, running=status == "running"),
        "started_at": timestamp(execution.started_at),
    }
    if execution.ended_at is not None:
        view["ended_at"] = timestamp(execution.ended_at)
    if status != "succeeded" and (state := executions.state(transform_id)):
        view["state"] = state
    if status == "failed":
        failure = explain(
            execution.error or _ENDINGS.get(execution.status), execution.cause or _CAUSES.get(execution.status)
        )
        view["error"] = {"code": failure.error, "detail": failure.cause}
    return view


def explain_transform(transform_id: str, error: object, problems: object) -> dict[str, str]:
    """Return why a transform failed, and what is told of that by mail; whatever it is given.

    Args:
        transform_id: The transform.
        error: Step Functions' ``Error`` and ``Cause``, if a state failed.
        problems: What :meth:`~text_classification.logic.transform_rounds.Rounds.deliver` said, if it did.

    >>> explain_transform("t-1", {"Error": "States.Timeout"}, ["a.csv has no results"])["cause"]
    'it took longer than it may; a.csv has no results'
    """
    said = error if isinstance(error, Mapping) else {}
    words = [str(each) for each in problems] if isinstance(problems, list) else []
    if said:
        failure = explain(said.get("Error"), said.get("Cause"))
        words = [failure.cause, *words]
    else:
        failure = Failure(error="TransformError", cause="")
    cause = "; ".join(words)[:_MAX_CAUSE] or "for no reason that AWS told"
    return {
        "error": failure.error,
        "cause": cause,
        "subject": f"Transform {transform_id} failed"[:_MAX_SUBJECT],
        "message": f"Transform {transform_id} failed.\n\n{failure.error}: {cause}\n\n"
        "What has results is done. Start it again with the same input to go on with the rest.\n",
    }


def _progress(transform_id: str, objects: TransformObjects, *, running: bool) -> dict[str, Any]:
    status = status_of(transform_id, objects)
    if not status:
        return {}
    summary = summary_of(status)
    if running:
        summary["files"]["done"] += results_under_way(transform_id, status, objects)
    return summary


def _status(execution: Execution) -> TransformStatus:
    return _STATUSES.get(execution.status, "failed")
