"""Endpoints for tests, and what is in their templates."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_s3 as s3

from sm_constructs import Framework, InvalidPropsError, Model, ModelData
from sm_constructs.endpoint import Asynchronous, Endpoint, RealTime, Serverless
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
    **arguments: Any,
) -> Model:
    """Define a model from an archive in a bucket."""
    bucket = s3.Bucket.from_bucket_name(stack, f"{construct_id}Bucket", "models")
    data = ModelData.from_bucket(bucket, key)
    return Model(stack, construct_id, data=data, framework=Framework.custom(image), **arguments)


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
