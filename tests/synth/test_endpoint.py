"""The endpoint: its variants, what it refuses, what may be done with it and what is measured of it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any, cast

import aws_cdk as cdk
import botocore
import pytest
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3

from sm_constructs import Endpoint, Framework, InvalidPropsError, Model, ModelData, RealTime, Serverless
from sm_constructs.endpoint import EndpointBase
from sm_constructs.endpoint.names import NAME_PATTERN
from sm_constructs.endpoint.variants import MEMORY_SIZES_MB
from tests.synth.templates import all_of, by_type, changes, only, resources_of, statement_for, text_of

MODEL, CONFIG, ENDPOINT = "AWS::SageMaker::Model", "AWS::SageMaker::EndpointConfig", "AWS::SageMaker::Endpoint"
IMAGE = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/team/classifier:v1"
REAL_TIME = RealTime(instance_type="ml.m5.large", instance_count=2)


def model_in(stack: cdk.Stack, construct_id: str = "Model", *, key: str = "model.tar.gz", **arguments: Any) -> Model:
    bucket = s3.Bucket.from_bucket_name(stack, f"{construct_id}Bucket", "models")
    data = ModelData.from_bucket(bucket, key)
    return Model(stack, construct_id, data=data, framework=Framework.custom(IMAGE), **arguments)


@pytest.fixture
def model(stack: cdk.Stack) -> Model:
    return model_in(stack)


@pytest.fixture
def role(stack: cdk.Stack) -> iam.Role:
    return iam.Role(stack, "Caller", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))


def variant_of(stack: cdk.Stack) -> dict[str, Any]:
    """Return the one production variant, without the model."""
    (variant,) = only(stack, CONFIG)["ProductionVariants"]
    return {name: value for name, value in variant.items() if name != "ModelName"}


def refusal(stack: cdk.Stack, **arguments: Any) -> tuple[str, ...]:
    with pytest.raises(InvalidPropsError) as raised:
        Endpoint(stack, "Endpoint", **arguments)
    return raised.value.problems


def test_a_real_time_variant_runs_on_instances(stack: cdk.Stack, model: Model) -> None:
    Endpoint(stack, "Endpoint", model=model, variant=REAL_TIME)

    assert variant_of(stack) == {
        "InitialInstanceCount": 2,
        "InitialVariantWeight": 1,
        "InstanceType": "ml.m5.large",
        "VariantName": "AllTraffic",
    }


def test_a_serverless_variant_has_memory_and_concurrency(stack: cdk.Stack, model: Model) -> None:
    Endpoint(stack, "Endpoint", model=model, variant=Serverless())

    assert variant_of(stack) == {
        "InitialVariantWeight": 1,
        "ServerlessConfig": {"MaxConcurrency": 5, "MemorySizeInMB": 2048},
        "VariantName": "AllTraffic",
    }


def test_every_option_of_a_real_time_variant_arrives(stack: cdk.Stack, model: Model) -> None:
    variant = RealTime(instance_type="ml.c6i.xlarge", instance_count=3, variant_name="blue", initial_weight=0.5)

    Endpoint(stack, "Endpoint", model=model, variant=variant)

    assert variant_of(stack) == {
        "InitialInstanceCount": 3,
        "InitialVariantWeight": 0.5,
        "InstanceType": "ml.c6i.xlarge",
        "VariantName": "blue",
    }


def test_every_option_of_a_serverless_variant_arrives(stack: cdk.Stack, model: Model) -> None:
    variant = Serverless(memory_size_mb=4096, max_concurrency=20, provisioned_concurrency=3, variant_name="blue")

    Endpoint(stack, "Endpoint", model=model, variant=variant)

    assert variant_of(stack)["VariantName"] == "blue"
    assert variant_of(stack)["ServerlessConfig"] == {
        "MaxConcurrency": 20,
        "MemorySizeInMB": 4096,
        "ProvisionedConcurrency": 3,
    }


def test_nothing_is_named_and_everything_is_referred_to(stack: cdk.Stack, model: Model) -> None:
    endpoint = Endpoint(stack, "Endpoint", model=model, variant=Serverless())

    names = {each["Type"]: name for name, each in resources_of(stack).items()}
    (variant,) = only(stack, CONFIG)["ProductionVariants"]
    assert variant["ModelName"] == {"Fn::GetAtt": [names[MODEL], "ModelName"]}
    assert only(stack, ENDPOINT) == {"EndpointConfigName": {"Fn::GetAtt": [names[CONFIG], "EndpointConfigName"]}}
    assert "EndpointConfigName" not in only(stack, CONFIG)
    assert "ModelName" not in only(stack, MODEL)
    assert stack.resolve(endpoint.endpoint_name) == {"Fn::GetAtt": [names[ENDPOINT], "EndpointName"]}
    assert stack.resolve(endpoint.endpoint_arn) == {"Ref": names[ENDPOINT]}


def test_the_log_group_is_the_one_that_sagemaker_names_after_the_endpoint(stack: cdk.Stack) -> None:
    endpoint = Endpoint.from_endpoint_name(stack, "Endpoint", "Reviews-1")

    assert endpoint.log_group_name == "/aws/sagemaker/Endpoints/Reviews-1"


def test_the_endpoint_may_have_a_name(stack: cdk.Stack, model: Model) -> None:
    Endpoint(stack, "Endpoint", model=model, variant=Serverless(), endpoint_name="Reviews-1")

    assert only(stack, ENDPOINT)["EndpointName"] == "Reviews-1"


def test_a_key_encrypts_the_volumes(stack: cdk.Stack, model: Model) -> None:
    key = kms.Key(stack, "Key")

    Endpoint(stack, "Endpoint", model=model, variant=REAL_TIME, encryption_key=key)

    assert only(stack, CONFIG)["KmsKeyId"] == stack.resolve(key.key_arn)


def test_two_endpoints_live_in_one_stack_and_serve_one_model(stack: cdk.Stack, model: Model) -> None:
    Endpoint(stack, "One", model=model, variant=Serverless())
    Endpoint(stack, "Two", model=model, variant=REAL_TIME)

    assert len(all_of(stack, ENDPOINT)) == 2
    assert len(all_of(stack, MODEL)) == 1


# What it refuses


def test_everything_wrong_is_said_at_once(stack: cdk.Stack) -> None:
    vpc = ec2.Vpc(stack, "Vpc", restrict_default_security_group=False)

    found = refusal(
        stack,
        model=model_in(stack, vpc=vpc, network_isolation=True),
        variant=Serverless(memory_size_mb=1500, max_concurrency=201, provisioned_concurrency=202, variant_name="a_b"),
        encryption_key=kms.Key(stack, "Key"),
        endpoint_name="-reviews",
    )

    rule = "must be 1 to 63 letters, digits and hyphens, and neither begin nor end with a hyphen"
    assert found == (
        f"endpoint_name is '-reviews': {rule}",
        "memory_size_mb is 1500: must be one of 1024, 2048, 3072, 4096, 5120, 6144",
        "max_concurrency is 201: must be from 1 to 200",
        "provisioned_concurrency is 202: must be from 1 to max_concurrency, 201",
        f"variant_name is 'a_b': {rule}",
        "encryption_key with Serverless: there is no volume to encrypt: leave encryption_key out",
        "Serverless with a model in a VPC: leave the model's vpc out, or use RealTime",
        "Serverless with an isolated model: leave network_isolation out, or use RealTime",
    )


@pytest.mark.parametrize("instance_type", ["m5.large", "ml.m5", "ml.m5.large ", "ML.M5.LARGE", ""])
def test_an_instance_type_that_sagemaker_does_not_have_is_refused(instance_type: str) -> None:
    (problem,) = RealTime(instance_type=instance_type, instance_count=1).problems()

    assert problem == (
        f"instance_type is '{instance_type}': must be one of SageMaker's, such as ml.t2.medium, ml.m5.large or "
        "ml.c6i.xlarge"
    )


def test_no_instances_and_negative_weights_are_refused() -> None:
    assert RealTime(instance_type="ml.m5.large", instance_count=0, initial_weight=-1).problems() == [
        "instance_count is 0: must be at least 1",
        "initial_weight is -1: must be at least 0",
    ]


@pytest.mark.parametrize(
    "variant",
    [
        Serverless(max_concurrency=0),
        Serverless(provisioned_concurrency=0),
        Serverless(provisioned_concurrency=6),
        Serverless(memory_size_mb=7168),
        Serverless(memory_size_mb=512),
    ],
    ids=str,
)
def test_serverless_values_beyond_sagemakers_are_refused(variant: Serverless) -> None:
    assert len(variant.problems()) == 1


@pytest.mark.parametrize(
    "variant",
    [
        Serverless(max_concurrency=1),
        Serverless(max_concurrency=200, provisioned_concurrency=200),
        Serverless(provisioned_concurrency=1),
        *(Serverless(memory_size_mb=memory) for memory in MEMORY_SIZES_MB),
        RealTime(instance_type="ml.t2.medium", instance_count=1, initial_weight=0),
        RealTime(instance_type="ml.p6e-gb200.36xlarge", instance_count=1),
    ],
    ids=str,
)
def test_values_at_sagemakers_limits_are_taken(variant: RealTime | Serverless) -> None:
    assert variant.problems() == []


@pytest.mark.parametrize("name", ["", "a" * 64, "a_b", "a-", "-a", "rève", "a b"], ids=["empty", "long", *["form"] * 5])
def test_names_that_sagemaker_does_not_take_are_refused(stack: cdk.Stack, model: Model, name: str) -> None:
    (problem,) = refusal(stack, model=model, variant=Serverless(), endpoint_name=name)

    assert problem.startswith(f"endpoint_name is '{name}': must be 1 to 63 letters")


@pytest.mark.parametrize("instance_type", ["ml.g5.xlarge", "ml.m5d.large", "ml.c6gd.large", "ml.p4d.24xlarge"])
def test_a_volume_key_is_refused_where_the_storage_encrypts_itself(
    stack: cdk.Stack, model: Model, instance_type: str
) -> None:
    (problem,) = refusal(
        stack,
        model=model,
        variant=RealTime(instance_type=instance_type, instance_count=1),
        encryption_key=kms.Key(stack, "Key"),
    )

    assert problem.startswith(f"encryption_key with {instance_type}: ")


def hosting_families() -> set[str]:
    return {str(each).split(".")[1] for each in shape("ProductionVariantInstanceType")["enum"]}


def test_every_instance_family_of_sagemaker_is_known_to_have_local_storage_or_none() -> None:
    """Against EC2's documentation of instance store volumes; a family that is new shows up here."""
    with_storage = {
        family
        for family in hosting_families()
        if RealTime(instance_type=f"ml.{family}.large", instance_count=1).has_local_storage
    }

    assert with_storage == {
        *("c5d", "c6gd", "m5d", "m6gd", "r5d", "r6gd", "r7gd"),
        *("dl1", "g4dn", "g5", "g6", "g6e", "g7", "g7e", "trn1", "trn1n", "trn2"),
        *("p4d", "p4de", "p5", "p5e", "p5en", "p6-b200", "p6-b300", "p6e-gb200"),
    }
    assert hosting_families() - with_storage == {
        *("c4", "c5", "c6g", "c6gn", "c6i", "c6in", "c7g", "c7i", "c8g", "inf1", "inf2", "p2", "p3", "t2"),
        *("m4", "m5", "m6g", "m6i", "m7i", "m8g", "r5", "r6g", "r6i", "r7i", "r8g"),
    }


