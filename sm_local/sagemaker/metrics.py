"""SageMaker's endpoint metrics: which there are, in what unit, and under which dimensions.

https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints-monitoring.html
https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference-monitor.html
https://docs.aws.amazon.com/sagemaker/latest/dg/multi-container-metrics.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

NAMESPACE = "AWS/SageMaker"
INSTANCES_NAMESPACE = "/aws/sagemaker/Endpoints"

REAL_TIME = MappingProxyType(
    {
        "ConcurrentRequestsPerModel": "None",
        "Invocation4XXErrors": "None",
        "Invocation5XXErrors": "None",
        "InvocationModelErrors": "None",
        "Invocations": "None",
        "InvocationsPerInstance": "None",
        "ModelLatency": "Microseconds",
        "OverheadLatency": "Microseconds",
    }
)
# "Any metric not listed below is not published for serverless endpoints."
SERVERLESS = MappingProxyType(
    {
        "Invocation4XXErrors": "None",
        "Invocation5XXErrors": "None",
        "Invocations": "None",
        "ModelLatency": "Microseconds",
        "ModelSetupTime": "Microseconds",
        "OverheadLatency": "Microseconds",
        "ServerlessConcurrentExecutionsUtilization": "None",
        # Those of provisioned concurrency are published only where there is some.
        "ServerlessProvisionedConcurrencyExecutions": "Count",
        "ServerlessProvisionedConcurrencyInvocations": "Count",
        "ServerlessProvisionedConcurrencySpilloverInvocations": "Count",
        "ServerlessProvisionedConcurrencyUtilization": "None",
    }
)
# "Any metric not listed below is not published if the endpoint is enabled for asynchronous inference."
ASYNCHRONOUS = MappingProxyType(
    {
        "Invocation4XXErrors": "None",
        "Invocation5XXErrors": "None",
        "ModelLatency": "Microseconds",
        "ExpiredRequests": "Count",
        "InvocationFailures": "Count",
        "InvocationsProcessed": "Count",
        "NotificationFailures": "Count",
        "RequestDownloadFailures": "Count",
        "RequestDownloadLatency": "Microseconds",
        "ResponseUploadFailures": "Count",
        "ResponseUploadLatency": "Microseconds",
        "TimeInBacklog": "Microseconds",
        "TotalProcessingTime": "Milliseconds",
    }
)
# With the dimension EndpointName alone.
BACKLOG = MappingProxyType(
    {
        "ApproximateAgeOfOldestRequest": "Seconds",
        "ApproximateBacklogSize": "Count",
        "ApproximateBacklogSizePerInstance": "Count",
        "HasBacklogWithoutCapacity": "Count",
    }
)
MULTI_MODEL = MappingProxyType(
    {
        "ModelCacheHit": "None",
        "ModelDownloadingTime": "Microseconds",
        "ModelLoadingTime": "Microseconds",
        "ModelLoadingWaitTime": "Microseconds",
        "ModelUnloadingTime": "Microseconds",
    }
)
# In /aws/sagemaker/Endpoints.
INSTANCES = MappingProxyType(
    {
        "CPUUtilization": "Percent",
        "DiskUtilization": "Percent",
        "LoadedModelCount": "None",
        "MemoryUtilization": "Percent",
    }
)
SERVERLESS_COMPUTE = MappingProxyType({"MemoryUtilization": "Percent"})
COMPONENT = MappingProxyType(
    {
        "ConcurrentRequestsPerCopy": "None",
        "Invocation4XXErrors": "None",
        "Invocation5XXErrors": "None",
        "InvocationModelErrors": "None",
        "Invocations": "None",
        "InvocationsPerCopy": "None",
        "ModelLatency": "Microseconds",
        "NoCapacityInvocationFailures": "Count",
        "OverheadLatency": "Microseconds",
    }
)


# Of each of several containers, with ContainerName beside the endpoint and the variant.
CONTAINER = MappingProxyType(
    {
        "ContainerLatency": "Microseconds",
        "Invocation4XXErrors": "None",
        "Invocation5XXErrors": "None",
        "Invocations": "None",
    }
)


class MetricSink(Protocol):
    """Where metrics go: the local CloudWatch."""

    def put(self, namespace: str, name: str, dimensions: Mapping[str, str], value: float, unit: str) -> None:
        """Keep one value, measured now."""


class AlarmStates(Protocol):
    """What deployments ask of the local CloudWatch."""

    def state(self, alarm_name: str) -> str:
        """Return ``OK``, ``ALARM`` or ``INSUFFICIENT_DATA``. Raises KeyError when there is no such alarm."""


@dataclass(frozen=True, slots=True)
class Publisher:
    """Publishes one thing's metrics; those that are not its kind's are left out.

    Args:
        sink: Where they go.
        units: The metrics there are.
        dimensions: All sets of dimensions under which each is published.
        namespace: CloudWatch's namespace.
    """

    sink: MetricSink
    units: Mapping[str, str]
    dimensions: tuple[Mapping[str, str], ...]
    namespace: str = NAMESPACE

    def put(self, name: str, value: float) -> None:
        """Publish one value, in the metric's own unit."""
        if (unit := self.units.get(name)) is not None:
            for dimensions in self.dimensions:
                self.sink.put(self.namespace, name, dimensions, value, unit)

    def put_seconds(self, name: str, seconds: float) -> None:
        """Publish a time in the metric's own unit."""
        per_second = {"Microseconds": 1e6, "Milliseconds": 1e3}.get(self.units.get(name, ""), 1)
        self.put(name, seconds * per_second)
