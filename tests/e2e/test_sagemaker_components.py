"""Inference components of the local SageMaker, by API and by CloudFormation."""

import json
from typing import Any
from uuid import uuid4

import aws_cdk as cdk
import boto3
import pytest
from aws_cdk import aws_s3 as s3
from aws_cdk.assertions import Template
from botocore.exceptions import ClientError

from sm_constructs import Endpoint, Framework, Model, ModelData, RealTime
from sm_constructs.endpoint import InferenceComponent
from sm_local.server import RECORDED_ONLY
from tests.sagemaker_account import ECHO, IMAGE, LOG, PULL, READ, Account, eventually, metric

pytestmark = pytest.mark.e2e

COMPUTE = {"NumberOfCpuCoresRequired": 1, "MinMemoryRequiredInMb": 1024}


@pytest.fixture(scope="module")
def account(session: boto3.Session) -> Account:
    return Account(session)


@pytest.fixture(scope="module")
def endpoint(account: Account) -> str:
    """An endpoint that hosts no model of its own."""
    variant = {
        "VariantName": "AllTraffic",
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
        "ManagedInstanceScaling": {"Status": "ENABLED", "MinInstanceCount": 0, "MaxInstanceCount": 2},
        "RoutingConfig": {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"},
    }
    config = account.config_of(variant, ExecutionRoleArn=account.role(READ, PULL, LOG))
    return account.in_service(account.endpoint_of(config))


def create(account: Account, endpoint: str, copies: int = 1, **specification: Any) -> str:
    name = f"Component-{uuid4().hex[:12]}"
    account.sagemaker.create_inference_component(
        InferenceComponentName=name,
        EndpointName=endpoint,
        VariantName="AllTraffic",
        Specification={"ComputeResourceRequirements": COMPUTE, **specification},
        RuntimeConfig={"CopyCount": copies},
    )
    return name


def wait(account: Account, component: str) -> dict[str, Any]:
    def settled() -> Any:
        described = account.sagemaker.describe_inference_component(InferenceComponentName=component)
        return None if described["InferenceComponentStatus"] in ("Creating", "Updating") else described

    found: dict[str, Any] = eventually(settled)
    return found


def greeting(account: Account, endpoint: str, component: str) -> str:
    return str(account.invoke(endpoint, also={"InferenceComponentName": component})["greeting"])


def test_components_share_an_endpoint_and_are_called_by_name(account: Account, endpoint: str) -> None:
    first = create(account, endpoint, ModelName=account.model(GREETING="first"))
    archive = account.archive(
        'def model_fn(d): return 1\ndef transform_fn(m, b, c, a): return \'{"greeting": "second"}\''
    )
    second = create(account, endpoint, 2, Container={"Image": IMAGE, "ArtifactUrl": archive})
    described = wait(account, first), wait(account, second)

    assert [one["InferenceComponentStatus"] for one in described] == ["InService", "InService"]
    assert described[1]["RuntimeConfig"] == {"DesiredCopyCount": 2, "CurrentCopyCount": 2}
    assert described[1]["Specification"]["Container"]["DeployedImage"]["SpecifiedImage"] == IMAGE
    assert [greeting(account, endpoint, one) for one in (first, second)] == ["first", "second"]
    assert metric("Invocations", {"InferenceComponentName": second}) == 1
    assert metric("InvocationsPerCopy", {"InferenceComponentName": second}) == 0.5
    assert metric("Invocations", {"EndpointName": endpoint, "VariantName": "AllTraffic"}) >= 2


def test_a_call_must_name_a_component_of_the_endpoint(account: Account, endpoint: str) -> None:
    with pytest.raises(ClientError, match="Inference Component Name header is required"):
        account.invoke(endpoint)
    with pytest.raises(ClientError, match="not found on endpoint"):
        greeting(account, endpoint, "no-such-component")


def test_without_copies_there_is_no_capacity_until_some_are_added(account: Account, endpoint: str) -> None:
    component = create(account, endpoint, 0, ModelName=account.model())
    wait(account, component)

    with pytest.raises(ClientError, match="has no capacity to process this request"):
        greeting(account, endpoint, component)
    assert metric("NoCapacityInvocationFailures", {"InferenceComponentName": component}) == 1

    for copies in (1, 0):
        account.sagemaker.update_inference_component_runtime_config(
            InferenceComponentName=component, DesiredRuntimeConfig={"CopyCount": copies}
        )
        assert wait(account, component)["RuntimeConfig"]["CurrentCopyCount"] == copies
        if copies:
            assert greeting(account, endpoint, component) == "hello"
    with pytest.raises(ClientError, match="has no capacity"):
        greeting(account, endpoint, component)


def test_an_update_exchanges_the_model_and_a_failed_one_does_not(account: Account, endpoint: str) -> None:
    component = create(account, endpoint, ModelName=account.model(GREETING="old"))
    wait(account, component)

    def update(model: str) -> dict[str, Any]:
        account.sagemaker.update_inference_component(
            InferenceComponentName=component,
            Specification={"ModelName": model, "ComputeResourceRequirements": COMPUTE},
        )
        return wait(account, component)

    failed = update(account.model("import nothing_of_this_name"))
    assert failed["InferenceComponentStatus"] == "InService"
    assert "nothing_of_this_name" in failed["FailureReason"]
    assert greeting(account, endpoint, component) == "old"
    assert "FailureReason" not in update(account.model(GREETING="new"))
    assert greeting(account, endpoint, component) == "new"


def test_a_deleted_component_is_gone_and_an_endpoint_with_one_cannot_be_deleted(account: Account) -> None:
    variant = {"VariantName": "AllTraffic", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    config = account.config_of(variant, ExecutionRoleArn=account.role(READ, PULL, LOG))
    endpoint = account.in_service(account.endpoint_of(config))
    component = create(account, endpoint, ModelName=account.model())
    wait(account, component)

    with pytest.raises(ClientError, match=f"with inference components: {component}"):
        account.sagemaker.delete_endpoint(EndpointName=endpoint)
    account.sagemaker.delete_inference_component(InferenceComponentName=component)
    with pytest.raises(ClientError, match="Could not find inference component"):
        account.sagemaker.describe_inference_component(InferenceComponentName=component)
    account.sagemaker.delete_endpoint(EndpointName=endpoint)


def test_components_take_an_endpoint_without_models_and_a_role(account: Account) -> None:
    real_time = account.in_service(account.endpoint(account.model()))
    with pytest.raises(ClientError, match="take an endpoint configuration without ModelName"):
        create(account, real_time, ModelName=account.model())
    with pytest.raises(ClientError, match="ExecutionRoleArn is required"):
        account.config_of({"VariantName": "AllTraffic", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1})


def template(role: str, archive: str, copies: int) -> str:
    variant = {"VariantName": "AllTraffic", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    resources: dict[str, Any] = {
        "Config": {
            "Type": "AWS::SageMaker::EndpointConfig",
            "Properties": {"ProductionVariants": [variant], "ExecutionRoleArn": role},
        },
        "Endpoint": {
            "Type": "AWS::SageMaker::Endpoint",
            "Properties": {"EndpointConfigName": {"Fn::GetAtt": ["Config", "EndpointConfigName"]}},
        },
        "Component": {
            "Type": "AWS::SageMaker::InferenceComponent",
            "Properties": {
                "EndpointName": {"Fn::GetAtt": ["Endpoint", "EndpointName"]},
                "VariantName": "AllTraffic",
                "RuntimeConfig": {"CopyCount": copies},
                "Specification": {
                    "Container": {"Image": IMAGE, "ArtifactUrl": archive},
                    "ComputeResourceRequirements": COMPUTE,
                },
            },
        },
        "Target": {
            "Type": "AWS::ApplicationAutoScaling::ScalableTarget",
            "Properties": {
                "MinCapacity": 0,
                "MaxCapacity": 2,
                "ResourceId": "inference-component/reviews",
                "ScalableDimension": "sagemaker:inference-component:DesiredCopyCount",
                "ServiceNamespace": "sagemaker",
            },
        },
        "Policy": {
            "Type": "AWS::ApplicationAutoScaling::ScalingPolicy",
            "Properties": {
                "PolicyName": "out-from-zero",
                "PolicyType": "StepScaling",
                "ScalingTargetId": {"Ref": "Target"},
                "StepScalingPolicyConfiguration": {"AdjustmentType": "ExactCapacity"},
            },
        },
    }
    outputs = {
        "Component": {"Value": {"Ref": "Component"}},
        "Endpoint": {"Value": {"Fn::GetAtt": ["Endpoint", "EndpointName"]}},
        "Target": {"Value": {"Ref": "Target"}},
        "Policy": {"Value": {"Ref": "Policy"}},
    }
    return json.dumps({"Resources": resources, "Outputs": outputs})


def test_cloudformation_makes_changes_and_deletes_components(account: Account) -> None:
    cloudformation = boto3.client("cloudformation")
    name = f"stack-{uuid4().hex[:12]}"
    role = account.role(READ, PULL, LOG)
    archive = account.archive(
        'def model_fn(d): return 1\ndef transform_fn(m, b, c, a): return \'{"greeting": "hello"}\''
    )

    def settled() -> Any:
        (stack,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
        return None if stack["StackStatus"].endswith("_IN_PROGRESS") else stack

    cloudformation.create_stack(StackName=name, TemplateBody=template(role, archive, 1))
    stack = eventually(settled)
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    (component,) = account.sagemaker.list_inference_components(EndpointNameEquals=outputs["Endpoint"])[
        "InferenceComponents"
    ]
    assert component["InferenceComponentArn"] == outputs["Component"]
    assert greeting(account, outputs["Endpoint"], component["InferenceComponentName"]) == "hello"
    assert outputs["Target"] == "inference-component/reviews|sagemaker:inference-component:DesiredCopyCount|sagemaker"
    assert outputs["Policy"].endswith(":resource/sagemaker/inference-component/reviews:policyName/out-from-zero")

    cloudformation.update_stack(StackName=name, TemplateBody=template(role, archive, 0))
    assert eventually(settled)["StackStatus"] == "UPDATE_COMPLETE"
    described = wait(account, component["InferenceComponentName"])
    assert described["RuntimeConfig"]["CurrentCopyCount"] == 0

    cloudformation.delete_stack(StackName=name)
    eventually(lambda: not account.sagemaker.list_inference_components(EndpointNameEquals=outputs["Endpoint"])[
        "InferenceComponents"
    ])  # fmt: skip


def moved(bucket: str, key: str, endpoint_name: str, variant_name: str = "AllTraffic") -> str:
    """Return the template of a component on an endpoint, as the constructs make it."""
    app = cdk.App(analytics_reporting=False, builtin_cloud_formation_validation=False)
    stack = cdk.Stack(app, "Moved", synthesizer=cdk.DefaultStackSynthesizer(generate_bootstrap_version_rule=False))
    variant = RealTime(instance_type="ml.m5.large", instance_count=1, variant_name=variant_name)
    endpoint = Endpoint(stack, "Endpoint", variant=variant, endpoint_name=endpoint_name)
    data = ModelData.from_bucket(s3.Bucket.from_bucket_name(stack, "Models", bucket), key)
    model = Model(stack, "Model", data=data, framework=Framework.custom(IMAGE))
    InferenceComponent(stack, "Component", endpoint=endpoint, model=model, memory_size_mb=512)
    return json.dumps(Template.from_stack(stack).to_json())


def test_a_component_of_the_constructs_moves_with_its_endpoint_and_its_variant(account: Account) -> None:
    cloudformation = boto3.client("cloudformation")
    name = f"stack-{uuid4().hex[:12]}"
    bucket, key = account.archive(ECHO).removeprefix("s3://").split("/", 1)
    first, second = (f"Moved-{uuid4().hex[:12]}" for _ in range(2))

    def there(status: str, endpoint: str) -> str:
        """Wait for the stack and return the one component on the endpoint."""

        def settled() -> Any:
            (stack,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
            return None if stack["StackStatus"].endswith("_IN_PROGRESS") else stack

        stack = eventually(settled, 90)
        assert stack["StackStatus"] == status, stack
        found = account.sagemaker.list_inference_components(EndpointNameEquals=endpoint)["InferenceComponents"]
        (component,) = [each["InferenceComponentName"] for each in found]
        assert greeting(account, endpoint, component) == "hello"
        return str(component)

    def update(*place: str) -> None:
        template = moved(bucket, key, *place)
        cloudformation.update_stack(StackName=name, TemplateBody=template, Capabilities=["CAPABILITY_IAM"])

    template = moved(bucket, key, first)
    cloudformation.create_stack(StackName=name, TemplateBody=template, Capabilities=["CAPABILITY_IAM"])
    old = there("CREATE_COMPLETE", first)
    update(second)
    new = there("UPDATE_COMPLETE", second)
    update(second, "Blue")
    newest = there("UPDATE_COMPLETE", second)

    assert len({old, new, newest}) == 3
    assert not account.sagemaker.list_inference_components(EndpointNameEquals=first)["InferenceComponents"]
    described = account.sagemaker.describe_inference_component(InferenceComponentName=newest)
    assert described["VariantName"] == "Blue"
    cloudformation.delete_stack(StackName=name)
    eventually(lambda: not account.sagemaker.list_endpoints(NameContains=second)["Endpoints"])


def test_scaling_is_said_to_be_recorded_only() -> None:
    assert {"AWS::ApplicationAutoScaling::ScalableTarget", "AWS::ApplicationAutoScaling::ScalingPolicy"} <= set(
        RECORDED_ONLY
    )