def test_values_known_at_deployment_are_let_through(stack: cdk.Stack, model: Model) -> None:
    parameter = cast(int, cdk.CfnParameter(stack, "Size", type="Number").value_as_number)
    name = cdk.CfnParameter(stack, "Name").value_as_string

    Endpoint(
        stack,
        "RealTime",
        model=model,
        variant=RealTime(instance_type=name, instance_count=parameter, variant_name=name, initial_weight=parameter),
        encryption_key=kms.Key(stack, "Key"),
        endpoint_name=name,
    )
    Endpoint(
        stack,
        "Serverless",
        model=model,
        variant=Serverless(
            memory_size_mb=parameter, max_concurrency=parameter, provisioned_concurrency=parameter, variant_name=name
        ),
    )

    assert len(all_of(stack, ENDPOINT)) == 2


def shape(name: str) -> dict[str, Any]:
    """Return a shape of SageMaker's API, as AWS publishes it to its SDKs."""
    path = Path(botocore.__file__).parent / "data" / "sagemaker" / "2017-07-24" / "service-2.json.gz"
    found: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))["shapes"][name]
    return found


def test_the_limits_are_those_of_sagemakers_api() -> None:
    memory, concurrency = shape("ServerlessMemorySizeInMB"), shape("ServerlessMaxConcurrency")

    assert (MEMORY_SIZES_MB[0], MEMORY_SIZES_MB[-1]) == (memory["min"], memory["max"])
    assert (concurrency["min"], concurrency["max"]) == (1, 200)
    assert shape("EndpointName")["pattern"] == NAME_PATTERN
    assert shape("VariantName")["pattern"] == NAME_PATTERN
    assert shape("InitialTaskCount")["min"] == 1
    assert shape("VariantWeight")["min"] == 0


