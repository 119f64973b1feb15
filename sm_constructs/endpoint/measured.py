"""An endpoint's metrics."""

from __future__ import annotations

from collections.abc import Iterator

from aws_cdk import Duration, Resource, Token
from aws_cdk import aws_cloudwatch as cloudwatch

from sm_constructs.endpoint.metrics import CONTAINER_METRICS, INVOCATION_NAMESPACE, METRICS, Publisher
from sm_constructs.errors import InvalidPropsError


class MeasuredEndpoint(Resource):
    """An endpoint's metrics in CloudWatch.

    Of every metric, ``variant_name`` is the production variant, the first one when omitted; ``period`` is a
    minute when omitted, which is how often SageMaker publishes. No metric names a unit: CloudWatch would leave out
    what is published in another.
    """

    _endpoint_name: str
    _publishers: dict[str, Publisher]
    """Variant name → what it publishes. The first variant comes first."""
    _containers: dict[str, tuple[str, ...] | None]
    """Variant name → the containers that are measured each by itself; None where they are not known."""

    def metric(
        self,
        metric_name: str,
        *,
        namespace: str | None = None,
        statistic: str | None = None,
        period: Duration | None = None,
        variant_name: str | None = None,
        container_name: str | None = None,
    ) -> cloudwatch.Metric:
        """Return any metric that SageMaker publishes for this endpoint.

        Those of SageMaker's documentation have their namespace and dimensions by themselves: queues of asynchronous
        endpoints, for one, are measured per endpoint and not per variant.

        Args:
            metric_name: Its name, such as ``"Invocations"``.
            namespace: Its namespace. When omitted: the documented one, else ``AWS/SageMaker``.
            statistic: Such as ``"Sum"`` or ``"p99"``. When omitted: what is mostly wanted of it, else the average.
            period: What the statistic is taken over. When omitted: a minute.
            variant_name: Which variant. When omitted: the first.
            container_name: Which of several containers of the variant's model, by its hostname; such as for
                ``"ContainerLatency"``. When omitted: all of them together.

        Raises:
            InvalidPropsError: SageMaker publishes no such metric for this kind of variant, or for a container, so
                that an alarm on it would wait for data for ever.
        """
        variant = variant_name or next(iter(self._publishers))
        known = (METRICS if container_name is None else CONTAINER_METRICS).get(metric_name)
        if container_name is None:
            problems = list(self._variant_problems(metric_name, variant))
        else:
            problems = list(self._container_problems(metric_name, variant, container_name))
        if problems:
            raise InvalidPropsError(f"{type(self).__name__} '{self.node.path}'", problems)
        dimensions = {"EndpointName": self._endpoint_name, "VariantName": variant}
        if container_name is not None:
            dimensions["ContainerName"] = container_name
        return cloudwatch.Metric(
            namespace=namespace or (known.namespace if known else INVOCATION_NAMESPACE),
            metric_name=metric_name,
            dimensions_map={name: dimensions[name] for name in (known.scope.value if known else dimensions)},
            statistic=statistic or (known.statistic if known else "Average"),
            period=period or Duration.minutes(1),
        )

    def _variant_problems(self, metric_name: str, variant: str) -> Iterator[str]:
        known, publisher = METRICS.get(metric_name), self._publishers.get(variant, Publisher.VARIANTS)
        if known and not known.publishers & publisher:
            kind = str(publisher.name).lower().replace("_", "-")
            yield f"metric_name is '{metric_name}': SageMaker publishes it for no {kind} variant"
        if not known and metric_name in CONTAINER_METRICS:
            yield f"metric_name is '{metric_name}': SageMaker publishes it for single containers: pass container_name"

    def _container_problems(self, metric_name: str, variant: str, container: str) -> Iterator[str]:
        if metric_name in METRICS and metric_name not in CONTAINER_METRICS:
            yield f"metric_name is '{metric_name}': SageMaker publishes it for no container: leave container_name out"
        names = self._containers.get(variant)
        if names is None or container in names or Token.is_unresolved(container):
            return
        allowed = f"must be one of {', '.join(map(repr, names))}" if names else "there is only one: leave it out"
        yield f"container_name is '{container}': {allowed}"

    def metric_invocations(
        self, *, statistic: str = "Sum", period: Duration | None = None, variant_name: str | None = None
    ) -> cloudwatch.Metric:
        """Return how many calls came."""
        return self.metric("Invocations", statistic=statistic, period=period, variant_name=variant_name)

    def metric_invocations_per_instance(
        self, *, period: Duration | None = None, variant_name: str | None = None
    ) -> cloudwatch.Metric:
        """Return how many calls came for each instance. SageMaker publishes the sum alone."""
        return self.metric("InvocationsPerInstance", statistic="Sum", period=period, variant_name=variant_name)

    def metric_concurrent_requests_per_model(
        self, *, statistic: str = "Maximum", period: Duration | None = None, variant_name: str | None = None
    ) -> cloudwatch.Metric:
        """Return how many calls are under way or wait at each instance; only the maximum and minimum mean anything."""
        return self.metric("ConcurrentRequestsPerModel", statistic=statistic, period=period, variant_name=variant_name)

    def metric_invocation_4xx_errors(
        self, *, statistic: str = "Sum", period: Duration | None = None, variant_name: str | None = None
    ) -> cloudwatch.Metric:
        """Return how many calls the model refused as wrong; the average is their share of all calls."""
        return self.metric("Invocation4XXErrors", statistic=statistic, period=period, variant_name=variant_name)

    def metric_invocation_5xx_errors(
        self, *, statistic: str = "Sum", period: Duration | None = None, variant_name: str | None = None
    ) -> cloudwatch.Metric:
        """Return how many calls the model failed on; the average is their share of all calls."""
        return self.metric("Invocation5XXErrors", statistic=statistic, period=period, variant_name=variant_name)

    def metric_invocation_model_errors(
        self, *, statistic: str = "Sum", period: Duration | None = None, variant_name: str | None = None
    ) -> cloudwatch.Metric:
        """Return how many calls had no 2xx answer of the model: timeouts and broken connections, too."""
        return self.metric("InvocationModelErrors", statistic=statistic, period=period, variant_name=variant_name)

    def metric_model_latency(
        self, *, statistic: str = "Average", period: Duration | None = None, variant_name: str | None = None
    ) -> cloudwatch.Metric:
        """Return how long the model took to answer, in microseconds."""
        return self.metric("ModelLatency", statistic=statistic, period=period, variant_name=variant_name)

    def metric_overhead_latency(
        self, *, statistic: str = "Average", period: Duration | None = None, variant_name: str | None = None
    ) -> cloudwatch.Metric:
        """Return what SageMaker added to the model's time, in microseconds; cold starts among it."""
        return self.metric("OverheadLatency", statistic=statistic, period=period, variant_name=variant_name)

    def metric_model_setup_time(
        self, *, statistic: str = "Average", period: Duration | None = None, variant_name: str | None = None
    ) -> cloudwatch.Metric:
        """Return how long a serverless variant took to start, in microseconds."""
        return self.metric("ModelSetupTime", statistic=statistic, period=period, variant_name=variant_name)

    def metric_cpu_utilization(
        self, *, statistic: str = "Average", period: Duration | None = None, variant_name: str | None = None
    ) -> cloudwatch.Metric:
        """Return the use of the processors, in percent of one core: 400 when four cores are busy."""
        return self.metric("CPUUtilization", statistic=statistic, period=period, variant_name=variant_name)

    def metric_memory_utilization(
        self, *, statistic: str = "Average", period: Duration | None = None, variant_name: str | None = None
    ) -> cloudwatch.Metric:
        """Return the use of the memory, in percent."""
        return self.metric("MemoryUtilization", statistic=statistic, period=period, variant_name=variant_name)

    def metric_disk_utilization(
        self, *, statistic: str = "Average", period: Duration | None = None, variant_name: str | None = None
    ) -> cloudwatch.Metric:
        """Return the use of the storage volume, in percent; not for serverless variants."""
        return self.metric("DiskUtilization", statistic=statistic, period=period, variant_name=variant_name)

    def metric_gpu_utilization(
        self, *, statistic: str = "Average", period: Duration | None = None, variant_name: str | None = None
    ) -> cloudwatch.Metric:
        """Return the use of the accelerators, in percent of one: 400 when four are busy."""
        return self.metric("GPUUtilization", statistic=statistic, period=period, variant_name=variant_name)

    def metric_gpu_memory_utilization(
        self, *, statistic: str = "Average", period: Duration | None = None, variant_name: str | None = None
    ) -> cloudwatch.Metric:
        """Return the use of the accelerators' memory, in percent of that of one."""
        return self.metric("GPUMemoryUtilization", statistic=statistic, period=period, variant_name=variant_name)

    def metric_approximate_backlog_size(
        self, *, statistic: str = "Average", period: Duration | None = None
    ) -> cloudwatch.Metric:
        """Return how many inputs of an asynchronous endpoint wait or are worked on."""
        return self.metric("ApproximateBacklogSize", statistic=statistic, period=period)

    def metric_approximate_age_of_oldest_request(
        self, *, statistic: str = "Maximum", period: Duration | None = None
    ) -> cloudwatch.Metric:
        """Return how long the oldest input of an asynchronous endpoint has waited, in seconds."""
        return self.metric("ApproximateAgeOfOldestRequest", statistic=statistic, period=period)

    def metric_invocation_failures(
        self, *, statistic: str = "Sum", period: Duration | None = None, variant_name: str | None = None
    ) -> cloudwatch.Metric:
        """Return how many inputs of an asynchronous endpoint failed, for any reason."""
        return self.metric("InvocationFailures", statistic=statistic, period=period, variant_name=variant_name)

    def metric_invocations_processed(
        self, *, statistic: str = "Sum", period: Duration | None = None, variant_name: str | None = None
    ) -> cloudwatch.Metric:
        """Return how many inputs an asynchronous endpoint has worked through."""
        return self.metric("InvocationsProcessed", statistic=statistic, period=period, variant_name=variant_name)
