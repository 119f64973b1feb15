"""What SageMaker refuses in an endpoint configuration as a whole, beyond the limits of single members."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping

from sm_local.sagemaker.config import EndpointConfig, VariantSettings
from sm_local.sagemaker.models import Model
from sm_local.sagemaker.registry import Parameters

# "You can't request a KmsKeyId when using an instance type with local storage."
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateEndpointConfig.html
_LOCAL_STORAGE = re.compile(r"ml\.(?:[a-z]+\d+[a-z]*d[a-z]*|g[5-9]e?|p[5-9][a-z0-9-]*|dl1|trn\d[a-z]*)\.")


def problems(
    config: EndpointConfig, models: Mapping[str, Model], model_parameters: Mapping[str, Parameters]
) -> list[str]:
    """Return what is wrong with a configuration, in one line each.

    Args:
        config: The configuration.
        models: Those that its variants name, by name.
        model_parameters: What they were created with, by name.
    """
    found = list(_variants(config))
    for variant in (*config.variants, *config.shadows):
        found += _capacity(config, variant)
    if config.serverless:
        found += _serverless(config)
        for name, model in models.items():
            found += _serverless_model(model, model_parameters[name])
    if config.asynchronous:
        found += _asynchronous(config, models)
    if config.shadows:
        found += _shadows(config, models)
    if config.hosts_components and "ExecutionRoleArn" not in config.parameters:
        found.append("ExecutionRoleArn is required when no production variant has a ModelName.")
    return found


def _variants(config: EndpointConfig) -> Iterator[str]:
    variants = (*config.variants, *config.shadows)
    for name, count in Counter(variant.name for variant in variants).items():
        if count > 1:
            yield f"Variant names must be unique, found {count} named {name}."
    if len({variant.model_name is None for variant in variants}) > 1:
        yield "Either all variants have a ModelName or none has."
    if sum(variant.weight for variant in config.variants) <= 0:
        yield "At least one production variant must have an InitialVariantWeight greater than 0."


def _capacity(config: EndpointConfig, variant: VariantSettings) -> Iterator[str]:
    given = variant.parameters
    on_instances = "InstanceType" in given or "InstancePools" in given
    if bool(variant.serverless) == on_instances:
        yield f"Variant {variant.name} must have either a ServerlessConfig or an InstanceType, and not both."
    if on_instances and variant.model_name and "InitialInstanceCount" not in given:
        yield f"Variant {variant.name} must have an InitialInstanceCount."
    if "KmsKeyId" in config.parameters and variant.instance_type and _LOCAL_STORAGE.match(variant.instance_type):
        yield f"KmsKeyId is not supported for instance type {variant.instance_type}, which has local storage."
    scaling = given.get("ManagedInstanceScaling", {})
    if scaling.get("MinInstanceCount", 1) == 0 and variant.model_name:
        yield f"Variant {variant.name}: MinInstanceCount 0 takes inference components, and no ModelName."
    if scaling.get("MinInstanceCount", 1) > scaling.get("MaxInstanceCount", float("inf")):
        yield f"Variant {variant.name}: MinInstanceCount must not be greater than MaxInstanceCount."


# https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints.html#serverless-endpoints-how-it-works-exclusions
def _serverless(config: EndpointConfig) -> Iterator[str]:
    if len(config.variants) > 1:
        yield "Serverless endpoints take one production variant."
    for feature in ("DataCaptureConfig", "AsyncInferenceConfig", "ShadowProductionVariants", "VpcConfig"):
        if config.parameters.get(feature):
            yield f"{feature} is not supported for serverless endpoints."
    if config.parameters.get("EnableNetworkIsolation"):
        yield "Network isolation is not supported for serverless endpoints."
    for variant in config.variants:
        if (settings := variant.serverless) is None:
            continue
        memory = settings.parameters["MemorySizeInMB"]
        if memory % 1024:
            yield f"MemorySizeInMB is {memory}: valid values are 1024, 2048, 3072, 4096, 5120 and 6144."
        if (settings.provisioned_concurrency or 0) > settings.max_concurrency:
            yield "ProvisionedConcurrency must be less than or equal to MaxConcurrency."


def _serverless_model(model: Model, parameters: Parameters) -> Iterator[str]:
    if model.network_isolation:
        yield f"Model {model.name}: network isolation is not supported for serverless endpoints."
    if parameters.get("VpcConfig"):
        yield f"Model {model.name}: VpcConfig is not supported for serverless endpoints."
    if len(model.containers) > 1:
        yield f"Model {model.name}: several containers are not supported for serverless endpoints."
    if model.many_models:
        yield f"Model {model.name}: mode MultiModel is not supported for serverless endpoints."
    if any("ModelDataSource" in container for container in _containers(parameters)):
        yield f"Model {model.name}: ModelDataSource is not supported for serverless endpoints."


# https://docs.aws.amazon.com/sagemaker/latest/dg/model-deploy-feature-matrix.html
def _asynchronous(config: EndpointConfig, models: Mapping[str, Model]) -> Iterator[str]:
    if config.parameters.get("DataCaptureConfig"):
        yield "DataCaptureConfig is not supported for asynchronous endpoints."
    for variant in config.variants:
        if variant.instance_type and variant.instance_type.startswith("ml.inf1."):
            yield f"Asynchronous endpoints are not supported on {variant.instance_type}."
    for model in models.values():
        if model.many_models or len(model.containers) > 1:
            yield f"Model {model.name}: several containers or models are not supported for asynchronous endpoints."


# https://docs.aws.amazon.com/sagemaker/latest/dg/shadow-tests.html
def _shadows(config: EndpointConfig, models: Mapping[str, Model]) -> Iterator[str]:
    if len(config.variants) != 1 or len(config.shadows) != 1:
        yield "Shadow testing takes one production variant and one shadow variant."
    if config.asynchronous:
        yield "ShadowProductionVariants are not supported for asynchronous endpoints."
    for variant in (*config.variants, *config.shadows):
        if variant.instance_type and variant.instance_type.startswith("ml.inf1."):
            yield f"ShadowProductionVariants are not supported on {variant.instance_type}."
    for model in models.values():
        if model.many_models or len(model.containers) > 1:
            yield f"Model {model.name}: several containers or models are not supported with ShadowProductionVariants."


def _containers(parameters: Parameters) -> list[Parameters]:
    return [*(parameters.get("Containers") or []), *filter(None, [parameters.get("PrimaryContainer")])]