# What may be done with it


def test_a_grant_to_invoke_is_for_this_endpoint_and_nothing_else(
    stack: cdk.Stack, model: Model, role: iam.Role
) -> None:
    endpoint = Endpoint(stack, "Endpoint", model=model, variant=Serverless())

    endpoint.grant_invoke(role)

    statement = statement_for(stack, "sagemaker:InvokeEndpoint")
    assert statement["Action"] == "sagemaker:InvokeEndpoint"
    assert statement["Resource"] == stack.resolve(endpoint.endpoint_arn)


def test_an_imported_endpoint_can_be_granted_by_its_arn_in_lower_case(stack: cdk.Stack, role: iam.Role) -> None:
    endpoint = Endpoint.from_endpoint_name(stack, "Endpoint", "Reviews-1")

    endpoint.grant_invoke(role)

    arn = statement_for(stack, "sagemaker:InvokeEndpoint")["Resource"]["Fn::Join"][1]
    assert arn[-1] == ":endpoint/reviews-1"
    assert endpoint.endpoint_name == "Reviews-1"
    assert endpoint.variant_names == ["AllTraffic"]
    assert not all_of(stack, ENDPOINT)


@pytest.mark.parametrize("imported", [False, True], ids=["defined", "imported"])
def test_the_endpoint_is_one_for_cdks_own_constructs(stack: cdk.Stack, model: Model, imported: bool) -> None:
    endpoint: EndpointBase
    if imported:
        endpoint = Endpoint.from_endpoint_name(stack, "Endpoint", "reviews")
    else:
        endpoint = Endpoint(stack, "Endpoint", model=model, variant=Serverless())
    api = apigateway.RestApi(stack, "Api", cloud_watch_role=False)

    api.root.add_method("POST", apigateway.SagemakerIntegration(endpoint))

    (method,) = all_of(stack, "AWS::ApiGateway::Method")
    name = json.dumps(stack.resolve(endpoint.endpoint_name)).strip('"')
    assert name in json.dumps(method["Properties"]["Integration"]["Uri"])
    assert statement_for(stack, "sagemaker:InvokeEndpoint")["Resource"] == stack.resolve(endpoint.endpoint_arn)
    assert stack.resolve(endpoint.endpoint_ref.endpoint_arn) == stack.resolve(endpoint.endpoint_arn)
    assert "undefined" not in text_of(stack)


