"""What the functions around state machines need, made from their environment."""

from __future__ import annotations

from collections.abc import Mapping

import boto3

from text_classification.gateways.calls import TimeBudget
from text_classification.gateways.executions import StepFunctionsExecutions

BUDGET = TimeBudget(total_seconds=60)
"""How long a call may take where nobody waits for the answer."""

API_BUDGET = TimeBudget(total_seconds=10)
"""How long a call may take where somebody does."""


def executions(environment: Mapping[str, str]) -> StepFunctionsExecutions:
    """Return the executions of the state machine that ``STATE_MACHINE_ARN`` names.

    ``STATES_AFTER_FAILURES`` names the states that deal with failures, with commas between them.
    """
    return StepFunctionsExecutions(
        client=boto3.client("stepfunctions", config=API_BUDGET.client_config()),
        state_machine_arn=environment["STATE_MACHINE_ARN"],
        budget=API_BUDGET,
        after_failures=frozenset(environment.get("STATES_AFTER_FAILURES", "").split(",")),
    )
