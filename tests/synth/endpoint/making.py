"""Endpoints for tests, and what is in their templates."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_s3 as s3

from sm_constructs import Framework, InvalidPropsError, Model, ModelData
from sm_constructs.endpoint import Asynchronous, Endpoint, RealTime, Serverless
from sm_constructs.model import Container
from sm_constructs.storage import ArtifactPrefix
from tests.synth.templates import only

MODEL, CONFIG, ENDPOINT = "AWS::SageMaker::Model", "AWS::SageMaker::EndpointConfig", "AWS::SageMaker::Endpoint"
COMPONENT = "AWS::SageMaker::InferenceComponent"
TARGET, POLICY = "AWS::ApplicationAutoScaling::ScalableTarget", "AWS::ApplicationAutoScaling::ScalingPolicy"
ALARM = "AWS::CloudWatch::Alarm"
IMAGE = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/team/classifier:v1"
REAL_TIME = RealTime(instance_type="ml.m5.large", instance_count=2)
SERVERLESS = Serverless(provisioned_concurrency=1)


def model_in(
    stack: cdk.Stack,
    construct_id: str = "Model",
    *,
    key: str = "model.tar.gz",
    image: str = IMAGE,
    framework: Framework | None = None,
    **arguments: Any,
) -> Model:
    """Define a model from an archive in a bucket."""
    data = ModelData.from_bucket(_models(stack, construct_id), key)
    return Model(stack, construct_id, data=data, framework=framework or Framework.custom(image), **arguments)


def uncompressed_in(stack: cdk.Stack, construct_id: str = "Uncompressed") -> Model:
    """Define a model from files under a prefix."""
    data = ModelData.from_prefix(_models(stack, construct_id), "v1/")
    return Model(stack, construct_id, data=data, framework=Framework.custom(IMAGE))


def package_in(stack: cdk.Stack, construct_id: str = "Package", *, framework: Framework | None = None) -> Model:
    """Define a model from the registry, whose files lie under a prefix unless it has a framework."""
    models = _models(stack, construct_id)
    archive = ModelData.from_bucket(models, "model.tar.gz") if framework else ModelData.from_prefix(models, "v1/")
    return Model(
        stack, construct_id, data=ModelData.from_model_package("reviews/7", archive=archive, framework=framework)
    )


def many_in(stack: cdk.Stack, construct_id: str = "Many") -> Model:
    """Define a model whose container loads one of many."""
    data = ModelData.multi_model(_models(stack, construct_id), "customers/")
    return Model(stack, construct_id, data=data, framework=Framework.custom(IMAGE))


def pipeline_in(
    stack: cdk.Stack, construct_id: str = "Pipeline", *, hostnames: tuple[str | None, str | None] = ("words", "labels")
) -> Model:
    """Define a model of two containers."""
    models = _models(stack, construct_id)
    containers = [
        Container(
            data=ModelData.from_bucket(models, "model.tar.gz"),
            framework=Framework.custom(IMAGE),
            hostname=hostname,
        )
        for hostname in hostnames
    ]
    return Model(stack, construct_id, containers=containers)


def _models(stack: cdk.Stack, construct_id: str) -> s3.IBucket:
    return s3.Bucket.from_bucket_name(stack, f"{construct_id}Bucket", "models")


def prefix_in(stack: cdk.Stack, name: str = "Results", **arguments: Any) -> ArtifactPrefix:
    """Return a place in a bucket, which is named after it."""
    found = stack.node.try_find_child(name)
    bucket = found or s3.Bucket.from_bucket_name(stack, name, name.lower())
    return ArtifactPrefix(bucket=bucket, prefix=f"{name.lower()}/", **arguments)  # type: ignore[arg-type]


def queue_in(stack: cdk.Stack, **arguments: Any) -> Asynchronous:
    """Return an asynchronous variant that puts its answers into a bucket."""
    defaults: dict[str, Any] = {"instance_type": "ml.m5.large", "instance_count": 1, "output": prefix_in(stack)}
    return Asynchronous(**{**defaults, **arguments})


def endpoint_in(stack: cdk.Stack, variant: RealTime | Serverless | Asynchronous | None = None) -> Endpoint:
    """Define an endpoint with a model."""
    return Endpoint(stack, "Endpoint", model=model_in(stack), variant=variant or REAL_TIME)


def refusal(stack: cdk.Stack, **arguments: Any) -> tuple[str, ...]:
    """Return what an endpoint's constructor says is wrong with its arguments."""
    with pytest.raises(InvalidPropsError) as raised:
        Endpoint(stack, "Endpoint", **arguments)
    return raised.value.problems


def variants_of(stack: cdk.Stack) -> list[dict[str, Any]]:
    """Return the production variants of the one endpoint configuration."""
    found: list[dict[str, Any]] = only(stack, CONFIG)["ProductionVariants"]
    return found