def test_an_endpoint_with_a_name_can_be_used_in_another_region(app: cdk.App) -> None:
    here = cdk.Stack(app, "Here", env=cdk.Environment(account="111122223333", region="eu-west-1"))
    there = cdk.Stack(app, "There", env=cdk.Environment(account="111122223333", region="us-east-1"))
    endpoint = Endpoint(here, "Endpoint", model=model_in(here), variant=Serverless(), endpoint_name="Reviews")
    role = iam.Role(there, "Caller", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))

    endpoint.grant_invoke(role)

    (policy,) = all_of(there, "AWS::IAM::Policy")
    (statement,) = policy["Properties"]["PolicyDocument"]["Statement"]
    assert "sagemaker:eu-west-1:111122223333:endpoint/reviews" in json.dumps(statement["Resource"])


# What is measured of it


def test_an_alarm_on_an_endpoint_of_this_stack_refers_to_it(stack: cdk.Stack, model: Model) -> None:
    endpoint = Endpoint(stack, "Endpoint", model=model, variant=REAL_TIME)

    cloudwatch.Alarm(stack, "Errors", metric=endpoint.metric_invocation_5xx_errors(), evaluation_periods=1, threshold=1)

    dimensions = {each["Name"]: each["Value"] for each in only(stack, "AWS::CloudWatch::Alarm")["Dimensions"]}
    assert dimensions == {"EndpointName": stack.resolve(endpoint.endpoint_name), "VariantName": "AllTraffic"}


