"""The ways a model can be served: production variants.

Limits: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProductionVariant.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from aws_cdk import Duration, Token
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns

from sm_constructs._validation import Problems
from sm_constructs.endpoint import instances
from sm_constructs.endpoint.names import name_problems
from sm_constructs.model import Model
from sm_constructs.storage import ArtifactPrefix

MEMORY_SIZES_MB = (1024, 2048, 3072, 4096, 5120, 6144)


class RoutingStrategy(Enum):
    """How calls are spread over a variant's instances, or over an inference component's copies."""

    LEAST_OUTSTANDING_REQUESTS = "LEAST_OUTSTANDING_REQUESTS"
    """To the one with the fewest calls under way: better where some calls take much longer than others."""
    RANDOM = "RANDOM"
    """To any, with the same chance: what SageMaker does unless told otherwise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ManagedInstanceScaling:
    """How far SageMaker itself scales the instances that inference components run on.

    Args:
        min_instance_count: The fewest instances, 0 or more. With 0, nothing is paid for while every component has
            no copies; where the variant serves a model itself, 1 or more.
        max_instance_count: The most instances, 1 or more.

    >>> ManagedInstanceScaling(min_instance_count=3, max_instance_count=2).problems()
    ['managed_instance_scaling.max_instance_count is 2: must be at least min_instance_count, 3']
    """

    min_instance_count: int
    max_instance_count: int

    def problems(self) -> list[str]:
        """Return what is wrong with the values, one line each."""
        problems = Problems()
        low, high = self.min_instance_count, self.max_instance_count
        problems.at_least("managed_instance_scaling.min_instance_count", low, 0)
        problems.at_least("managed_instance_scaling.max_instance_count", high, 1)
        if not Token.is_unresolved(low) and not Token.is_unresolved(high) and high >= 1:
            problems.unless(
                high >= low,
                f"managed_instance_scaling.max_instance_count is {high}: must be at least min_instance_count, {low}",
            )
        return list(problems)


@dataclass(frozen=True, kw_only=True, slots=True)
class Instances:
    """What variants on instances have in common.

    Args:
        instance_type: What the variant runs on, such as ``"ml.m5.large"`` or ``"ml.c6i.xlarge"``.
        instance_count: How many instances to begin with; SageMaker spreads two or more over availability zones.
        model: The model, where it is another than the endpoint's. When omitted: the endpoint's.
        variant_name: The variant's name, kept from one update to the next. When omitted: ``AllTraffic``.
        volume_size_gb: The storage of each instance for images, models and logs, 1 to 512 GB. Types with NVMe
            storage take none. When omitted: as much as SageMaker gives the type.
        model_download_timeout: How long an instance may take to download and unpack the model, 1 minute to 1 hour.
            When omitted: SageMaker's own limit.
        startup_health_check_timeout: How long the container may take to answer its first ping, 1 minute to 1 hour.
            When omitted: SageMaker's own limit.
        inference_ami_version: Drivers of instances with accelerators, such as
            ``"al2-ami-sagemaker-inference-gpu-2"``. When omitted: SageMaker's choice.
    """

    instance_type: str
    instance_count: int
    model: Model | None = None
    variant_name: str = "AllTraffic"
    volume_size_gb: int | None = None
    model_download_timeout: Duration | None = None
    startup_health_check_timeout: Duration | None = None
    inference_ami_version: str | None = None

    def problems(self) -> list[str]:
        """Return what is wrong with the values, one line each."""
        problems = Problems()
        problems.unless(
            instances.is_instance_type(self.instance_type),
            f"instance_type is '{self.instance_type}': must be one of SageMaker's, such as ml.t2.medium, "
            "ml.m5.large or ml.c6i.xlarge",
        )
        problems.at_least("instance_count", self.instance_count, 1)
        problems.between("volume_size_gb", self.volume_size_gb, 1, 512, "GB")
        problems.unless(
            self.volume_size_gb is None or not self.has_local_storage,
            f"volume_size_gb with {self.instance_type}: the size of NVMe storage is fixed: leave volume_size_gb out",
        )
        problems.extend(timeout_problems("model_download_timeout", self.model_download_timeout))
        problems.extend(timeout_problems("startup_health_check_timeout", self.startup_health_check_timeout))
        problems.extend(name_problems("variant_name", self.variant_name))
        return list(problems)

    @property
    def has_local_storage(self) -> bool:
        """Whether the instances have NVMe storage, which encrypts itself and refuses a volume key."""
        return instances.has_local_storage(self.instance_type)


