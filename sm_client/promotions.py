"""Going back to the model that was in service before: an execution of the stack's promotion state machine."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

from sm_client.errors import PromotionFailedError, PromotionRunningError


def start_rollback(client: Any, state_machine_arn: str) -> str:  # noqa: ANN401 - there are no types of it
    """Start it with Step Functions' client and return the execution's ARN. Raises ClientError."""
    started = client.start_execution(
        stateMachineArn=state_machine_arn, name=f"rollback-{uuid4().hex[:24]}", input=json.dumps({"rollback": True})
    )
    return str(started["executionArn"])


def ended(client: Any, execution_arn: str, pauses: Iterator[float], timeout_s: float) -> dict[str, Any]:  # noqa: ANN401
    """Wait for an execution and return its output.

    Raises:
        PromotionFailedError: It failed.
        PromotionRunningError: It has not ended in time.
        ClientError: Step Functions refused.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        execution = client.describe_execution(executionArn=execution_arn)
        if execution["status"] == "SUCCEEDED":
            output = json.loads(execution.get("output") or "{}")
            return output if isinstance(output, dict) else {"output": output}
        if execution["status"] not in ("RUNNING", "PENDING_REDRIVE"):
            raise PromotionFailedError(
                execution_arn, execution["status"], execution.get("error"), execution.get("cause")
            )
        left = deadline - time.monotonic()
        if left <= 0:
            raise PromotionRunningError(execution_arn)
        time.sleep(min(next(pauses), left))
