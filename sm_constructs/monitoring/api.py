"""The REST API's alarms: server errors and latency."""

from __future__ import annotations

from dataclasses import dataclass, field

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sns as sns
from constructs import Construct

from sm_constructs.monitoring.alarms import AlarmFactory
from sm_constructs.monitoring.metrics import MetricFactory, MetricKind
from sm_constructs.monitoring.segment import Segment, graph
from sm_constructs.monitoring.thresholds import Evaluation, latency_problems, rate_problems

_NAMESPACE = "AWS/ApiGateway"
# The Average of an error metric is the share of requests that failed, by API Gateway's documentation.
SERVER_ERROR_RATE = MetricKind(namespace=_NAMESPACE, name="5XXError", unit=cloudwatch.Unit.COUNT, statistic="Average")
CLIENT_ERROR_RATE = MetricKind(namespace=_NAMESPACE, name="4XXError", unit=cloudwatch.Unit.COUNT, statistic="Average")
LATENCY = MetricKind(namespace=_NAMESPACE, name="Latency", unit=cloudwatch.Unit.MILLISECONDS, statistic="p99")
REQUESTS = MetricKind(namespace=_NAMESPACE, name="Count", unit=cloudwatch.Unit.COUNT, statistic="SampleCount")


@dataclass(frozen=True, kw_only=True, slots=True)
class ApiThresholds:
    """When the alarms of a REST API go off.

    Args:
        server_error_rate: Share of requests answered with 5xx, above 0 and up to 1. When omitted: 0.05.
        latency_p99: What 99 of 100 requests must stay under, from API Gateway's receipt to its answer.
            When omitted: 5 seconds, which a cold start of the function alone does not reach.
        evaluation: For how long. When omitted: in 3 of 5 minutes.

    >>> ApiThresholds(server_error_rate=5).problems()
    ['thresholds.server_error_rate is 5: must be above 0 and at most 1, as a share of requests']
    """

    server_error_rate: float = 0.05
    latency_p99: Duration = field(default_factory=lambda: Duration.seconds(5))
    evaluation: Evaluation = field(default_factory=Evaluation)

    def problems(self, name: str = "thresholds") -> list[str]:
        """Say which thresholds of the argument of that name make no sense."""
        return [
            *rate_problems(f"{name}.server_error_rate", self.server_error_rate),
            *latency_problems(f"{name}.latency_p99", self.latency_p99),
            *self.evaluation.problems(f"{name}.evaluation"),
        ]


def api_segment(
    scope: Construct,
    *,
    title: str,
    api_name: str,
    stage_name: str,
    topic: sns.ITopic,
    thresholds: ApiThresholds,
) -> Segment:
    """Define the alarms and graphs of one stage of a REST API.

    The dimensions are ApiName and Stage, which API Gateway publishes without detailed metrics.
    """
    metrics = MetricFactory(dimensions={"ApiName": api_name, "Stage": stage_name})
    factory = AlarmFactory(scope=scope, topic=topic, metrics=metrics, evaluation=thresholds.evaluation)
    server_errors = factory.alarm(
        "ServerErrors",
        SERVER_ERROR_RATE,
        threshold=thresholds.server_error_rate,
        description=(
            "The API answers requests with 5xx. Look at the alarms of the functions and the endpoint first: "
            "they name the failing part. If they are quiet, read the API's execution log for integration "
            "errors."
        ),
    )
    latency = factory.alarm(
        "Latency",
        LATENCY,
        threshold=thresholds.latency_p99,
        description=(
            "The slowest 1 % of API requests take too long. Compare the endpoint's model and overhead "
            "latency on the dashboard: high model latency asks for more or larger instances, high overhead on a "
            "serverless endpoint is its cold start. If both are low, open a slow trace in X-Ray."
        ),
    )
    return Segment(
        title=title,
        alarms={"ServerErrors": server_errors, "Latency": latency},
        graphs=[
            graph("Requests", metrics.line(REQUESTS)),
            graph(
                "Error rates",
                metrics.line(SERVER_ERROR_RATE),
                metrics.line(CLIENT_ERROR_RATE),
                limits=[server_errors],
            ),
            graph(
                "Latency (ms)",
                metrics.line(LATENCY, statistic="p50"),
                metrics.line(LATENCY),
                limits=[latency],
            ),
        ],
    )