# What an update does


def version(
    *,
    key: str = "v1.tar.gz",
    variant: RealTime | Serverless = REAL_TIME,
    endpoint_name: str | None = None,
    tag: str = "a",
    encrypted: bool = False,
) -> cdk.Stack:
    """Return a stack with an endpoint; stacks with other arguments are what it may become."""
    stack = cdk.Stack(cdk.App(builtin_cloud_formation_validation=False), "Stack")
    volume_key = kms.Key.from_key_arn(stack, "Key", "arn:aws:kms:us-east-1:111122223333:key/k")
    Endpoint(
        stack,
        "Endpoint",
        model=model_in(stack, key=key),
        variant=variant,
        endpoint_name=endpoint_name,
        encryption_key=volume_key if encrypted else None,
    )
    cdk.Tags.of(stack).add("team", tag)
    return stack


MOVES = {CONFIG: "replaced", ENDPOINT: "updated"}


@pytest.mark.parametrize(
    ("change", "effect"),
    [
        ({"key": "v2.tar.gz"}, {MODEL: "replaced", "AWS::IAM::Policy": "created", **MOVES}),
        ({"variant": RealTime(instance_type="ml.c6i.large", instance_count=2)}, MOVES),
        ({"variant": RealTime(instance_type="ml.m5.large", instance_count=4)}, MOVES),
        ({"encrypted": True}, MOVES),
        ({"endpoint_name": "reviews"}, {ENDPOINT: "replaced"}),
        (
            {"tag": "b"},
            {MODEL: "updated", CONFIG: "updated", ENDPOINT: "updated", "AWS::IAM::Role": "updated"},
        ),
        ({}, {}),
    ],
    ids=["model data", "instance type", "instance count", "volume key", "endpoint name", "tags", "nothing"],
)
def test_a_change_moves_the_endpoint_without_making_another(change: dict[str, Any], effect: dict[str, str]) -> None:
    before, after = version(), version(**change)

    assert by_type(after, changes(before, after)) == effect


@pytest.mark.parametrize(
    "variant",
    [Serverless(memory_size_mb=4096), Serverless(max_concurrency=10), Serverless(provisioned_concurrency=1)],
    ids=["memory", "concurrency", "provisioned concurrency"],
)
def test_a_serverless_change_moves_the_endpoint_too(variant: Serverless) -> None:
    before, after = version(variant=Serverless()), version(variant=variant)

    assert by_type(after, changes(before, after)) == MOVES


def test_an_endpoint_with_a_name_keeps_it_when_the_model_changes() -> None:
    before = version(endpoint_name="reviews")
    after = version(endpoint_name="reviews", key="v2.tar.gz")

    assert by_type(after, changes(before, after))[ENDPOINT] == "updated"