@dataclass(frozen=True, kw_only=True, slots=True)
class RealTime(Instances):
    """A variant on instances that run all the time and answer within the call.

    Args:
        instance_type: What it runs on, such as ``"ml.m5.large"`` or ``"ml.c6i.xlarge"``.
        instance_count: How many instances; SageMaker spreads two or more over availability zones.
        model: The model, where it is another than the endpoint's. When omitted: the endpoint's.
        variant_name: The variant's name, kept from one update to the next. When omitted: ``AllTraffic``.
        initial_weight: The variant's share of the calls, relative to the other variants' weights. A shadow variant
            gets a copy of this share of the calls, relative to the production variant's weight. When omitted: 1.
        volume_size_gb: See :class:`Instances`.
        model_download_timeout: See :class:`Instances`.
        startup_health_check_timeout: See :class:`Instances`.
        inference_ami_version: See :class:`Instances`.
        managed_instance_scaling: How far SageMaker scales the instances to the copies of inference components.
            When omitted: their number stays.
        routing_strategy: How calls are spread over the instances. When omitted: at random.

    >>> RealTime(instance_type="m5.large", instance_count=0).problems()
    ["instance_type is 'm5.large': must be one of SageMaker's, such as ml.t2.medium, ml.m5.large or ml.c6i.xlarge", \
'instance_count is 0: must be at least 1']
    """

    initial_weight: float = 1.0
    managed_instance_scaling: ManagedInstanceScaling | None = None
    routing_strategy: RoutingStrategy | None = None

    def problems(self) -> list[str]:
        """Return what is wrong with the values, one line each."""
        problems = Problems()
        problems.extend(Instances.problems(self))
        problems.at_least("initial_weight", self.initial_weight, 0)
        if self.managed_instance_scaling:
            problems.extend(self.managed_instance_scaling.problems())
        return list(problems)


