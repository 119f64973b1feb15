"""Deployment guardrails: how traffic moves to a new fleet, step by step, and what sends it back.

https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails.html
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction

from sm_local.clock import Clock
from sm_local.sagemaker.config import EndpointConfig
from sm_local.sagemaker.errors import invalid
from sm_local.sagemaker.metrics import AlarmStates
from sm_local.sagemaker.registry import Parameters

# How often alarms are looked at while a fleet bakes; AWS does not say.
_LOOK_SECONDS = 5.0
_NO_TIME_LIMIT = float("inf")


@dataclass(frozen=True, slots=True)
class Step:
    """One shift of traffic.

    Args:
        share: The new fleet's part of the calls after it.
        bake_seconds: How long alarms are watched before the next one.
    """

    share: float
    bake_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a new fleet takes over.

    Args:
        steps: The shifts; the last one's share is 1.
        alarms: Any of them in ``ALARM`` rolls back.
        longest_seconds: The time limit of the whole deployment.
    """

    steps: tuple[Step, ...]
    alarms: tuple[str, ...] = ()
    longest_seconds: float = _NO_TIME_LIMIT


ALL_AT_ONCE = Plan(steps=(Step(1.0, 0.0),))


class RolledBackError(Exception):
    """A deployment has to be undone; its words are the endpoint's ``FailureReason``."""


def plan(deployment: Parameters | None, old: EndpointConfig, new: EndpointConfig) -> Plan:
    """Return how a deployment goes.

    Args:
        deployment: ``DeploymentConfig``; without one, all traffic moves at once.
        old: The configuration in service.
        new: The one to deploy.

    Raises:
        SageMakerError: SageMaker would refuse the deployment.
    """
    if not deployment:
        return ALL_AT_ONCE
    if {variant.name for variant in old.variants} != {variant.name for variant in new.variants}:
        raise invalid(
            "When a DeploymentConfig is given, the new endpoint configuration must have the same variant names as "
            "the one in service."
        )
    if _excluded(deployment, old) or _excluded(deployment, new):
        return ALL_AT_ONCE
    instances = max(variant.instance_count for variant in new.variants)
    blue_green, rolling = deployment.get("BlueGreenUpdatePolicy"), deployment.get("RollingUpdatePolicy")
    if blue_green and rolling:
        raise invalid("DeploymentConfig takes either a BlueGreenUpdatePolicy or a RollingUpdatePolicy, and not both.")
    policy = blue_green or rolling or {}
    steps = ALL_AT_ONCE.steps
    if blue_green:
        steps = _blue_green(blue_green, instances)
    elif rolling:
        return rolling_plan(deployment, instances)
    return Plan(
        steps=steps,
        alarms=_alarms(deployment),
        longest_seconds=policy.get("MaximumExecutionTimeoutInSeconds", _NO_TIME_LIMIT),
    )


def rolling_plan(deployment: Parameters | None, capacity: int) -> Plan:
    """Return how a deployment with a ``RollingUpdatePolicy`` goes.

    Args:
        deployment: ``DeploymentConfig``; without one, all traffic moves at once.
        capacity: How many instances, or copies of an inference component, there are.

    Raises:
        SageMakerError: SageMaker would refuse it.
    """
    if not deployment:
        return ALL_AT_ONCE
    policy = deployment["RollingUpdatePolicy"]
    size = _part(policy["MaximumBatchSize"], max(1, capacity), "MaximumBatchSize", least=5, most=50)
    return Plan(
        steps=tuple(Step(share, policy["WaitIntervalInSeconds"]) for share in _shares(size)),
        alarms=_alarms(deployment),
        longest_seconds=policy.get("MaximumExecutionTimeoutInSeconds", _NO_TIME_LIMIT),
    )


def _alarms(deployment: Parameters) -> tuple[str, ...]:
    rollback = deployment.get("AutoRollbackConfiguration", {})
    return tuple(alarm["AlarmName"] for alarm in rollback.get("Alarms", ()))


