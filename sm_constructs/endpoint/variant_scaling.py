"""Variants' capacity that follows what comes: instances, and what of a serverless variant is kept warm."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, assert_never

from aws_cdk import Duration, Token
from aws_cdk import aws_applicationautoscaling as autoscaling
from constructs import Construct

from sm_constructs._validation import Problems
from sm_constructs.endpoint import instances
from sm_constructs.endpoint.scaling import Cooldowns, FirstOne, ScalableCapacity, known
from sm_constructs.endpoint.variants import Asynchronous, RealTime, Serverless, Variant

if TYPE_CHECKING:
    from sm_constructs.endpoint.reference import EndpointBase

_PredefinedMetric = autoscaling.PredefinedMetric


class ScalableInstanceCount(ScalableCapacity):
    """The number of a variant's instances. Made by ``Endpoint.auto_scale_instance_count``.

    Args:
        scope: The parent construct.
        construct_id: The id within the parent.
        endpoint: The endpoint.
        variant: The variant.
        has_model: Whether it serves a model, and not inference components.
        min_capacity: The fewest instances.
        max_capacity: The most instances.

    Raises:
        InvalidPropsError: SageMaker scales no such variant, or not so far.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        endpoint: EndpointBase,
        variant: Variant,
        has_model: bool,
        min_capacity: int,
        max_capacity: int,
    ) -> None:
        self._endpoint, self._variant = endpoint, variant
        super().__init__(
            scope,
            construct_id,
            resource_id=_variant_id(endpoint, variant),
            scalable_dimension="sagemaker:variant:DesiredInstanceCount",
            min_capacity=min_capacity,
            max_capacity=max_capacity,
            problems=list(_unscalable(variant, has_model)),
        )

    def scale_on_invocations(
        self,
        construct_id: str,
        *,
        target_invocations_per_minute: float,
        scale_in_cooldown: Duration | None = None,
        scale_out_cooldown: Duration | None = None,
        disable_scale_in: bool = False,
    ) -> None:
        """Keep the calls that each instance gets at a number; for calls that all take about as long.

        Args:
            construct_id: The id.
            target_invocations_per_minute: Calls per instance and minute, as a load test found them to be fit.
            scale_in_cooldown: How long to wait after instances went before more go. When omitted: 5 minutes.
            scale_out_cooldown: How long to wait after instances came before more come. When omitted: 5 minutes.
            disable_scale_in: Whether instances only ever come. When omitted: they go as well.

        Raises:
            InvalidPropsError: The variant is asynchronous, or the target not above 0.
        """
        self._only(RealTime, "scale_on_invocations", "scale_on_backlog")
        metric = _PredefinedMetric.SAGEMAKER_VARIANT_INVOCATIONS_PER_INSTANCE
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
        """Keep the calls that are under way at each instance at a number; measured every 10 seconds.

        Args:
            construct_id: The id.
            target_concurrent_requests: Calls under way or waiting, per instance.
            scale_in_cooldown: How long to wait after instances went before more go. When omitted: 5 minutes.
            scale_out_cooldown: How long to wait after instances came before more come. When omitted: 5 minutes.
            disable_scale_in: Whether instances only ever come. When omitted: they go as well.

        Raises:
            InvalidPropsError: The variant is asynchronous, or the target not above 0.
        """
        self._only(RealTime, "scale_on_concurrent_requests", "scale_on_backlog")
        metric = _PredefinedMetric.SAGEMAKER_VARIANT_CONCURRENT_REQUESTS_PER_MODEL_HIGH_RESOLUTION
        target = ("target_concurrent_requests", target_concurrent_requests)
        cooldowns = Cooldowns(scale_in_cooldown, scale_out_cooldown, disable_scale_in)
        self._track(construct_id, target, cooldowns, predefined=metric)

    def scale_on_backlog(
        self,
        construct_id: str,
        *,
        target_backlog_per_instance: float,
        scale_in_cooldown: Duration | None = None,
        scale_out_cooldown: Duration | None = None,
        disable_scale_in: bool = False,
    ) -> None:
        """Keep the queue of an asynchronous variant at a length, and start the first instance for the first input.

        Args:
            construct_id: The id.
            target_backlog_per_instance: Inputs that wait or are worked on, per instance.
            scale_in_cooldown: How long to wait after instances went before more go. When omitted: 5 minutes.
            scale_out_cooldown: How long to wait after instances came before more come. When omitted: 5 minutes.
            disable_scale_in: Whether instances only ever come. When omitted: they go as well.

        Raises:
            InvalidPropsError: The variant is not asynchronous, or the target not above 0.
        """
        self._only(Asynchronous, "scale_on_backlog", "scale_on_invocations")
        metric = self._endpoint.metric("ApproximateBacklogSizePerInstance")
        target = ("target_backlog_per_instance", target_backlog_per_instance)
        cooldowns = Cooldowns(scale_in_cooldown, scale_out_cooldown, disable_scale_in)
        self._track(construct_id, target, cooldowns, custom=metric)
        waiting = self._endpoint.metric("HasBacklogWithoutCapacity")
        self._start_first_one(FirstOne(waiting, periods=2, cooldown=Duration.minutes(5)))

    def _limit_problems(
        self, min_capacity: int | None, max_capacity: int | None, *, always: bool = False
    ) -> Iterator[str]:
        yield from super()._limit_problems(min_capacity, max_capacity, always=always)
        if isinstance(self._variant, RealTime):
            yield from _none("min_capacity", min_capacity)
            if not always:
                yield from _none("max_capacity", max_capacity)

    def _only(self, wanted: type[Variant], method: str, instead: str) -> None:
        problems = Problems()
        if not isinstance(self._variant, wanted):
            problems.add(f"{method} with {type(self._variant).__name__}: it has no such metric: use {instead}")
        problems.raise_for(self)


