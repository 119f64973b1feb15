"""What SageMaker refuses of arguments that are right each by itself.

Serverless: https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints.html
Shadow variants: https://docs.aws.amazon.com/sagemaker/latest/dg/shadow-tests-exclusions.html
Deployment: https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-exclusions.html
Asynchronous: https://docs.aws.amazon.com/sagemaker/latest/dg/model-deploy-feature-matrix.html: no data capture, no
Inf1, no multi-model models, no several containers
Scaling to no instances: https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-zero-instances.html
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import assert_never

from aws_cdk import Token
from aws_cdk import aws_kms as kms

from sm_constructs.endpoint import instances
from sm_constructs.endpoint.capture import DataCapture
from sm_constructs.endpoint.guardrails import Deployment, Rolling
from sm_constructs.endpoint.variants import Asynchronous, RealTime, Serverless, Variant
from sm_constructs.model import Model
from sm_constructs.model.processors import processor_of

_UNIQUE = "name each after what tells it from the others"


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What an endpoint is asked to be.

    Args:
        variants: The production variants.
        shadow: The shadow variant.
        model: The model of the variants that have none of their own.
        data_capture: Which calls are written to S3.
        deployment: How the endpoint moves to a new configuration.
        encryption_key: The key for the instances' volumes.
    """

    variants: Sequence[Variant]
    shadow: RealTime | None
    model: Model | None
    data_capture: DataCapture | None
    deployment: Deployment | None
    encryption_key: kms.IKey | None

    @property
    def all_variants(self) -> list[Variant]:
        """The production variants and the shadow variant."""
        return [*self.variants, *([self.shadow] if self.shadow else [])]

    def model_of(self, variant: Variant) -> Model | None:
        """Return the model that a variant serves; None for one that hosts inference components."""
        return variant.model or self.model

    def problems(self) -> Iterator[str]:
        """Yield everything that SageMaker would refuse, one line each."""
        if not 1 <= len(self.variants) <= 10:
            yield f"variants are {len(self.variants)}: must be from 1 to 10"
        for variant in self.all_variants:
            prefix = f"variant '{variant.variant_name}': " if len(self.all_variants) > 1 else ""
            yield from (f"{prefix}{problem}" for problem in self._variant_problems(variant))
        yield from self._together()
        if self.shadow:
            yield from self._shadow_problems(self.shadow)
        if self.data_capture:
            yield from self.data_capture.problems()
        if self.deployment:
            yield from self._deployment_problems(self.deployment)

    def _variant_problems(self, variant: Variant) -> Iterator[str]:
        yield from variant.problems()
        model = self.model_of(variant)
        match variant:
            case RealTime():
                yield from self._instance_problems(variant, model)
                yield from _no_instances(variant, model)
            case Asynchronous():
                yield from self._instance_problems(variant, model)
                yield from _asynchronous_problems(variant, model)
            case Serverless():
                yield from self._serverless_problems(model)
            case _:
                assert_never(variant)

    def _instance_problems(self, variant: RealTime | Asynchronous, model: Model | None) -> Iterator[str]:
        if self.encryption_key and variant.has_local_storage:
            yield (
                f"encryption_key with {variant.instance_type}: its NVMe storage encrypts itself and takes no "
                "key: leave encryption_key out, or use a type without local storage"
            )
        yield from wrong_processor(variant.instance_type, model)

    def _serverless_problems(self, model: Model | None) -> Iterator[str]:
        if self.encryption_key:
            yield "encryption_key with Serverless: there is no volume to encrypt: leave encryption_key out"
        if model is None:
            yield "Serverless without a model: pass model; inference components need RealTime"
            return
        if model.vpc is not None:
            yield "Serverless with a model in a VPC: leave the model's vpc out, or use RealTime"
        if model.network_isolation:
            yield "Serverless with an isolated model: leave network_isolation out, or use RealTime"
        if model.has_uncompressed_data:
            yield "Serverless with uncompressed model data: pack it into an archive, or use RealTime"
        if "gpu" in model.processors:
            yield "Serverless with an image for GPUs: take the image for cpu, or use RealTime"
        yield from (f"Serverless with {what}: use RealTime" for what in more_than_one(model))

    def _together(self) -> Iterator[str]:
        names = [variant.variant_name for variant in self.all_variants]
        for name, times in Counter(name for name in names if not Token.is_unresolved(name)).items():
            if times > 1:
                yield f"variant_name '{name}' is used {times} times: {_UNIQUE}"
        serverless = any(isinstance(variant, Serverless) for variant in self.variants)
        if len(self.variants) > 1:
            if serverless:
                yield "Serverless among several variants: it must be the only one"
            if any(isinstance(variant, Asynchronous) for variant in self.variants):
                yield "Asynchronous among several variants: it must be the only one"
            weights = [variant.initial_weight for variant in self.variants if isinstance(variant, RealTime)]
            if len(weights) == len(self.variants) and all(weight == 0 for weight in weights):
                yield "initial_weight is 0 for every variant: no variant would be called: give one a weight above 0"
        if self.data_capture and serverless:
            yield "data_capture with Serverless: SageMaker captures on instances only: leave data_capture out"
        if self.data_capture and any(isinstance(variant, Asynchronous) for variant in self.variants):
            yield "data_capture with Asynchronous: inputs and answers are in S3 already: leave data_capture out"
        yield from self._component_problems()

    def _component_problems(self) -> Iterator[str]:
        without = [variant for variant in self.variants if self.model_of(variant) is None]
        if any(isinstance(variant, Asynchronous) for variant in without):
            yield "Asynchronous without a model: pass model; inference components need RealTime"
        if 0 < len(without) < len(self.variants):
            yield "some variants have a model and others none: pass model, or leave it out of all of them"

    def _shadow_problems(self, shadow: RealTime) -> Iterator[str]:
        if len(self.variants) != 1:
            yield f"shadow with {len(self.variants)} variants: it shadows a single one"
        for variant in self.variants:
            match variant:
                case RealTime():
                    continue
                case Serverless() | Asynchronous():
                    yield f"shadow with {type(variant).__name__}: use RealTime, or leave shadow out"
                case _:
                    assert_never(variant)
        for variant in (*self.variants, shadow):
            if isinstance(variant, RealTime) and instances.is_inf1(variant.instance_type):
                yield f"shadow with {variant.instance_type}: SageMaker shadows no Inf1 instances: use another type"
        models = dict.fromkeys(self.model_of(variant) for variant in (*self.variants, shadow))
        for model in models:
            yield from (f"shadow with {what}: leave shadow out" for what in more_than_one(model))
        if self.model_of(shadow) is None:
            yield "shadow without a model: give it the model to try"

    def _deployment_problems(self, deployment: Deployment) -> Iterator[str]:
        if isinstance(deployment, Rolling) and len(self.variants) > 1:
            yield "deployment is Rolling with several variants: use AllAtOnce, Canary or Linear"
        for variant in self.variants:
            match variant:
                case RealTime() | Asynchronous():
                    if instances.is_inf1(variant.instance_type):
                        yield (
                            f"deployment with {variant.instance_type}: SageMaker guards no Inf1 instances: "
                            "use another type, or leave deployment out"
                        )
                    yield from deployment.problems(variant.instance_count)
                case Serverless():
                    yield (
                        f"deployment is {type(deployment).__name__} with Serverless: there are no instances to move "
                        "between: leave deployment out"
                    )
                case _:
                    assert_never(variant)


