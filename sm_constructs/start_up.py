"""How a Lambda function is made ready before anybody calls it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sm_constructs.lambda_platform import LAMBDA, LambdaPlatform

if TYPE_CHECKING:
    from aws_cdk import aws_lambda as lambda_

_OLDEST_SNAP_START = "3.12"


@dataclass(frozen=True, kw_only=True, slots=True)
class SnapStart:
    """Define that Lambda starts copies of a function from a snapshot, taken once when a version is published.

    For Python 3.12 and newer. Costs nothing for each idle copy, but keeping and restoring the snapshot are billed by
    the function's memory.
    """


@dataclass(frozen=True, kw_only=True, slots=True)
class ProvisionedConcurrency:
    """Define that Lambda keeps copies of a function ready, which is billed by the second.

    Args:
        executions: How many copies, 1 or more. Further ones start as if there were none ready.

    >>> ProvisionedConcurrency(executions=0).problems()
    ['start_up.executions is 0: must be at least 1']
    """

    executions: int

    def problems(self) -> list[str]:
        """Say what Lambda would refuse."""
        return [f"start_up.executions is {self.executions}: must be at least 1"] if self.executions < 1 else []


StartUp = SnapStart | ProvisionedConcurrency


def start_up_problems(
    start_up: StartUp | None, *, reserved_concurrent_executions: int | None, lambda_platform: LambdaPlatform
) -> Iterator[str]:
    """Say what Lambda would refuse of the way to start."""
    match start_up:
        case SnapStart():
            # "3.9" is not among the versions of Python that there are, so they sort as texts.
            if lambda_platform.system == LAMBDA and lambda_platform.python < _OLDEST_SNAP_START:
                yield (
                    f"start_up is SnapStart with Python {lambda_platform.python}: Lambda has it from "
                    f"{_OLDEST_SNAP_START} on: set lambda_platform"
                )
        case ProvisionedConcurrency():
            yield from start_up.problems()
            reserved = reserved_concurrent_executions
            if reserved is not None and start_up.executions > reserved:
                yield (
                    f"start_up.executions is {start_up.executions}: must be at most reserved_concurrent_executions, "
                    f"which is {reserved}"
                )
        case None:
            pass


def prepared(function: lambda_.Function, start_up: StartUp | None) -> lambda_.IFunction:
    """Return what callers invoke: the function itself, or its alias ``live`` where versions are prepared."""
    if start_up is None:
        return function
    executions = start_up.executions if isinstance(start_up, ProvisionedConcurrency) else None
    return function.add_alias("live", provisioned_concurrent_executions=executions)