def _excluded(deployment: Parameters, config: EndpointConfig) -> bool:
    """Return whether SageMaker shifts all at once and without baking, whatever was asked for.

    https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-exclusions.html
    """
    on_inf1 = any((variant.instance_type or "").startswith("ml.inf1.") for variant in config.variants)
    rolling = "RollingUpdatePolicy" in deployment
    return on_inf1 or config.serverless or (rolling and len(config.variants) > 1)


def _blue_green(policy: Parameters, instances: int) -> tuple[Step, ...]:
    routing = policy["TrafficRoutingConfiguration"]
    wait, last_wait = routing["WaitIntervalInSeconds"], policy.get("TerminationWaitInSeconds", 0)
    match routing["Type"]:
        case "CANARY":
            size = _part(routing.get("CanarySize"), instances, "CanarySize", least=0, most=50)
            shares = [float(size), 1.0]
        case "LINEAR":
            shares = _shares(_part(routing.get("LinearStepSize"), instances, "LinearStepSize", least=10, most=50))
        case _:
            shares = [1.0]
    return (*(Step(share, wait) for share in shares[:-1]), Step(shares[-1], last_wait))


def _shares(size: Fraction) -> list[float]:
    """Return the new fleet's share after each step of a size.

    >>> _shares(Fraction(40, 100))
    [0.4, 0.8, 1.0]
    """
    count = -(-1 // size)  # rounded up
    return [float(min(Fraction(1), size * step)) for step in range(1, int(count) + 1)]


def _part(size: Parameters | None, instances: int, name: str, *, least: int, most: int) -> Fraction:
    """Return a CapacitySize as a part of the fleet; on few instances the smallest part is one of them."""
    if size is None:
        raise invalid(f"{name} is required for this traffic routing type.")
    part = Fraction(size["Value"], 100 if size["Type"] == "CAPACITY_PERCENT" else instances)
    if not least <= part * 100 <= most:
        between = f"between {least}% and {most}%" if least else f"less than or equal to {most}%"
        raise invalid(f"{name} must be {between} of the variant's total instance count, got {float(part * 100):g}%.")
    return part


class Deployment:
    """Carries out a plan.

    Args:
        plan: What to do.
        clock: In whose time fleets bake.
        alarms: Whose states are watched.
        ended: Set when the endpoint is gone.
        began: When the deployment began, by the clock.
    """

    def __init__(self, plan: Plan, clock: Clock, alarms: AlarmStates, *, ended: threading.Event, began: float) -> None:
        self._plan = plan
        self._clock = clock
        self._alarms = alarms
        self._ended = ended
        self._deadline = began + plan.longest_seconds

    def run(self, shift: Callable[[float], None], bake: Callable[[], None]) -> None:
        """Shift all traffic.

        Args:
            shift: Gives the new fleet a part of the calls.
            bake: Is told whenever alarms begin to be watched.

        Raises:
            RolledBackError: An alarm was in ``ALARM``, or the time was up.
        """
        for step in self._plan.steps:
            self._look()
            shift(step.share)
            bake()
            self._bake(step.bake_seconds)

    def _bake(self, seconds: float) -> None:
        until = self._clock.now() + seconds
        while (left := until - self._clock.now()) > 0:
            if self._clock.wait(self._ended, min(left, _LOOK_SECONDS)):
                raise RolledBackError("The endpoint was deleted.")
            self._look()
        self._look()

    def _look(self) -> None:
        if self._clock.now() > self._deadline:
            raise RolledBackError(
                "The deployment did not finish within MaximumExecutionTimeoutInSeconds, "
                f"{self._plan.longest_seconds:g}, and was rolled back."
            )
        if alarming := sorted(self._alarming(self._plan.alarms)):
            raise RolledBackError(
                "One or more alarms were in the ALARM state during the deployment, which was rolled back: "
                f"{', '.join(alarming)}."
            )

    def _alarming(self, alarms: Iterable[str]) -> list[str]:
        try:
            return [alarm for alarm in alarms if self._alarms.state(alarm) == "ALARM"]
        except KeyError as error:
            raise RolledBackError(f"The deployment was rolled back: there is no alarm {error}.") from error