class ScalableProvisionedConcurrency(ScalableCapacity):
    """How much of a serverless variant is kept warm. Made by ``Endpoint.auto_scale_provisioned_concurrency``.

    Args:
        scope: The parent construct.
        construct_id: The id within the parent.
        endpoint: The endpoint.
        variant: The variant.
        min_capacity: The least concurrency.
        max_capacity: The most.

    Raises:
        InvalidPropsError: The variant is not serverless, has no provisioned concurrency, or not so much.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        endpoint: EndpointBase,
        variant: Variant,
        min_capacity: int,
        max_capacity: int,
    ) -> None:
        self._variant = variant
        super().__init__(
            scope,
            construct_id,
            resource_id=_variant_id(endpoint, variant),
            scalable_dimension="sagemaker:variant:DesiredProvisionedConcurrency",
            min_capacity=min_capacity,
            max_capacity=max_capacity,
            problems=list(_not_provisioned(variant)),
        )

    def scale_on_utilization(
        self,
        construct_id: str,
        *,
        target_utilization: float,
        scale_in_cooldown: Duration | None = None,
        scale_out_cooldown: Duration | None = None,
        disable_scale_in: bool = False,
    ) -> None:
        """Keep the used share of what is warm at a value.

        Args:
            construct_id: The id.
            target_utilization: The used share, above 0 and at most 1.
            scale_in_cooldown: How long to wait after concurrency went before more goes. When omitted: 5 minutes.
            scale_out_cooldown: How long to wait after concurrency came before more comes. When omitted: 5 minutes.
            disable_scale_in: Whether concurrency only ever comes. When omitted: it goes as well.

        Raises:
            InvalidPropsError: The target is not a share.
        """
        problems = Problems()
        if not Token.is_unresolved(target_utilization) and not 0 < target_utilization <= 1:
            problems.add(f"target_utilization is {target_utilization}: must be above 0 and at most 1")
        problems.raise_for(self)
        metric = _PredefinedMetric.SAGEMAKER_VARIANT_PROVISIONED_CONCURRENCY_UTILIZATION
        target = ("target_utilization", target_utilization)
        cooldowns = Cooldowns(scale_in_cooldown, scale_out_cooldown, disable_scale_in)
        self._track(construct_id, target, cooldowns, predefined=metric)

    def _limit_problems(
        self, min_capacity: int | None, max_capacity: int | None, *, always: bool = False
    ) -> Iterator[str]:
        yield from super()._limit_problems(min_capacity, max_capacity, always=always)
        if not isinstance(self._variant, Serverless) or not known(self._variant.max_concurrency):
            return
        highest = self._variant.max_concurrency
        for name, value in (("min_capacity", min_capacity), ("max_capacity", max_capacity)):
            if known(value) and value > highest:
                yield f"{name} is {value}: must be at most the variant's max_concurrency, {highest}"


def _variant_id(endpoint: EndpointBase, variant: Variant) -> str:
    return f"endpoint/{endpoint.endpoint_name}/variant/{variant.variant_name}"


def _unscalable(variant: Variant, has_model: bool) -> Iterator[str]:
    match variant:
        case RealTime() | Asynchronous():
            if instances.is_burstable(variant.instance_type):
                yield (
                    f"scaling of {variant.instance_type}: SageMaker scales no burstable instances: use another type, "
                    "such as ml.m5.large"
                )
            if not has_model:
                yield "scaling of a variant without a model: scale the copies of its inference components instead"
        case Serverless():
            yield "auto_scale_instance_count with Serverless: use auto_scale_provisioned_concurrency"
        case _:
            assert_never(variant)


def _none(argument: str, capacity: int | None) -> Iterator[str]:
    if capacity == 0:
        yield (
            f"{argument} is 0 with RealTime: must be at least 1: use Asynchronous, Serverless or inference components "
            "to pay for nothing while nobody calls"
        )


def _not_provisioned(variant: Variant) -> Iterator[str]:
    if not isinstance(variant, Serverless):
        yield f"auto_scale_provisioned_concurrency with {type(variant).__name__}: use auto_scale_instance_count"
        return
    if variant.provisioned_concurrency is None:
        yield "provisioned_concurrency is missing: give the variant what it begins with"
