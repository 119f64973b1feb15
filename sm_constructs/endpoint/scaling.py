"""Capacity that follows what comes: Application Auto Scaling of variants and inference components.

https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

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
        problems: Sequence[str] = (),
    ) -> None:
        super().__init__(scope, construct_id)
        found = Problems()
        found.at_least("max_capacity", max_capacity, 1)
        found.at_least("min_capacity", min_capacity, 0)
        if not Token.is_unresolved(min_capacity) and not Token.is_unresolved(max_capacity):
            found.unless(
                min_capacity <= max_capacity,
                f"min_capacity is {min_capacity}: must be at most max_capacity, {max_capacity}",
            )
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
        self._starts_from_zero = not Token.is_unresolved(min_capacity) and min_capacity == 0

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

        Args:
            construct_id: The id, and the action's name.
            schedule: When.
            min_capacity: The fewest from then on. When omitted: as before.
            max_capacity: The most from then on. When omitted: as before.
            time_zone: The time zone of ``schedule``. When omitted: UTC.

        Raises:
            InvalidPropsError: Neither limit is given.
        """
        problems = Problems()
        if min_capacity is None and max_capacity is None:
            problems.add(f"scale_on_schedule '{construct_id}': pass min_capacity, max_capacity or both")
        problems.extend(self._schedule_problems(min_capacity))
        problems.raise_for(self)
        self.scalable_target.scale_on_schedule(
            construct_id,
            max_capacity=max_capacity,
            min_capacity=min_capacity,
            schedule=schedule,
            time_zone=time_zone,
        )

    def _schedule_problems(self, min_capacity: int | None) -> Iterator[str]:
        """Yield what is wrong with a lowest capacity at certain times."""
        if min_capacity is not None and not Token.is_unresolved(min_capacity) and min_capacity < 0:
            yield f"min_capacity is {min_capacity}: must be at least 0"

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

    def _scale_out_from_zero(self, metric: cloudwatch.IMetric, *, periods: int, cooldown: Duration) -> None:
        """Start with one when a metric says that there is work and nobody for it.

        Target tracking divides by the capacity and so does not see work that comes when there is none.
        """
        # StepScalingPolicy would be shorter, but wants a second interval, which scaling from zero does not have.
        action = autoscaling.StepScalingAction(
            self,
            "FromZero",
            adjustment_type=autoscaling.AdjustmentType.CHANGE_IN_CAPACITY,
            cooldown=cooldown,
            metric_aggregation_type=autoscaling.MetricAggregationType.AVERAGE,
            scaling_target=self.scalable_target,
        )
        action.add_adjustment(adjustment=1, lower_bound=0)
        alarm = cloudwatch.Alarm(
            self,
            "WorkWithoutCapacity",
            alarm_description="There is work and no capacity: the first is started. Nothing is to be done.",
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            datapoints_to_alarm=periods,
            evaluation_periods=periods,
            metric=metric,
            threshold=1,
            treat_missing_data=cloudwatch.TreatMissingData.MISSING,
        )
        alarm.add_alarm_action(actions.ApplicationScalingAction(action))


def _service_linked_role(scope: Construct) -> iam.IRole:
    """Return the role that AWS makes for SageMaker's scaling; CDK would make one that is never used."""
    arn = Stack.of(scope).format_arn(
        service="iam",
        region="",
        resource="role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com",
        resource_name="AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint",
    )
    return iam.Role.from_role_arn(scope, "ServiceLinkedRole", arn, mutable=False)
