"""A Lambda function's alarms: errors and throttles."""

from __future__ import annotations

from dataclasses import dataclass, field

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sns as sns
from constructs import Construct

from sm_constructs.monitoring.alarms import AlarmFactory
from sm_constructs.monitoring.metrics import MetricFactory, MetricKind
from sm_constructs.monitoring.segment import Segment, graph
from sm_constructs.monitoring.thresholds import Evaluation, count_problems

_NAMESPACE = "AWS/Lambda"
ERRORS = MetricKind(namespace=_NAMESPACE, name="Errors", unit=cloudwatch.Unit.COUNT, statistic="Sum")
THROTTLES = MetricKind(namespace=_NAMESPACE, name="Throttles", unit=cloudwatch.Unit.COUNT, statistic="Sum")
INVOCATIONS = MetricKind(namespace=_NAMESPACE, name="Invocations", unit=cloudwatch.Unit.COUNT, statistic="Sum")
DURATION = MetricKind(namespace=_NAMESPACE, name="Duration", unit=cloudwatch.Unit.MILLISECONDS, statistic="p99")


@dataclass(frozen=True, kw_only=True, slots=True)
class FunctionThresholds:
    """When the alarms of a Lambda function go off.

    Args:
        errors: Invocations in one period that raised, timed out or ran out of memory. When omitted: 1: the
            handlers answer for wrong input and for a failing endpoint, so an error is a fault of the
            function.
        throttles: Invocations in one period that Lambda refused for want of concurrency. When omitted: 1.
        evaluation: For how long. When omitted: in 3 of 5 minutes.

    >>> FunctionThresholds(errors=0).problems()
    ['thresholds.errors is 0: must be at least 1']
    """

    errors: int = 1
    throttles: int = 1
    evaluation: Evaluation = field(default_factory=Evaluation)

    def problems(self) -> list[str]:
        """Say which thresholds make no sense."""
        return [
            *count_problems("thresholds.errors", self.errors),
            *count_problems("thresholds.throttles", self.throttles),
            *self.evaluation.problems("thresholds.evaluation"),
        ]


def function_segment(
    scope: Construct, *, title: str, function_name: str, topic: sns.ITopic, thresholds: FunctionThresholds
) -> Segment:
    """Define the alarms and graphs of one Lambda function, all its versions together."""
    metrics = MetricFactory(dimensions={"FunctionName": function_name})
    factory = AlarmFactory(scope=scope, topic=topic, metrics=metrics, evaluation=thresholds.evaluation)
    errors = factory.alarm(
        "Errors",
        ERRORS,
        threshold=thresholds.errors,
        description=(
            f"{title}: invocations fail with an error, a timeout or lack of memory. Find the error in the "
            "function's log group and the request in X-Ray. If it began with a deployment, roll that back."
        ),
    )
    throttles = factory.alarm(
        "Throttles",
        THROTTLES,
        threshold=thresholds.throttles,
        description=(
            f"{title}: Lambda refuses invocations. Compare concurrent executions with the function's "
            "reserved concurrency and the account's quota in Service Quotas; raise what is reached, or lower "
            "the API's throttling."
        ),
    )
    return Segment(
        title=title,
        alarms={"Errors": errors, "Throttles": throttles},
        graphs=[
            graph("Invocations", metrics.line(INVOCATIONS)),
            graph(
                "Errors and throttles",
                metrics.line(ERRORS),
                metrics.line(THROTTLES),
                limits=[errors],
            ),
            graph("Duration (ms)", metrics.line(DURATION, statistic="p50"), metrics.line(DURATION)),
        ],
    )
