"""What can be done with an endpoint, whether it is defined in this app or elsewhere."""

from __future__ import annotations

import jsii
from aws_cdk import Duration, Resource
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker
from aws_cdk.interfaces.aws_sagemaker import EndpointReference

INVOCATION_NAMESPACE = "AWS/SageMaker"
"""Where SageMaker publishes what callers see."""

INSTANCE_NAMESPACE = "/aws/sagemaker/Endpoints"
"""Where SageMaker publishes what the containers use."""


@jsii.implements(sagemaker.IEndpoint)
class EndpointBase(Resource):
    """An endpoint's names, grants and metrics.

    Of every metric, ``variant_name`` is the production variant, the first one when omitted; ``period`` is a
    minute when omitted, which is how often SageMaker publishes.
    """

    _endpoint_arn: str
    _endpoint_name: str
    _variant_names: tuple[str, ...]

    @property
    def endpoint_arn(self) -> str:
        """The ARN."""
        return self._endpoint_arn

    @property
    def endpoint_name(self) -> str:
        """The name."""
        return self._endpoint_name

    @property
    def endpoint_ref(self) -> EndpointReference:
        """The reference that CDK's generated resources take."""
        return EndpointReference(endpoint_arn=self.endpoint_arn)

    @property
    def log_group_name(self) -> str:
        """The log group that SageMaker makes and writes the containers' output to."""
        return f"/aws/sagemaker/Endpoints/{self.endpoint_name}"

    @property
    def variant_names(self) -> list[str]:
        """The names of the production variants."""
        return list(self._variant_names)

    def grant_invoke(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow to call this endpoint and wait for the answer."""
        return iam.Grant.add_to_principal(
            grantee=grantee, actions=["sagemaker:InvokeEndpoint"], resource_arns=[self.endpoint_arn]
        )

    def metric(
        self,
        metric_name: str,
        *,
        namespace: str = INVOCATION_NAMESPACE,
        statistic: str = "Average",
        period: Duration | None = None,
        variant_name: str | None = None,
    ) -> cloudwatch.Metric:
        """Return any metric that SageMaker publishes for a variant of this endpoint.

        Args:
            metric_name: Its name, such as ``"Invocations"``.
            namespace: Its namespace. When omitted: ``AWS/SageMaker``.
            statistic: Such as ``"Sum"`` or ``"p99"``. When omitted: the average.
            period: What the statistic is taken over. When omitted: a minute.
            variant_name: Which variant. When omitted: the first.
        """
        return cloudwatch.Metric(
            namespace=namespace,
            metric_name=metric_name,
            dimensions_map={
                "EndpointName": self.endpoint_name,
                "VariantName": variant_name or self._variant_names[0],
            },
            statistic=statistic,
            period=period or Duration.minutes(1),
        )

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
        return self.metric(
            "CPUUtilization",
            namespace=INSTANCE_NAMESPACE,
            statistic=statistic,
            period=period,
            variant_name=variant_name,
        )

    def metric_memory_utilization(
        self, *, statistic: str = "Average", period: Duration | None = None, variant_name: str | None = None
    ) -> cloudwatch.Metric:
        """Return the use of the memory, in percent."""
        return self.metric(
            "MemoryUtilization",
            namespace=INSTANCE_NAMESPACE,
            statistic=statistic,
            period=period,
            variant_name=variant_name,
        )

    def metric_disk_utilization(
        self, *, statistic: str = "Average", period: Duration | None = None, variant_name: str | None = None
    ) -> cloudwatch.Metric:
        """Return the use of the storage volume, in percent; not for serverless variants."""
        return self.metric(
            "DiskUtilization",
            namespace=INSTANCE_NAMESPACE,
            statistic=statistic,
            period=period,
            variant_name=variant_name,
        )
