"""What SageMaker refuses in an endpoint configuration as a whole."""

from __future__ import annotations

from typing import Any

import pytest

from sm_local.sagemaker.config import EndpointConfig
from sm_local.sagemaker.config_rules import problems
from sm_local.sagemaker.models import ContainerDefinition, Model

SERVERLESS: Any = {"ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 5}}
QUEUE: Any = {"AsyncInferenceConfig": {"OutputConfig": {"S3OutputPath": "s3://b/o"}}}
CAPTURE = {"InitialSamplingPercentage": 1, "DestinationS3Uri": "s3://b/c", "CaptureOptions": [{"CaptureMode": "Input"}]}


def variant(name: str = "AllTraffic", **others: Any) -> dict[str, Any]:
    instances = {} if "ServerlessConfig" in others else {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    return {"VariantName": name, "ModelName": "m", **instances, **others}


def without(parameters: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if name not in names}


def model(containers: int = 1, *, many: bool = False, isolated: bool = False) -> Model:
    definitions = [
        ContainerDefinition(name=f"c{number}", image=None, data=None, environment={}, many_models=many)
        for number in range(containers)
    ]
    return Model(name="m", role_arn="arn", containers=tuple(definitions), network_isolation=isolated)


def found(
    *variants: dict[str, Any], served: Model | None = None, created: dict[str, Any] | None = None, **others: Any
) -> list[str]:
    config = EndpointConfig(
        name="c", arn="arn", created=0, parameters={"ProductionVariants": list(variants or [variant()]), **others}
    )
    return problems(config, {"m": served or model()}, {"m": created or {}})


@pytest.mark.parametrize(
    "good",
    [
        {},
        {"variants": [variant("A"), variant("B", InitialVariantWeight=0)]},
        {"variants": [variant(**SERVERLESS)]},
        {"variants": [variant("A")], "ShadowProductionVariants": [variant("S")]},
        {"DataCaptureConfig": CAPTURE, "KmsKeyId": "k"},
        {"AsyncInferenceConfig": {"OutputConfig": {"S3OutputPath": "s3://b/o"}}},
        {
            "variants": [
                without(
                    variant(ManagedInstanceScaling={"Status": "ENABLED", "MinInstanceCount": 0, "MaxInstanceCount": 1}),
                    "ModelName",
                )
            ],
            "ExecutionRoleArn": "arn",
        },
    ],
)
def test_what_sagemaker_takes_has_no_problems(good: dict[str, Any]) -> None:
    variants = good.pop("variants", [])
    assert found(*variants, **good) == []


@pytest.mark.parametrize(
    ("variants", "others", "words"),
    [
        ([variant("A"), variant("A")], {}, "found 2 named A"),
        ([variant("A"), without(variant("B"), "ModelName")], {}, "Either all variants have a ModelName or none"),
        ([variant(InitialVariantWeight=0)], {}, "InitialVariantWeight greater than 0"),
        ([without(variant(), "InstanceType")], {}, "either a ServerlessConfig or an InstanceType"),
        ([variant(InstanceType="ml.m5.large", **SERVERLESS)], {}, "and not both"),
        ([without(variant(), "InitialInstanceCount")], {}, "must have an InitialInstanceCount"),
        (
            [variant(InstanceType="ml.m5d.large")],
            {"KmsKeyId": "k"},
            "KmsKeyId is not supported for instance type ml.m5d",
        ),
        ([variant(InstanceType="ml.g5.xlarge")], {"KmsKeyId": "k"}, "has local storage"),
        ([variant(InstanceType="ml.p6-b200.48xlarge")], {"KmsKeyId": "k"}, "has local storage"),
        ([variant(InstanceType="ml.p6e-gb200.36xlarge")], {"KmsKeyId": "k"}, "has local storage"),
        (
            [variant(ManagedInstanceScaling={"MinInstanceCount": 0})],
            {},
            "MinInstanceCount 0 takes inference components",
        ),
        (
            [variant(ManagedInstanceScaling={"MinInstanceCount": 3, "MaxInstanceCount": 2})],
            {},
            "must not be greater than MaxInstanceCount",
        ),
        ([without(variant(), "ModelName")], {}, "ExecutionRoleArn is required"),
        ([variant("A", **SERVERLESS), variant("B", **SERVERLESS)], {}, "take one production variant"),
        ([variant(**SERVERLESS)], {"DataCaptureConfig": CAPTURE}, "DataCaptureConfig is not supported for serverless"),
        ([variant(**SERVERLESS)], {"VpcConfig": {"Subnets": ["s"]}}, "VpcConfig is not supported for serverless"),
        ([variant(**SERVERLESS)], {"EnableNetworkIsolation": True}, "Network isolation is not supported"),
        ([variant()], {"ShadowProductionVariants": [variant("S"), variant("T")]}, "one shadow variant"),
        ([variant("A"), variant("B")], {"ShadowProductionVariants": [variant("S")]}, "one production variant and one"),
        (
            [variant()],
            {"ShadowProductionVariants": [variant("S")], "AsyncInferenceConfig": {"OutputConfig": {}}},
            "ShadowProductionVariants are not supported for asynchronous",
        ),
        ([variant()], {"DataCaptureConfig": CAPTURE, **QUEUE}, "DataCaptureConfig is not supported for asynchronous"),
        ([variant(InstanceType="ml.inf1.xlarge")], QUEUE, "not supported on ml.inf1.xlarge"),
        ([variant()], {"ShadowProductionVariants": [variant("S", InstanceType="ml.inf1.xlarge")]}, "on ml.inf1.xlarge"),
    ],
)
def test_what_sagemaker_refuses_is_a_problem(
    variants: list[dict[str, Any]], others: dict[str, Any], words: str
) -> None:
    assert any(words in problem for problem in found(*variants, **others))


@pytest.mark.parametrize(
    ("served", "created", "words"),
    [
        (model(isolated=True), {}, "network isolation"),
        (model(2), {}, "several containers"),
        (model(many=True), {}, "MultiModel"),
        (model(), {"VpcConfig": {"Subnets": ["s"]}}, "VpcConfig"),
        (model(), {"PrimaryContainer": {"ModelDataSource": {}}}, "ModelDataSource"),
    ],
)
def test_what_a_serverless_model_cannot_have_is_a_problem(served: Model, created: dict[str, Any], words: str) -> None:
    assert any(words in problem for problem in found(variant(**SERVERLESS), served=served, created=created))
    assert found(variant(), served=served, created=created) == []


@pytest.mark.parametrize("others", [{"ShadowProductionVariants": [variant("S")]}, QUEUE], ids=["shadow", "queue"])
@pytest.mark.parametrize("served", [model(2), model(many=True)], ids=["containers", "models"])
def test_shadows_and_queues_take_one_model_in_one_container(served: Model, others: dict[str, Any]) -> None:
    assert any("several containers or models" in one for one in found(served=served, **others))


def test_all_problems_are_found_at_once() -> None:
    serverless = {"MemorySizeInMB": 2000, "MaxConcurrency": 5, "ProvisionedConcurrency": 6}
    assert len(found(variant(ServerlessConfig=serverless), DataCaptureConfig=CAPTURE)) == 3
