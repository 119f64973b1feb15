"""Models that share the instances of one endpoint."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import cast

from aws_cdk import CfnResource, Duration, Names, Resource, Token
from aws_cdk import aws_applicationautoscaling as autoscaling
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from sm_constructs._validation import Problems
from sm_constructs.endpoint.endpoint import Endpoint
from sm_constructs.endpoint.metrics import COMPONENT_METRICS, INVOCATION_NAMESPACE
from sm_constructs.endpoint.names import name_problems
from sm_constructs.endpoint.refusals import more_than_one, wrong_processor
from sm_constructs.endpoint.scaling import Cooldowns, FirstOne, ScalableCapacity, known, only_once
from sm_constructs.endpoint.variants import RealTime, Variant, timeout_problems
from sm_constructs.model import Model
from sm_constructs.model.processors import processor_of

_Component = sagemaker.CfnInferenceComponent
_PredefinedMetric = autoscaling.PredefinedMetric


class InferenceComponent(Resource):
    """Define a model that runs in copies on the instances of an endpoint, beside other models.

    Callers name it in ``InferenceComponentName`` beside the endpoint. Its model, its copies and what they need change
    in place; on another endpoint or variant it is another component.

    Args:
        scope: The parent construct.
        construct_id: The id within the parent.
        endpoint: The endpoint, which has no model.
        model: The model: one archive or prefix in one container, whose image fits the variant's instances.
        memory_size_mb: The memory that each copy is sure to have, 128 MB or more.
        max_memory_size_mb: The memory at which a copy is stopped. When omitted: SageMaker's choice.
        cpu_cores: The processor cores of each copy, 0.25 or more. When omitted: none are reserved.
        accelerators: The accelerators of each copy, 1 or more, where the instances have some. When omitted: none.
        copy_count: How many copies to begin with, 0 or more. When omitted: 1.
        model_download_timeout: How long a copy may take to download and unpack the model, 1 minute to 1 hour. When
            omitted: SageMaker's own limit.
        startup_health_check_timeout: How long the container may take to answer its first ping, 1 minute to 1 hour.
            When omitted: SageMaker's own limit.
        variant_name: The variant whose instances it runs on. When omitted: the first.
        inference_component_name: The name; another one is needed for another endpoint or variant, as the old
            component is there until the new one is. When omitted: one in lower case, of the stack's name, the
            construct's place in it and what tells endpoint and variant from others, because CloudFormation tells nobody
            which name it made.

    Attributes:
        inference_component_name: The name, by which callers choose it.
        inference_component_arn: The ARN.

    Raises:
        InvalidPropsError: Anything that is wrong with the arguments, all at once.

    Example: ``docs/examples/inference_components_endpoint.py``.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        endpoint: Endpoint,
        model: Model,
        memory_size_mb: int,
        max_memory_size_mb: int | None = None,
        cpu_cores: float | None = None,
        accelerators: int | None = None,
        copy_count: int = 1,
        model_download_timeout: Duration | None = None,
        startup_health_check_timeout: Duration | None = None,
        variant_name: str | None = None,
        inference_component_name: str | None = None,
    ) -> None:
        super().__init__(scope, construct_id, physical_name=inference_component_name)
        problems = Problems()
        problems.at_least("memory_size_mb", memory_size_mb, 128, "MB")
        problems.extend(_lower_limit(memory_size_mb, max_memory_size_mb))
        problems.at_least("cpu_cores", cpu_cores, 0.25)
        problems.at_least("accelerators", accelerators, 1)
        problems.at_least("copy_count", copy_count, 0)
        problems.extend(timeout_problems("model_download_timeout", model_download_timeout))
        problems.extend(timeout_problems("startup_health_check_timeout", startup_health_check_timeout))
        problems.extend(name_problems("inference_component_name", inference_component_name))
        problems.extend(_no_host(endpoint, variant_name))
        problems.extend(_unfit(model, accelerators, endpoint.variants, variant_name))
        problems.raise_for(self)

        host = _identity(endpoint, variant_name or endpoint.variant_names[0])
        self.inference_component_name: str = (
            inference_component_name
            or f"{Names.unique_resource_name(self, max_length=62 - len(host), separator='-').lower()}-{host}"
        )
        # Neither SageMaker nor CloudFormation moves a component to another endpoint or variant. With another id it is
        # another one, and the old one goes when that is there.
        component = _Component(
            self,
            f"Resource{host}",
            endpoint_name=endpoint.endpoint_name,
            inference_component_name=self.inference_component_name,
            runtime_config=_Component.InferenceComponentRuntimeConfigProperty(copy_count=copy_count),
            specification=_Component.InferenceComponentSpecificationProperty(
                compute_resource_requirements=_Component.InferenceComponentComputeResourceRequirementsProperty(
                    max_memory_required_in_mb=max_memory_size_mb,
                    min_memory_required_in_mb=memory_size_mb,
                    number_of_accelerator_devices_required=accelerators,
                    number_of_cpu_cores_required=cpu_cores,
                ),
                model_name=model.model_name,
                startup_parameters=_startup(model_download_timeout, startup_health_check_timeout),
            ),
            variant_name=variant_name or endpoint.variant_names[0],
        )
        self.node.default_child = component
        self.inference_component_arn: str = component.ref

    def auto_scale_copy_count(self, *, min_capacity: int, max_capacity: int) -> ScalableCopyCount:
        """Let the number of copies follow what comes; say what with the methods of what you get.

        Args:
            min_capacity: The fewest copies, 0 or more. The instances go with the copies as far as the variant's
                ``managed_instance_scaling`` lets them.
            max_capacity: The most copies.

        Raises:
            InvalidPropsError: The limits are wrong, or it scales already.
        """
        only_once(self, "CopyCount", "auto_scale_copy_count")
        return ScalableCopyCount(
            self, "CopyCount", component=self, min_capacity=min_capacity, max_capacity=max_capacity
        )

    def metric(
        self,
        metric_name: str,
        *,
        namespace: str | None = None,
        statistic: str | None = None,
        period: Duration | None = None,
    ) -> cloudwatch.Metric:
        """Return any metric that SageMaker publishes for this component.

        Args:
            metric_name: Its name, such as ``"InvocationsPerCopy"``.
            namespace: Its namespace. When omitted: the documented one, else ``AWS/SageMaker``.
            statistic: Such as ``"Sum"``. When omitted: what is mostly wanted of it, else the average.
            period: What the statistic is taken over. When omitted: a minute.
        """
        known = COMPONENT_METRICS.get(metric_name)
        return cloudwatch.Metric(
            namespace=namespace or (known.namespace if known else INVOCATION_NAMESPACE),
            metric_name=metric_name,
            dimensions_map={"InferenceComponentName": self.inference_component_name},
            statistic=statistic or (known.statistic if known else "Average"),
            period=period or Duration.minutes(1),
        )


