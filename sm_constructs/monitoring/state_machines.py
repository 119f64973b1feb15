"""A state machine's alarms: executions that fail or take too long."""

from __future__ import annotations

from dataclasses import dataclass, field

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sns as sns
from constructs import Construct

from sm_constructs.monitoring.alarms import AlarmFactory
from sm_constructs.monitoring.metrics import MetricFactory, MetricKind
from sm_constructs.monitoring.segment import Segment, graph
from sm_constructs.monitoring.thresholds import Evaluation, count_problems

_NAMESPACE = "AWS/States"
FAILED = MetricKind(namespace=_NAMESPACE, name="ExecutionsFailed", unit=cloudwatch.Unit.COUNT, statistic="Sum")
TIMED_OUT = MetricKind(namespace=_NAMESPACE, name="ExecutionsTimedOut", unit=cloudwatch.Unit.COUNT, statistic="Sum")
STARTED = MetricKind(namespace=_NAMESPACE, name="ExecutionsStarted", unit=cloudwatch.Unit.COUNT, statistic="Sum")
SUCCEEDED = MetricKind(namespace=_NAMESPACE, name="ExecutionsSucceeded", unit=cloudwatch.Unit.COUNT, statistic="Sum")


def _at_once() -> Evaluation:
    return Evaluation(period=Duration.minutes(5), datapoints_to_alarm=1, evaluation_periods=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class StateMachineThresholds:
    """When the alarms of a state machine go off.

    Args:
        failed: Executions that failed in one period. When omitted: 1.
        timed_out: Executions that took too long in one period. When omitted: 1.
        evaluation: For how long. When omitted: in a period of 5 minutes, as executions are few.

    >>> StateMachineThresholds(failed=0).problems()
    ['thresholds.failed is 0: must be at least 1']
    """

    failed: int = 1
    timed_out: int = 1
    evaluation: Evaluation = field(default_factory=_at_once)

    def problems(self) -> list[str]:
        """Say which thresholds make no sense."""
        return [
            *count_problems("thresholds.failed", self.failed),
            *count_problems("thresholds.timed_out", self.timed_out),
            *self.evaluation.problems("thresholds.evaluation"),
        ]


def state_machine_segment(
    scope: Construct, *, title: str, state_machine_arn: str, topic: sns.ITopic, thresholds: StateMachineThresholds
) -> Segment:
    """Define the alarms and graphs of one state machine."""
    metrics = MetricFactory(dimensions={"StateMachineArn": state_machine_arn})
    factory = AlarmFactory(scope=scope, topic=topic, metrics=metrics, evaluation=thresholds.evaluation)
    failed = factory.alarm(
        "Failed",
        FAILED,
        threshold=thresholds.failed,
        description=(
            f"{title}: executions fail. The cause of each is in Step Functions, as `aws stepfunctions "
            "describe-execution` prints it; mend what it names and start the execution again."
        ),
    )
    timed_out = factory.alarm(
        "TimedOut",
        TIMED_OUT,
        threshold=thresholds.timed_out,
        description=(
            f"{title}: executions take longer than they may. The execution's history in Step Functions shows the "
            "state that it waited in."
        ),
    )
    return Segment(
        title=title,
        alarms={"Failed": failed, "TimedOut": timed_out},
        graphs=[
            graph("Executions", metrics.line(STARTED), metrics.line(SUCCEEDED)),
            graph("Failed and timed out", metrics.line(FAILED), metrics.line(TIMED_OUT), limits=[failed]),
        ],
    )
