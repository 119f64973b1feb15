"""Trainings: started once, however often they are asked for, and looked at until they have ended."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any, Literal

from text_classification.gateways.executions import Execution, Executions
from text_classification.logic.errors import ConflictError, NotFoundError
from text_classification.logic.failures import explain
from text_classification.logic.jobs import derived_job_id, keyed_job_id, timestamp
from text_classification.logic.training_requests import TrainingRequest, is_training_id

TrainingStatus = Literal["running", "succeeded", "failed"]

_STATUSES: Mapping[str, TrainingStatus] = {"RUNNING": "running", "PENDING_REDRIVE": "running", "SUCCEEDED": "succeeded"}
_ENDINGS = {"TIMED_OUT": "States.Timeout", "ABORTED": "Aborted"}
_CAUSES = {"ABORTED": "somebody stopped it"}


def keyed_training_id(caller: str, key: str) -> str:
    """Return the id of the training that a caller names by a key of its own.

    Raises:
        InvalidRequestError: The key is not one.
    """
    return derived_job_id("training", keyed_job_id(caller, key))


def new_training_id() -> str:
    """Return an id that no other training has."""
    return secrets.token_hex(16)


def start(request: TrainingRequest, training_id: str, executions: Executions) -> str:
    """Start a training, once, and return its status.

    Args:
        request: What is asked for.
        training_id: Of a request that may be sent more than once, always the same.
        executions: Of the state machine.

    Raises:
        ConflictError: There is one of that id that was asked for something else.
        GatewayError: It is not started.
    """
    document = json.dumps(request.model_dump(), sort_keys=True)
    if executions.start(training_id, document):
        return "running"
    existing = executions.find(training_id)
    if existing is None or json.loads(existing.input) != json.loads(document):
        raise ConflictError("the Idempotency-Key was used for another body before: send a new key with a new body")
    return _status(existing)


def look_at(training_id: str, executions: Executions) -> dict[str, Any]:
    """Return what callers may know of a training.

    Raises:
        NotFoundError: There is none of that id, or no longer.
        GatewayError: Step Functions failed.
    """
    execution = executions.find(training_id) if is_training_id(training_id) else None
    if execution is None:
        raise NotFoundError(f"there is no training {training_id[:40]!r}, or no longer")
    status = _status(execution)
    view: dict[str, Any] = {
        **_output(execution),
        "training_id": training_id,
        "status": status,
        "started_at": timestamp(execution.started_at),
    }
    if execution.ended_at is not None:
        view["ended_at"] = timestamp(execution.ended_at)
    if status != "succeeded" and (state := executions.state(training_id)):
        view["state"] = state
    if status == "failed":
        failure = explain(
            execution.error or _ENDINGS.get(execution.status), execution.cause or _CAUSES.get(execution.status)
        )
        view["error"] = {"code": failure.error, "detail": failure.cause}
    return view


def _status(execution: Execution) -> TrainingStatus:
    return _STATUSES.get(execution.status, "failed")


def _output(execution: Execution) -> dict[str, Any]:
    output = json.loads(execution.output) if execution.output else {}
    return output if isinstance(output, dict) else {}
