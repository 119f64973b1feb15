"""What SageMaker publishes about endpoints, as its documentation lists it.

https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html for all,
https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints-monitoring.html and
https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference-monitor.html for what those publish, and nothing else,
https://docs.aws.amazon.com/sagemaker/latest/dg/multi-container-metrics.html and
https://docs.aws.amazon.com/sagemaker/latest/dg/inference-pipeline-logs-metrics.html for each of several containers.

Left out are metrics of response streams, and enhanced metrics and detailed observability, whose further dimensions
(``InstanceId``, ``ContainerId``, ``AcceleratorId``) are known at run time only.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, Flag, auto

INVOCATION_NAMESPACE = "AWS/SageMaker"
"""Where SageMaker publishes what callers see."""

INSTANCE_NAMESPACE = "/aws/sagemaker/Endpoints"
"""Where SageMaker publishes what the containers use."""

COMPONENT_NAMESPACE = "/aws/sagemaker/InferenceComponents"
"""Where SageMaker publishes what the copies of inference components use."""


class Publisher(Flag):
    """Who publishes a metric."""

    REAL_TIME = auto()
    SERVERLESS = auto()
    ASYNCHRONOUS = auto()
    COMPONENT = auto()
    CONTAINER = auto()
    INSTANCES = REAL_TIME | ASYNCHRONOUS
    VARIANTS = REAL_TIME | SERVERLESS | ASYNCHRONOUS


class Scope(Enum):
    """What a metric is about: the names of its dimensions."""

    ENDPOINT = ("EndpointName",)
    VARIANT = ("EndpointName", "VariantName")
    COMPONENT = ("InferenceComponentName",)
    CONTAINER = ("EndpointName", "VariantName", "ContainerName")


@dataclass(frozen=True, slots=True)
class PublishedMetric:
    """One metric of SageMaker's hosting.

    Args:
        name: Its name.
        namespace: Its namespace.
        unit: In which it is published; None where the documentation does not say.
        statistic: What is mostly wanted of it.
        publishers: Who publishes it.
        scope: Its dimensions.
    """

    name: str
    namespace: str
    unit: str | None
    statistic: str
    publishers: Publisher
    scope: Scope = Scope.VARIANT


_REAL_TIME, _SERVERLESS, _ASYNCHRONOUS = Publisher.REAL_TIME, Publisher.SERVERLESS, Publisher.ASYNCHRONOUS
_CALLED, _USED, _COPIES = INVOCATION_NAMESPACE, INSTANCE_NAMESPACE, COMPONENT_NAMESPACE
_ENDPOINT, _COMPONENT, _CONTAINER = Scope.ENDPOINT, Scope.COMPONENT, Scope.CONTAINER

# fmt: off
METRICS = {metric.name: metric for metric in (
    PublishedMetric("ConcurrentRequestsPerModel", _CALLED, None, "Maximum", _REAL_TIME),
    PublishedMetric("Invocation4XXErrors", _CALLED, "None", "Sum", Publisher.VARIANTS),
    PublishedMetric("Invocation5XXErrors", _CALLED, "None", "Sum", Publisher.VARIANTS),
    PublishedMetric("InvocationModelErrors", _CALLED, "None", "Sum", _REAL_TIME),
    PublishedMetric("Invocations", _CALLED, "None", "Sum", _REAL_TIME | _SERVERLESS),
    PublishedMetric("InvocationsPerInstance", _CALLED, "None", "Sum", _REAL_TIME),
    PublishedMetric("ModelLatency", _CALLED, "Microseconds", "Average", Publisher.VARIANTS),
    PublishedMetric("OverheadLatency", _CALLED, "Microseconds", "Average", _REAL_TIME | _SERVERLESS),
    # Multi-model endpoints
    PublishedMetric("ModelLoadingWaitTime", _CALLED, "Microseconds", "Average", _REAL_TIME),
    PublishedMetric("ModelUnloadingTime", _CALLED, "Microseconds", "Average", _REAL_TIME),
    PublishedMetric("ModelDownloadingTime", _CALLED, "Microseconds", "Average", _REAL_TIME),
    PublishedMetric("ModelLoadingTime", _CALLED, "Microseconds", "Average", _REAL_TIME),
    PublishedMetric("ModelCacheHit", _CALLED, "None", "Average", _REAL_TIME),
    PublishedMetric("LoadedModelCount", _USED, "None", "Average", _REAL_TIME),
    # Serverless
    PublishedMetric("ModelSetupTime", _CALLED, "Microseconds", "Average", _SERVERLESS),
    PublishedMetric("ServerlessConcurrentExecutionsUtilization", _CALLED, "None", "Average", _SERVERLESS),
    PublishedMetric("ServerlessProvisionedConcurrencyExecutions", _CALLED, "Count", "Maximum", _SERVERLESS),
    PublishedMetric("ServerlessProvisionedConcurrencyUtilization", _CALLED, "None", "Average", _SERVERLESS),
    PublishedMetric("ServerlessProvisionedConcurrencyInvocations", _CALLED, "Count", "Average", _SERVERLESS),
    PublishedMetric("ServerlessProvisionedConcurrencySpilloverInvocations", _CALLED, "Count", "Average", _SERVERLESS),
    # Asynchronous; those about the queue have no variant, and with one an alarm never sees data
    PublishedMetric("ApproximateBacklogSize", _CALLED, "Count", "Average", _ASYNCHRONOUS, _ENDPOINT),
    PublishedMetric("ApproximateBacklogSizePerInstance", _CALLED, "Count", "Average", _ASYNCHRONOUS, _ENDPOINT),
    PublishedMetric("ApproximateAgeOfOldestRequest", _CALLED, "Seconds", "Maximum", _ASYNCHRONOUS, _ENDPOINT),
    PublishedMetric("HasBacklogWithoutCapacity", _CALLED, "Count", "Average", _ASYNCHRONOUS, _ENDPOINT),
    PublishedMetric("RequestDownloadFailures", _CALLED, "Count", "Sum", _ASYNCHRONOUS),
    PublishedMetric("ResponseUploadFailures", _CALLED, "Count", "Sum", _ASYNCHRONOUS),
    PublishedMetric("NotificationFailures", _CALLED, "Count", "Sum", _ASYNCHRONOUS),
    PublishedMetric("RequestDownloadLatency", _CALLED, "Microseconds", "Average", _ASYNCHRONOUS),
    PublishedMetric("ResponseUploadLatency", _CALLED, "Microseconds", "Average", _ASYNCHRONOUS),
    PublishedMetric("ExpiredRequests", _CALLED, "Count", "Sum", _ASYNCHRONOUS),
    PublishedMetric("InvocationFailures", _CALLED, "Count", "Sum", _ASYNCHRONOUS),
    PublishedMetric("InvocationsProcessed", _CALLED, "Count", "Sum", _ASYNCHRONOUS),
    PublishedMetric("TimeInBacklog", _CALLED, "Microseconds", "Average", _ASYNCHRONOUS),
    PublishedMetric("TotalProcessingTime", _CALLED, "Milliseconds", "Average", _ASYNCHRONOUS),
    # What the containers use
    PublishedMetric("CPUUtilization", _USED, "Percent", "Average", Publisher.INSTANCES),
    PublishedMetric("DiskUtilization", _USED, "Percent", "Average", Publisher.INSTANCES),
    PublishedMetric("GPUMemoryUtilization", _USED, "Percent", "Average", Publisher.INSTANCES),
    PublishedMetric("GPUUtilization", _USED, "Percent", "Average", Publisher.INSTANCES),
    PublishedMetric("MemoryUtilization", _USED, "Percent", "Average", Publisher.VARIANTS),
    # Of instances that host inference components
    PublishedMetric("CPUReservation", _USED, None, "Average", _REAL_TIME),
    PublishedMetric("CPUUtilizationNormalized", _USED, None, "Average", _REAL_TIME),
    PublishedMetric("GPUMemoryUtilizationNormalized", _USED, None, "Average", _REAL_TIME),
    PublishedMetric("GPUReservation", _USED, None, "Average", _REAL_TIME),
    PublishedMetric("GPUUtilizationNormalized", _USED, None, "Average", _REAL_TIME),
    PublishedMetric("MemoryReservation", _USED, None, "Average", _REAL_TIME),
)}
"""What variants publish, by name."""

COMPONENT_METRICS = {metric.name: metric for metric in (
    PublishedMetric("ConcurrentRequestsPerCopy", _CALLED, None, "Maximum", Publisher.COMPONENT, _COMPONENT),
    PublishedMetric("Invocation4XXErrors", _CALLED, "None", "Sum", Publisher.COMPONENT, _COMPONENT),
    PublishedMetric("Invocation5XXErrors", _CALLED, "None", "Sum", Publisher.COMPONENT, _COMPONENT),
    PublishedMetric("InvocationModelErrors", _CALLED, "None", "Sum", Publisher.COMPONENT, _COMPONENT),
    PublishedMetric("Invocations", _CALLED, "None", "Sum", Publisher.COMPONENT, _COMPONENT),
    PublishedMetric("InvocationsPerCopy", _CALLED, None, "Sum", Publisher.COMPONENT, _COMPONENT),
    PublishedMetric("ModelLatency", _CALLED, "Microseconds", "Average", Publisher.COMPONENT, _COMPONENT),
    PublishedMetric("NoCapacityInvocationFailures", _CALLED, None, "Sum", Publisher.COMPONENT, _COMPONENT),
    PublishedMetric("OverheadLatency", _CALLED, "Microseconds", "Average", Publisher.COMPONENT, _COMPONENT),
    PublishedMetric("CPUUtilizationNormalized", _COPIES, None, "Average", Publisher.COMPONENT, _COMPONENT),
    PublishedMetric("GPUMemoryUtilizationNormalized", _COPIES, None, "Average", Publisher.COMPONENT, _COMPONENT),
    PublishedMetric("GPUUtilizationNormalized", _COPIES, None, "Average", Publisher.COMPONENT, _COMPONENT),
    PublishedMetric("MemoryUtilizationNormalized", _COPIES, None, "Average", Publisher.COMPONENT, _COMPONENT),
)}
"""What inference components publish, by name."""

CONTAINER_METRICS = {metric.name: metric for metric in (
    PublishedMetric("ContainerLatency", _CALLED, "Microseconds", "Average", Publisher.CONTAINER, _CONTAINER),
    PublishedMetric("Invocation4XXErrors", _CALLED, "None", "Sum", Publisher.CONTAINER, _CONTAINER),
    PublishedMetric("Invocation5XXErrors", _CALLED, "None", "Sum", Publisher.CONTAINER, _CONTAINER),
    PublishedMetric("Invocations", _CALLED, "None", "Sum", Publisher.CONTAINER, _CONTAINER),
    PublishedMetric("OverheadLatency", _CALLED, "Microseconds", "Average", Publisher.CONTAINER, _CONTAINER),
    PublishedMetric("CPUUtilization", _USED, "Percent", "Average", Publisher.CONTAINER, _CONTAINER),
    PublishedMetric("MemoryUtilization", _USED, "Percent", "Average", Publisher.CONTAINER, _CONTAINER),
)}
"""What each of several containers of a model publishes, by name."""
# fmt: on
