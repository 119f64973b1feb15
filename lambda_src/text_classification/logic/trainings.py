"""What callers may know of a training."""

from __future__ import annotations

import json
from typing import Any

from text_classification.gateways.executions import Execution, Executions
from text_classification.logic.errors import NotFoundError
from text_classification.logic.execution_names import is_name
from text_classification.logic.executions import view


def look_at(training_id: str, executions: Executions) -> dict[str, Any]:
    """Return what callers may know of a training.

    Raises:
        NotFoundError: There is none of that id, or no longer.
        GatewayError: Step Functions failed.
    """
    execution = executions.find(training_id) if is_name(training_id) else None
    if execution is None:
        raise NotFoundError(f"there is no training {training_id[:40]!r}, or no longer")
    return {**_output(execution), "training_id": training_id, **view(execution, executions)}


def _output(execution: Execution) -> dict[str, Any]:
    output = json.loads(execution.output) if execution.output else {}
    return output if isinstance(output, dict) else {}
