"""Alarms that tell a topic when they go off and when all is well again."""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sns as sns
from constructs import Construct

from sm_constructs.monitoring.metrics import MetricFactory, MetricKind
from sm_constructs.monitoring.thresholds import Evaluation


@dataclass(frozen=True, kw_only=True, slots=True)
class AlarmFactory:
    """Makes the alarms of one resource.

    Plain metric alarms only, never expressions: the Average of a service's error metric is the error rate.

    Args:
        scope: Where the alarms are put.
        topic: What they tell.
        metrics: The resource's metrics.
        evaluation: M of N periods.
    """

    scope: Construct
    topic: sns.ITopic
    metrics: MetricFactory
    evaluation: Evaluation

    def alarm(
        self, construct_id: str, kind: MetricKind, *, threshold: float | Duration, description: str
    ) -> cloudwatch.Alarm:
        """Make an alarm that goes off at the threshold or above it.

        Args:
            construct_id: Unique in the scope.
            kind: The metric watched.
            threshold: A number in the metric's unit, or a duration, which is converted to it.
            description: What is wrong and what to do about it, for the person who is woken by it.
        """
        alarm = cloudwatch.Alarm(
            self.scope,
            construct_id,
            metric=self.metrics.metric(kind, period=self.evaluation.period),
            threshold=kind.value_of(threshold),
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            datapoints_to_alarm=self.evaluation.datapoints_to_alarm,
            evaluation_periods=self.evaluation.evaluation_periods,
            # Every metric here is published by requests. No data means no requests, which is no fault; the
            # default would leave an alarm of a quiet system in INSUFFICIENT_DATA, or in ALARM after the last
            # error.
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            alarm_description=description,
        )
        action = actions.SnsAction(self.topic)
        alarm.add_alarm_action(action)
        alarm.add_ok_action(action)
        return alarm
