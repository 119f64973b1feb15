"""What callers may know of a transform, and what is told of one that failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from text_classification.gateways.executions import Executions
from text_classification.gateways.transform_objects import TransformObjects
from text_classification.logic.errors import NotFoundError
from text_classification.logic.execution_names import is_name
from text_classification.logic.executions import view
from text_classification.logic.failures import Failure, explain
from text_classification.logic.transform_rounds import results_under_way, status_of, summary_of

_MAX_SUBJECT = 100  # https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
_MAX_CAUSE = 4_000


def look_at(transform_id: str, executions: Executions, objects: TransformObjects) -> dict[str, Any]:
    """Return what callers may know of a transform.

    Raises:
        NotFoundError: There is none of that id, or no longer.
        GatewayError: Step Functions or S3 failed.
    """
    execution = executions.find(transform_id) if is_name(transform_id) else None
    if execution is None:
        raise NotFoundError(f"there is no transform {transform_id[:40]!r}, or no longer")
    seen = view(execution, executions)
    progress = _progress(transform_id, objects, running=seen["status"] == "running")
    return {"transform_id": transform_id, **seen, **progress}


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
