"""Executions of state machines as callers know them: started once, however often they are asked for, and looked at."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any, Literal

from text_classification.gateways.executions import Execution, Executions
from text_classification.logic.errors import ConflictError
from text_classification.logic.failures import explain
from text_classification.logic.jobs import derived_job_id, idempotency_key, timestamp

Status = Literal["running", "succeeded", "failed"]

_STATUSES: Mapping[str, Status] = {"RUNNING": "running", "PENDING_REDRIVE": "running", "SUCCEEDED": "succeeded"}
_ENDINGS = {"TIMED_OUT": "States.Timeout", "ABORTED": "Aborted"}
_CAUSES = {"ABORTED": "somebody stopped it"}


def keyed_name(kind: str, caller: str, key: str) -> str:
    """Return the name of the execution that a caller names by a key of its own.

    Args:
        kind: What is started, such as ``"training"``: keys of different kinds never meet.
        caller: Who calls.
        key: The ``Idempotency-Key``.

    Raises:
        InvalidRequestError: The key is not one.
    """
    return derived_job_id(kind, idempotency_key(caller, key))


def new_name() -> str:
    """Return a name that no other execution has."""
    return secrets.token_hex(16)


def start_once(request: Mapping[str, Any], name: str, executions: Executions) -> Status:
    """Start an execution, once, and return its status.

    Args:
        request: Its input.
        name: Of a request that may be sent more than once, always the same.
        executions: Of the state machine.

    Raises:
        ConflictError: There is one of that name that was asked for something else.
        GatewayError: It is not started.
    """
    document = json.dumps(request, sort_keys=True)
    if executions.start(name, document):
        return "running"
    existing = executions.find(name)
    if existing is None or json.loads(existing.input) != json.loads(document):
        raise ConflictError("the Idempotency-Key was used for another body before: send a new key with a new body")
    return status_of(existing)


def status_of(execution: Execution) -> Status:
    """Return a status as callers know it."""
    return _STATUSES.get(execution.status, "failed")


def view(execution: Execution, executions: Executions) -> dict[str, Any]:
    """Return ``status`` and ``started_at``, and as far as there are such ``ended_at``, ``state`` and ``error``.

    Raises:
        GatewayError: Step Functions failed.
    """
    status = status_of(execution)
    seen: dict[str, Any] = {"status": status, "started_at": timestamp(execution.started_at)}
    if execution.ended_at is not None:
        seen["ended_at"] = timestamp(execution.ended_at)
    if status != "succeeded" and (state := executions.state(execution.name)):
        seen["state"] = state
    if status == "failed":
        failure = explain(
            execution.error or _ENDINGS.get(execution.status), execution.cause or _CAUSES.get(execution.status)
        )
        seen["error"] = {"code": failure.error, "detail": failure.cause}
    return seen
