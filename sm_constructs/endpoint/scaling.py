"""Capacity that follows what comes: Application Auto Scaling of variants and inference components.

https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeGuard

from aws_cdk import Duration, Stack, TimeZone, Token
from aws_cdk import aws_applicationautoscaling as autoscaling
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from constructs import Construct

from sm_constructs._validation import Problems


class Cooldowns(NamedTuple):
    """How fast capacity may go and come."""

    scale_in: Duration | None
    scale_out: Duration | None
    disable_scale_in: bool


class FirstOne(NamedTuple):
    """When the first is started where there is none.

    Target tracking divides by the capacity and so does not see work that comes when there is none.
    """

    metric: cloudwatch.IMetric
    """Says, with 1 or more, that there is work and nobody for it."""
    periods: int
    """For how many periods it has to say so."""
    cooldown: Duration
    """How long to wait after that before another one is started."""


class ScalableCapacity(Construct):
    """What SageMaker's scalable capacities have in common.

    Attributes:
        scalable_target: CDK's own construct, for anything that is not offered here.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        resource_id: str,
        scalable_dimension: str,
        min_capacity: int,
        max_capacity: int,
        first_one: FirstOne | None = None,
        problems: Sequence[str] = (),
    ) -> None:
        super().__init__(scope, construct_id)
        found = Problems()
        found.extend(self._limit_problems(min_capacity, max_capacity, always=True))
        found.extend(problems)
        found.raise_for(self)
        self.scalable_target = autoscaling.ScalableTarget(
            self,
            "Target",
            max_capacity=max_capacity,
            min_capacity=min_capacity,
            resource_id=resource_id,
            role=_service_linked_role(self),
            scalable_dimension=scalable_dimension,
            service_namespace=autoscaling.ServiceNamespace.SAGEMAKER,
        )
        self._may_be_none = False
        self._first_one: FirstOne | None = None
        self._start_first_one(first_one, min_capacity=min_capacity)

    def scale_on_schedule(
        self,
        construct_id: str,
        *,
        schedule: autoscaling.Schedule,
        min_capacity: int | None = None,
        max_capacity: int | None = None,
        time_zone: TimeZone | None = None,
    ) -> None:
        """Set other limits at certain times, such as office hours.

        Where they let everything go, the first one is started again when there is work for it.

        Args:
            construct_id: The id, and the action's name.
            schedule: When.
            min_capacity: The fewest from then on. When omitted: as before.
            max_capacity: The most from then on. When omitted: as before.
            time_zone: The time zone of ``schedule``. When omitted: UTC.

        Raises:
            InvalidPropsError: Neither limit is given, or SageMaker scales not so far.
        """
        problems = Problems()
        if min_capacity is None and max_capacity is None:
            problems.add(f"scale_on_schedule '{construct_id}': pass min_capacity, max_capacity or both")
        problems.extend(self._limit_problems(min_capacity, max_capacity))
        problems.raise_for(self)
        self.scalable_target.scale_on_schedule(
            construct_id,
            max_capacity=max_capacity,
            min_capacity=min_capacity,
            schedule=schedule,
            time_zone=time_zone,
        )
        self._start_first_one(min_capacity=min_capacity)

    def _limit_problems(
        self, min_capacity: int | None, max_capacity: int | None, *, always: bool = False
    ) -> Iterator[str]:
        """Yield what is wrong with limits, always or at certain times, at which even the most may be 0."""
        problems = Problems()
        problems.at_least("max_capacity", max_capacity, 1 if always else 0)
        problems.at_least("min_capacity", min_capacity, 0)
        if known(min_capacity) and known(max_capacity) and min_capacity > max_capacity:
            problems.add(f"min_capacity is {min_capacity}: must be at most max_capacity, {max_capacity}")
        yield from problems

    def _start_first_one(self, first_one: FirstOne | None = None, *, min_capacity: int | None = None) -> None:
        """Start the first one when it is both possible that there is none and known what says that there is work.

        The two may be said in either order; a limit that is known at deployment only may turn out to be 0.
        """
        self._first_one = self._first_one or first_one
        self._may_be_none |= min_capacity is not None and (Token.is_unresolved(min_capacity) or min_capacity == 0)
        if self._first_one and self._may_be_none and not self.node.try_find_child("FromZero"):
            self._scale_out_from_zero(self._first_one)

    def _track(
        self,
        construct_id: str,
        target: tuple[str, float],
        cooldowns: Cooldowns,
        *,
        predefined: autoscaling.PredefinedMetric | None = None,
        custom: cloudwatch.IMetric | None = None,
    ) -> None:
        name, value = target
        problems = Problems()
        if not Token.is_unresolved(value) and value <= 0:
            problems.add(f"{name} is {value}: must be more than 0")
        problems.raise_for(self)
        self.scalable_target.scale_to_track_metric(
            construct_id,
            custom_metric=custom,
            disable_scale_in=cooldowns.disable_scale_in or None,
            predefined_metric=predefined,
            scale_in_cooldown=cooldowns.scale_in,
            scale_out_cooldown=cooldowns.scale_out,
            target_value=value,
        )

    def _scale_out_from_zero(self, first_one: FirstOne) -> None:
        # StepScalingPolicy would be shorter, but wants a second interval, which scaling from zero does not have.
        action = autoscaling.StepScalingAction(
            self,
            "FromZero",
            adjustment_type=autoscaling.AdjustmentType.CHANGE_IN_CAPACITY,
            cooldown=first_one.cooldown,
            metric_aggregation_type=autoscaling.MetricAggregationType.AVERAGE,
            scaling_target=self.scalable_target,
        )
        action.add_adjustment(adjustment=1, lower_bound=0)
        alarm = cloudwatch.Alarm(
            self,
            "WorkWithoutCapacity",
            alarm_description="There is work and no capacity: the first is started. Nothing is to be done.",
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            datapoints_to_alarm=first_one.periods,
            evaluation_periods=first_one.periods,
            metric=first_one.metric,
            threshold=1,
            treat_missing_data=cloudwatch.TreatMissingData.MISSING,
        )
        alarm.add_alarm_action(actions.ApplicationScalingAction(action))


def only_once(scope: Construct, construct_id: str, method: str) -> None:
    """Raise InvalidPropsError where this capacity scales already.

    Args:
        scope: What has the capacity.
        construct_id: The id of the capacity's scaling within it.
        method: What was called.
    """
    problems = Problems()
    if scope.node.try_find_child(construct_id):
        problems.add(f"{method} a second time: use what the first call returned")
    problems.raise_for(scope)


def known(number: float | None) -> TypeGuard[float]:
    """Tell whether a number was given, and is known at synth."""
    return number is not None and not Token.is_unresolved(number)


def _service_linked_role(scope: Construct) -> iam.IRole:
    """Return the role that AWS makes for SageMaker's scaling; CDK would make one that is never used."""
    arn = Stack.of(scope).format_arn(
        service="iam",
        region="",
        resource="role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com",
        resource_name="AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint",
    )
    return iam.Role.from_role_arn(scope, "ServiceLinkedRole", arn, mutable=False)