@dataclass(frozen=True, kw_only=True, slots=True)
class Serverless:
    """A variant that costs nothing while nobody calls it, and takes longer for the first call.

    Args:
        memory_size_mb: Memory in MB: 1024, 2048, 3072, 4096, 5120 or 6144. When omitted: 2048.
        max_concurrency: How many calls it answers at the same time, 1 to 200. When omitted: 5.
        provisioned_concurrency: How many of them are kept warm, which costs by the hour. When omitted: none.
        model: The model, where it is another than the endpoint's. When omitted: the endpoint's.
        variant_name: The variant's name, kept from one update to the next. When omitted: ``AllTraffic``.

    >>> Serverless(memory_size_mb=1000, max_concurrency=5, provisioned_concurrency=6).problems()
    ['memory_size_mb is 1000: must be one of 1024, 2048, 3072, 4096, 5120, 6144', \
'provisioned_concurrency is 6: must be from 1 to max_concurrency, 5']
    """

    memory_size_mb: int = 2048
    max_concurrency: int = 5
    provisioned_concurrency: int | None = None
    model: Model | None = None
    variant_name: str = "AllTraffic"

    def problems(self) -> list[str]:
        """Return what is wrong with the values, one line each."""
        problems = Problems()
        problems.one_of("memory_size_mb", self.memory_size_mb, MEMORY_SIZES_MB)
        problems.between("max_concurrency", self.max_concurrency, 1, 200)
        problems.extend(self._provisioned_problems())
        problems.extend(name_problems("variant_name", self.variant_name))
        return list(problems)

    def _provisioned_problems(self) -> Iterator[str]:
        provisioned, highest = self.provisioned_concurrency, self.max_concurrency
        if provisioned is None or Token.is_unresolved(provisioned) or Token.is_unresolved(highest):
            return
        if not 1 <= provisioned <= highest:
            yield f"provisioned_concurrency is {provisioned}: must be from 1 to max_concurrency, {highest}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Asynchronous(Instances):
    """A variant that takes its inputs from S3, queues them, and puts the answers into S3.

    For inputs of up to 1 GB, models that take up to an hour, and instances that may go away while the queue is
    empty.

    Args:
        instance_type: What it runs on, such as ``"ml.m5.large"`` or ``"ml.c6i.xlarge"``.
        instance_count: How many instances to begin with, 1 or more.
        output: Where answers are put, under the key that the prefix names. The model's role may write there.
        failures: Where the errors of inputs that failed are put, in a bucket with the same key. When omitted:
            failures are only told to ``error_topic``, and to the logs.
        inputs: Where the inputs lie, for the model's role to read them. When omitted: you grant that, as only you
            know where callers put them.
        success_topic: The topic that hears of each answer. When omitted: none.
        error_topic: The topic that hears of each failure. When omitted: none.
        include_response_in_notifications: Whether notifications carry the answer itself, where it has at most
            128 KB. When omitted: they carry its location.
        max_concurrent_invocations_per_instance: How many inputs an instance works on at the same time, 1 to 1000.
            When omitted: SageMaker's choice.
        model: The model, where it is another than the endpoint's. When omitted: the endpoint's.
        variant_name: The variant's name, kept from one update to the next. When omitted: ``AllTraffic``.
        volume_size_gb: See :class:`Instances`.
        model_download_timeout: See :class:`Instances`.
        startup_health_check_timeout: See :class:`Instances`.
        inference_ami_version: See :class:`Instances`.

    >>> variant = Asynchronous(
    ...     instance_type="ml.m5.large",
    ...     instance_count=1,
    ...     output=ArtifactPrefix(bucket=bucket, prefix="answers/"),
    ...     max_concurrent_invocations_per_instance=0,
    ... )
    >>> variant.problems()
    ['max_concurrent_invocations_per_instance is 0: must be from 1 to 1000']
    """

    output: ArtifactPrefix
    failures: ArtifactPrefix | None = None
    inputs: ArtifactPrefix | None = None
    success_topic: sns.ITopic | None = None
    error_topic: sns.ITopic | None = None
    include_response_in_notifications: bool = False
    max_concurrent_invocations_per_instance: int | None = None

    def problems(self) -> list[str]:
        """Return what is wrong with the values, one line each."""
        problems = Problems()
        problems.extend(Instances.problems(self))
        problems.between(
            "max_concurrent_invocations_per_instance", self.max_concurrent_invocations_per_instance, 1, 1000
        )
        if self.include_response_in_notifications and not (self.success_topic or self.error_topic):
            problems.add("include_response_in_notifications without a topic: pass success_topic or error_topic")
        if self.failures and _arn_of(self.failures.encryption_key) != _arn_of(self.output.encryption_key):
            problems.add("failures has another key than output: SageMaker encrypts both with one: use the same")
        return list(problems)

    def grants(self, grantee: iam.IGrantable) -> Iterator[iam.Grant]:
        """Allow to read inputs, to write answers and failures, and to notify."""
        if self.inputs:
            yield self.inputs.grant_read(grantee)
        for prefix in (self.output, self.failures):
            if prefix:
                yield prefix.grant_write(grantee)
        for topic in (self.success_topic, self.error_topic):
            if topic:
                yield topic.grant_publish(grantee)


def _arn_of(key: kms.IKey | None) -> str | None:
    return key.key_arn if key else None


Variant: TypeAlias = RealTime | Serverless | Asynchronous


def timeout_problems(argument: str, timeout: Duration | None) -> Iterator[str]:
    """Yield what SageMaker would say of the time that something may take to start."""
    if timeout is None or timeout.is_unresolved():
        return
    if not 60 <= timeout.to_seconds(integral=False) <= 3600:
        yield f"{argument} is {timeout.to_human_string()}: must be from 1 minute to 1 hour"
