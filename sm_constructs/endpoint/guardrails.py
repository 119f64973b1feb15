"""How an endpoint moves to a new configuration, and what makes it go back.

https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails.html, limits:
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DeploymentConfig.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from math import ceil
from typing import TypeAlias

from aws_cdk import Duration, Token
from aws_cdk import aws_cloudwatch as cloudwatch

from sm_constructs._validation import Problems


class VariantProperty(Enum):
    """What a variant may have come to have at run time, and a deployment may leave as it is."""

    INSTANCE_COUNT = "DesiredInstanceCount"
    """How many instances there are, after scaling."""
    WEIGHT = "DesiredWeight"
    """The variant's share of the calls."""
    DATA_CAPTURE = "DataCaptureConfig"
    """Which calls are written to S3."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CapacitySize:
    """A part of a variant's instances. Make one with :meth:`percent` or :meth:`instances`.

    Args:
        kind: ``CAPACITY_PERCENT`` or ``INSTANCE_COUNT``.
        value: How much of it.
    """

    kind: str
    value: int

    @classmethod
    def percent(cls, value: int) -> CapacitySize:
        """Return this many of a hundred instances.

        >>> CapacitySize.percent(10)
        CapacitySize(kind='CAPACITY_PERCENT', value=10)
        """
        return cls(kind="CAPACITY_PERCENT", value=value)

    @classmethod
    def instances(cls, value: int) -> CapacitySize:
        """Return this many instances."""
        return cls(kind="INSTANCE_COUNT", value=value)

    def share_of(self, instance_count: int) -> float | None:
        """Return the percentage it is of so many instances; None where that is not known at synth."""
        if Token.is_unresolved(self.value) or Token.is_unresolved(instance_count) or instance_count < 1:
            return None
        return self.value if self.kind == "CAPACITY_PERCENT" else 100 * self.value / instance_count

    def problems(self, argument: str, instance_count: int, low: int, high: int) -> Iterator[str]:
        """Yield what is wrong with it as ``low`` to ``high`` percent of a variant's instances."""
        share = self.share_of(instance_count)
        if share is None or (low <= share <= high and self.value >= 1):
            return
        what = f"{self.value} %" if self.kind == "CAPACITY_PERCENT" else f"{self.value} of {instance_count} instances"
        yield f"deployment.{argument} is {what}: must be from {low} to {high} % of the variant's instances"


@dataclass(frozen=True, kw_only=True, slots=True)
class Guardrails:
    """What all ways of deployment have in common.

    Args:
        alarms: Alarms on the endpoint that make it go back to the old configuration, when one of them goes off
            before the deployment is over; at most 10. For an endpoint of this stack give it a name and make them on
            ``Endpoint.from_endpoint_name``, as an alarm and what it stops cannot each wait for the other. When
            omitted: only failures of the new instances themselves stop the deployment.
        maximum_execution_timeout: After how long the deployment is given up and taken back, 10 minutes to 8 hours.
            When omitted: SageMaker's own limit.
    """

    alarms: Sequence[cloudwatch.IAlarm] = ()
    maximum_execution_timeout: Duration | None = None

    def problems(self, instance_count: int) -> list[str]:
        """Return what is wrong with the values for a variant of so many instances, one line each."""
        problems = Problems()
        if len(self.alarms) > 10:
            problems.add(f"deployment.alarms are {len(self.alarms)}: SageMaker takes at most 10")
        problems.extend(_between("maximum_execution_timeout", self.maximum_execution_timeout, 600, 28_800))
        limit, waits = _seconds(self.maximum_execution_timeout), self.waits(instance_count)
        if limit is not None and waits is not None and limit <= waits:
            problems.add(
                f"deployment.maximum_execution_timeout is {limit:g} s: must be more than all waits, {waits:g} s"
            )
        return list(problems)

    def waits(self, instance_count: int) -> float | None:  # noqa: ARG002 - depends on the way of deployment
        """Return the seconds that a deployment waits in all, where they are known at synth."""
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class BlueGreen(Guardrails):
    """What the deployments have in common that make all new instances before old ones go.

    Args:
        bake_time: How long the alarms are watched after each step, at most an hour. When omitted: 5 minutes.
        termination_wait: How much longer the old instances are kept, at most an hour. When omitted: no longer.
        alarms: See :class:`Guardrails`.
        maximum_execution_timeout: See :class:`Guardrails`.
    """

    bake_time: Duration = field(default_factory=lambda: Duration.minutes(5))
    termination_wait: Duration = field(default_factory=lambda: Duration.seconds(0))

    def problems(self, instance_count: int) -> list[str]:
        """Return what is wrong with the values for a variant of so many instances, one line each."""
        return [
            *Guardrails.problems(self, instance_count),
            *_between("bake_time", self.bake_time, 0, 3600),
            *_between("termination_wait", self.termination_wait, 0, 3600),
        ]


@dataclass(frozen=True, kw_only=True, slots=True)
class AllAtOnce(BlueGreen):
    """All calls move to new instances at the same time, the old ones being kept until nothing has gone wrong.

    Args:
        bake_time: How long the alarms are watched after that, at most an hour. When omitted: 5 minutes.
        termination_wait: See :class:`BlueGreen`.
        alarms: See :class:`Guardrails`.
        maximum_execution_timeout: See :class:`Guardrails`.

    >>> AllAtOnce(bake_time=Duration.hours(2)).problems(instance_count=2)
    ['deployment.bake_time is 7200 s: must be from 0 to 3600 s']
    """

    def waits(self, instance_count: int) -> float | None:  # noqa: ARG002 - all move in one step
        """Return the seconds that a deployment waits in all, where they are known at synth."""
        return _total(1, self.bake_time, self.termination_wait)


