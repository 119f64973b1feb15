"""Executions of a state machine, in Step Functions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from botocore.exceptions import ClientError

from text_classification.gateways.calls import TimeBudget, call_service

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

_EVENTS_A_PAGE = 100
_MAX_PAGES = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Execution:
    """An execution as it was at one look.

    Args:
        name: Its name.
        status: ``RUNNING``, ``SUCCEEDED``, ``FAILED``, ``TIMED_OUT``, ``ABORTED`` or ``PENDING_REDRIVE``.
        input: JSON.
        started_at: When it was started.
        ended_at: When it ended. None: not yet.
        output: JSON. None: it has none.
        error: The name of the error that it ended with.
        cause: Why it ended with that, text or JSON.
    """

    name: str
    status: str
    input: str
    started_at: datetime
    ended_at: datetime | None = None
    output: str | None = None
    error: str | None = None
    cause: str | None = None


class Executions(Protocol):
    """The executions of one state machine, by their names."""

    def start(self, name: str, document: str) -> bool:
        """Start an execution with JSON, or return False if there was one of that name. Raises GatewayError."""
        ...

    def find(self, name: str) -> Execution | None:
        """Return an execution, or None if there is none, or no longer. Raises GatewayError."""
        ...

    def state(self, name: str) -> str | None:
        """Return the state that an execution entered last. Raises GatewayError."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class StepFunctionsExecutions:
    """The executions of a standard state machine; Step Functions remembers them for 90 days after they ended.

    Args:
        client: Of Step Functions, made with ``budget.client_config()``.
        state_machine_arn: The state machine.
        budget: How long a call may take, repetitions included.
        after_failures: The states that an execution goes through when another one has failed: they are not told.
    """

    client: SFNClient
    state_machine_arn: str
    budget: TimeBudget
    after_failures: frozenset[str] = frozenset()

    def start(self, name: str, document: str) -> bool:
        """Start an execution with JSON, or return False if there was one of that name.

        AWS answers as for the first time while an execution with the same input runs; that is True, too.
        """

        def start() -> bool:
            try:
                self.client.start_execution(stateMachineArn=self.state_machine_arn, name=name, input=document)
            except ClientError as error:
                if error.response["Error"]["Code"] == "ExecutionAlreadyExists":
                    return False
                raise
            return True

        return call_service(start, self.budget)

    def find(self, name: str) -> Execution | None:
        """Return an execution, or None if there is none, or no longer."""

        def describe() -> dict[str, Any] | None:
            try:
                found = dict(self.client.describe_execution(executionArn=self._arn(name)))
            except ClientError as error:
                if error.response["Error"]["Code"] == "ExecutionDoesNotExist":
                    return None
                raise
            return found

        found = call_service(describe, self.budget)
        if found is None:
            return None
        return Execution(
            name=found["name"],
            status=found["status"],
            input=found.get("input") or "{}",
            started_at=found["startDate"],
            ended_at=found.get("stopDate"),
            output=found.get("output"),
            error=found.get("error"),
            cause=found.get("cause"),
        )

    def state(self, name: str) -> str | None:
        """Return the state that an execution entered last, or failed in, if it is among the last 500 events."""
        token: dict[str, str] = {}
        for _ in range(_MAX_PAGES):
            page = call_service(
                lambda: self.client.get_execution_history(
                    executionArn=self._arn(name),
                    reverseOrder=True,
                    includeExecutionData=False,
                    maxResults=_EVENTS_A_PAGE,
                    **token,  # noqa: B023 - called at once
                ),
                self.budget,
            )
            for event in page["events"]:
                state = event.get("stateEnteredEventDetails", {}).get("name")
                if state and state not in self.after_failures:
                    return state
            if not page.get("nextToken"):
                return None
            token = {"nextToken": page["nextToken"]}
        return None

    def running(self) -> dict[str, datetime]:
        """Return when each execution began that has not ended, by its name. It may lag behind by seconds."""
        found: dict[str, datetime] = {}
        token: dict[str, Any] = {}
        while True:
            page = call_service(
                lambda: self.client.list_executions(
                    stateMachineArn=self.state_machine_arn,
                    statusFilter="RUNNING",
                    **token,  # noqa: B023 - called at once
                ),
                self.budget,
            )
            found |= {each["name"]: each["startDate"] for each in page["executions"]}
            if not page.get("nextToken"):
                return found
            token = {"nextToken": page["nextToken"]}

    def _arn(self, name: str) -> str:
        return f"{self.state_machine_arn.replace(':stateMachine:', ':execution:')}:{name}"
