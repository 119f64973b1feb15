"""A SageMaker endpoint's alarms: invocation errors and model latency."""

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

# Not /aws/sagemaker/Endpoints, which has the instances' metrics. All of these are published for real-time and
# for serverless variants. Each request sends 1 or 0 to an error metric, so its Average is the error rate.
_NAMESPACE = "AWS/SageMaker"
SERVER_ERROR_RATE = MetricKind(
    namespace=_NAMESPACE, name="Invocation5XXErrors", unit=cloudwatch.Unit.NONE, statistic="Average"
)
CLIENT_ERROR_RATE = MetricKind(
    namespace=_NAMESPACE, name="Invocation4XXErrors", unit=cloudwatch.Unit.NONE, statistic="Average"
)
INVOCATIONS = MetricKind(namespace=_NAMESPACE, name="Invocations", unit=cloudwatch.Unit.NONE, statistic="Sum")
# Average, because SageMaker documents no percentiles for its latencies; the API's p99 sees the slow tail.
MODEL_LATENCY = MetricKind(
    namespace=_NAMESPACE, name="ModelLatency", unit=cloudwatch.Unit.MICROSECONDS, statistic="Average"
)
OVERHEAD_LATENCY = MetricKind(
    namespace=_NAMESPACE, name="OverheadLatency", unit=cloudwatch.Unit.MICROSECONDS, statistic="Average"
)

_CONTAINER_TIMEOUT = Duration.seconds(60)


@dataclass(frozen=True, kw_only=True, slots=True)
class EndpointThresholds:
    """When the alarms of one production variant go off.

    Args:
        server_error_rate: Share of invocations that the model answered with 5xx, above 0 and up to 1.
            When omitted: 0.05.
        client_error_rate: Share that it answered with 4xx. When omitted: 0.05: requests were checked before
            they came here, so a 4xx means that the caller and the model disagree about the payload.
        model_latency: What the model's time for a request must stay under on average in a period. When
            omitted: 2 seconds. At most 60 seconds, after which SageMaker gives up on the container.
        evaluation: For how long. When omitted: in 3 of 5 minutes.

    >>> EndpointThresholds(model_latency=Duration.seconds(90)).problems()
    ['thresholds.model_latency is 90000 ms: must be from 1 to 60000 ms']
    """

    server_error_rate: float = 0.05
    client_error_rate: float = 0.05
    model_latency: Duration = field(default_factory=lambda: Duration.seconds(2))
    evaluation: Evaluation = field(default_factory=Evaluation)

    def problems(self, name: str = "thresholds") -> list[str]:
        """Say which thresholds of the argument of that name make no sense."""
        return [
            *rate_problems(f"{name}.server_error_rate", self.server_error_rate),
            *rate_problems(f"{name}.client_error_rate", self.client_error_rate),
            *latency_problems(f"{name}.model_latency", self.model_latency, _CONTAINER_TIMEOUT),
            *self.evaluation.problems(f"{name}.evaluation"),
        ]


def endpoint_segment(
    scope: Construct,
    *,
    title: str,
    endpoint_name: str,
    variant_name: str,
    topic: sns.ITopic,
    thresholds: EndpointThresholds,
) -> Segment:
    """Define the alarms and graphs of one production variant of an endpoint."""
    metrics = MetricFactory(dimensions={"EndpointName": endpoint_name, "VariantName": variant_name})
    factory = AlarmFactory(scope=scope, topic=topic, metrics=metrics, evaluation=thresholds.evaluation)
    server_errors = factory.alarm(
        "ServerErrors",
        SERVER_ERROR_RATE,
        threshold=thresholds.server_error_rate,
        description=(
            "The model fails with 5xx. Read the container's log in the log group "
            "/aws/sagemaker/Endpoints/<endpoint>. If it began with a new model, deploy the one before it."
        ),
    )
    client_errors = factory.alarm(
        "ClientErrors",
        CLIENT_ERROR_RATE,
        threshold=thresholds.client_error_rate,
        description=(
            "The model refuses requests with 4xx. They were checked before, so the caller and the model "
            "disagree about the payload: see which of the two was deployed last, and read the container's "
            "log in the log group /aws/sagemaker/Endpoints/<endpoint>."
        ),
    )
    latency = factory.alarm(
        "ModelLatency",
        MODEL_LATENCY,
        threshold=thresholds.model_latency,
        description=(
            "The model takes too long. Look at the number of invocations and at the instances' CPU: under "
            "load add instances or take a larger type (serverless: more memory); without load look for a "
            "slower new model or longer texts."
        ),
    )
    return Segment(
        title=title,
        alarms={"ServerErrors": server_errors, "ClientErrors": client_errors, "ModelLatency": latency},
        graphs=[
            graph("Invocations", metrics.line(INVOCATIONS)),
            graph(
                "Error rates",
                metrics.line(SERVER_ERROR_RATE),
                metrics.line(CLIENT_ERROR_RATE),
                limits=[server_errors],
            ),
            graph(
                "Latency (µs)",
                metrics.line(MODEL_LATENCY),
                metrics.line(OVERHEAD_LATENCY),
                limits=[latency],
            ),
        ],
    )