@dataclass(frozen=True, kw_only=True, slots=True)
class Canary(BlueGreen):
    """A few of the new instances take calls first, and the others follow when no alarm has gone off.

    Args:
        canary_size: How many come first, at most half. When omitted: 10 %.
        bake_time: How long the alarms are watched after each of the two steps, at most an hour. When omitted: 5
            minutes.
        termination_wait: See :class:`BlueGreen`.
        alarms: See :class:`Guardrails`.
        maximum_execution_timeout: See :class:`Guardrails`.

    >>> Canary(canary_size=CapacitySize.instances(2)).problems(instance_count=3)
    ["deployment.canary_size is 2 of 3 instances: must be from 1 to 50 % of the variant's instances"]
    """

    canary_size: CapacitySize = field(default_factory=lambda: CapacitySize.percent(10))

    def problems(self, instance_count: int) -> list[str]:
        """Return what is wrong with the values for a variant of so many instances, one line each."""
        return [
            *BlueGreen.problems(self, instance_count),
            *self.canary_size.problems("canary_size", instance_count, 1, 50),
        ]

    def waits(self, instance_count: int) -> float | None:  # noqa: ARG002 - always two steps
        """Return the seconds that a deployment waits in all, where they are known at synth."""
        return _total(2, self.bake_time, self.termination_wait)


@dataclass(frozen=True, kw_only=True, slots=True)
class Linear(BlueGreen):
    """The calls move to new instances in equal steps, each of them watched.

    Args:
        step_size: How many instances each step adds, 10 to 50 %. When omitted: 25 %.
        bake_time: How long the alarms are watched after each step, at most an hour. When omitted: 5 minutes.
        termination_wait: See :class:`BlueGreen`.
        alarms: See :class:`Guardrails`.
        maximum_execution_timeout: See :class:`Guardrails`.

    >>> Linear(step_size=CapacitySize.percent(5)).problems(instance_count=2)
    ["deployment.step_size is 5 %: must be from 10 to 50 % of the variant's instances"]
    """

    step_size: CapacitySize = field(default_factory=lambda: CapacitySize.percent(25))

    def problems(self, instance_count: int) -> list[str]:
        """Return what is wrong with the values for a variant of so many instances, one line each."""
        return [
            *BlueGreen.problems(self, instance_count),
            *self.step_size.problems("step_size", instance_count, 10, 50),
        ]

    def waits(self, instance_count: int) -> float | None:
        """Return the seconds that a deployment waits in all, where they are known at synth."""
        return _total(_steps(self.step_size, instance_count), self.bake_time, self.termination_wait)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rolling(Guardrails):
    """Instances are replaced in batches, so that never all of them have to be there twice.

    Args:
        batch_size: How many are replaced at a time, 5 to 50 %. When omitted: 25 %.
        bake_time: How long the alarms are watched after each batch, at most an hour. When omitted: 5 minutes.
        rollback_batch_size: How many come back at a time when it has to go back. When omitted: all at once.
        alarms: See :class:`Guardrails`.
        maximum_execution_timeout: See :class:`Guardrails`.

    >>> Rolling(batch_size=CapacitySize.instances(2)).problems(instance_count=2)
    ["deployment.batch_size is 2 of 2 instances: must be from 5 to 50 % of the variant's instances"]
    """

    batch_size: CapacitySize = field(default_factory=lambda: CapacitySize.percent(25))
    bake_time: Duration = field(default_factory=lambda: Duration.minutes(5))
    rollback_batch_size: CapacitySize | None = None

    def problems(self, instance_count: int) -> list[str]:
        """Return what is wrong with the values for a variant of so many instances, one line each."""
        back = self.rollback_batch_size
        return [
            *Guardrails.problems(self, instance_count),
            *_between("bake_time", self.bake_time, 0, 3600),
            *self.batch_size.problems("batch_size", instance_count, 5, 50),
            *(back.problems("rollback_batch_size", instance_count, 1, 100) if back else ()),
        ]

    def waits(self, instance_count: int) -> float | None:
        """Return the seconds that a deployment waits in all, where they are known at synth."""
        return _total(_steps(self.batch_size, instance_count), self.bake_time)


Deployment: TypeAlias = AllAtOnce | Canary | Linear | Rolling


def _seconds(duration: Duration | None) -> float | None:
    return None if duration is None or duration.is_unresolved() else duration.to_seconds(integral=False)


def _between(argument: str, duration: Duration | None, low: int, high: int) -> Iterator[str]:
    seconds = _seconds(duration)
    if seconds is not None and not low <= seconds <= high:
        yield f"deployment.{argument} is {seconds:g} s: must be from {low} to {high} s"


def _steps(size: CapacitySize, instance_count: int) -> int | None:
    share = size.share_of(instance_count)
    return ceil(100 / share) if share else None


def _total(steps: int | None, bake_time: Duration, termination_wait: Duration | None = None) -> float | None:
    each, last = _seconds(bake_time), _seconds(termination_wait) if termination_wait else 0
    return None if steps is None or each is None or last is None else steps * each + last