def _no_instances(variant: RealTime, model: Model | None) -> Iterator[str]:
    scaling = variant.managed_instance_scaling
    if model and scaling and scaling.min_instance_count == 0:
        yield (
            "managed_instance_scaling.min_instance_count is 0 with a model: must be at least 1: only inference "
            "components go away with their instances"
        )


def _asynchronous_problems(variant: Asynchronous, model: Model | None) -> Iterator[str]:
    if instances.is_inf1(variant.instance_type):
        yield f"Asynchronous with {variant.instance_type}: SageMaker queues for no Inf1 instances: use another type"
    yield from (f"Asynchronous with {what}: use RealTime" for what in more_than_one(model))


def wrong_processor(instance_type: str, model: Model | None) -> Iterator[str]:
    """Yield whether AWS's image is for Arm and the instances are not, or the other way round: it would not start."""
    processor = processor_of(instance_type)
    if model is None or not model.processors or processor is None:
        return
    if (processor == "graviton") != ("graviton" in model.processors):
        images = ", ".join(sorted(model.processors))
        yield f"{instance_type} with an image for {images}: take the image for {processor}, or other instances"


def more_than_one(model: Model | None) -> Iterator[str]:
    """Yield what a model is that has more than one container or model, which much of hosting leaves out."""
    if model and model.container_count > 1:
        yield f"a model of {model.container_count} containers"
    if model and model.is_multi_model:
        yield "a multi-model model"