class ScalableCopyCount(ScalableCapacity):
    """The number of an inference component's copies. Made by ``InferenceComponent.auto_scale_copy_count``.

    Args:
        scope: The parent construct.
        construct_id: The id within the parent.
        component: The inference component.
        min_capacity: The fewest copies.
        max_capacity: The most copies.

    Raises:
        InvalidPropsError: The limits are wrong.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        component: InferenceComponent,
        min_capacity: int,
        max_capacity: int,
    ) -> None:
        refused = component.metric("NoCapacityInvocationFailures")
        super().__init__(
            scope,
            construct_id,
            resource_id=f"inference-component/{component.inference_component_name}",
            scalable_dimension="sagemaker:inference-component:DesiredCopyCount",
            min_capacity=min_capacity,
            max_capacity=max_capacity,
            first_one=FirstOne(refused, periods=1, cooldown=Duration.minutes(1)),
        )
        # The name is no reference, so nothing else says that the component comes first.
        self.scalable_target.node.add_dependency(cast(CfnResource, component.node.default_child))

    def scale_on_invocations(
        self,
        construct_id: str,
        *,
        target_invocations_per_minute: float,
        scale_in_cooldown: Duration | None = None,
        scale_out_cooldown: Duration | None = None,
        disable_scale_in: bool = False,
    ) -> None:
        """Keep the calls that each copy gets at a number.

        Args:
            construct_id: The id.
            target_invocations_per_minute: Calls per copy and minute.
            scale_in_cooldown: How long to wait after copies went before more go. When omitted: 5 minutes.
            scale_out_cooldown: How long to wait after copies came before more come. When omitted: 5 minutes.
            disable_scale_in: Whether copies only ever come. When omitted: they go as well.

        Raises:
            InvalidPropsError: The target is not above 0.
        """
        metric = _PredefinedMetric.SAGEMAKER_INFERENCE_COMPONENT_INVOCATIONS_PER_COPY
        target = ("target_invocations_per_minute", target_invocations_per_minute)
        cooldowns = Cooldowns(scale_in_cooldown, scale_out_cooldown, disable_scale_in)
        self._track(construct_id, target, cooldowns, predefined=metric)

    def scale_on_concurrent_requests(
        self,
        construct_id: str,
        *,
        target_concurrent_requests: float,
        scale_in_cooldown: Duration | None = None,
        scale_out_cooldown: Duration | None = None,
        disable_scale_in: bool = False,
    ) -> None:
        """Keep the calls that are under way at each copy at a number; measured every 10 seconds.

        Args:
            construct_id: The id.
            target_concurrent_requests: Calls under way or waiting, per copy.
            scale_in_cooldown: How long to wait after copies went before more go. When omitted: 5 minutes.
            scale_out_cooldown: How long to wait after copies came before more come. When omitted: 5 minutes.
            disable_scale_in: Whether copies only ever come. When omitted: they go as well.

        Raises:
            InvalidPropsError: The target is not above 0.
        """
        metric = _PredefinedMetric.SAGEMAKER_INFERENCE_COMPONENT_CONCURRENT_REQUESTS_PER_COPY_HIGH_RESOLUTION
        target = ("target_concurrent_requests", target_concurrent_requests)
        cooldowns = Cooldowns(scale_in_cooldown, scale_out_cooldown, disable_scale_in)
        self._track(construct_id, target, cooldowns, predefined=metric)


def _lower_limit(low: int, high: int | None) -> Iterator[str]:
    if high is None or Token.is_unresolved(low) or Token.is_unresolved(high) or high >= low:
        return
    yield f"max_memory_size_mb is {high} MB: must be at least memory_size_mb, {low} MB"


def _no_host(endpoint: Endpoint, variant_name: str | None) -> Iterator[str]:
    names = endpoint.variant_names
    if variant_name is not None and not Token.is_unresolved(variant_name) and variant_name not in names:
        yield f"variant_name is '{variant_name}': must be one of {', '.join(map(repr, names))}"
    if any(endpoint.model or variant.model or not isinstance(variant, RealTime) for variant in endpoint.variants):
        yield "endpoint serves a model: make one of RealTime variants without model to host inference components"


def _unfit(
    model: Model, accelerators: int | None, variants: Sequence[Variant], variant_name: str | None
) -> Iterator[str]:
    """Yield why copies of a model would not run on a variant's instances."""
    for what in more_than_one(model):
        yield f"component with {what}: it runs one model in one container: use RealTime with that model"
    for variant in variants:
        if not isinstance(variant, RealTime) or variant_name not in {None, variant.variant_name}:
            continue
        yield from wrong_processor(variant.instance_type, model)
        if known(accelerators) and processor_of(variant.instance_type) in {"cpu", "graviton"}:
            yield f"accelerators with {variant.instance_type}: it has none: leave accelerators out, or use another type"
        return


def _identity(endpoint: Endpoint, variant_name: str) -> str:
    """Return what tells an endpoint and a variant of it from others, as far as that is known at synth."""
    named = cast(sagemaker.CfnEndpoint, endpoint.node.default_child).endpoint_name
    known_names = ("" if name is None or Token.is_unresolved(name) else name for name in (named, variant_name))
    return hashlib.sha256("\n".join([endpoint.node.path, *known_names]).encode()).hexdigest()[:8]


def _startup(
    download: Duration | None, health_check: Duration | None
) -> _Component.InferenceComponentStartupParametersProperty | None:
    if download is None and health_check is None:
        return None
    return _Component.InferenceComponentStartupParametersProperty(
        container_startup_health_check_timeout_in_seconds=health_check.to_seconds() if health_check else None,
        model_data_download_timeout_in_seconds=download.to_seconds() if download else None,
    )
