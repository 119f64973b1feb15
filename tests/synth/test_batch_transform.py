"""BatchTransform: a state machine around SageMaker's own job, with the least permissions."""

from __future__ import annotations

import json
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms

from sm_constructs import (
    ArtifactStore,
    BatchTransform,
    ClassificationApi,
    Endpoint,
    Framework,
    InvalidPropsError,
    LambdaPlatform,
    Model,
    ModelData,
    RealTime,
)
from tests.synth.templates import all_of, only, resources_of, statement_for, text_of

pytestmark = pytest.mark.usefixtures("bundles")

MACHINE, FUNCTION, RULE = "AWS::StepFunctions::StateMachine", "AWS::Lambda::Function", "AWS::Events::Rule"


def make(stack: cdk.Stack, construct_id: str = "Transform", **arguments: Any) -> BatchTransform:
    arguments.setdefault("artifacts", ArtifactStore(stack, f"{construct_id}Artifacts"))
    if "endpoint" not in arguments:
        arguments["endpoint"] = Endpoint.from_endpoint_name(stack, f"{construct_id}Endpoint", "reviews")
        arguments.setdefault(
            "model_roles",
            [iam.Role(stack, f"{construct_id}Model", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))],
        )
    return BatchTransform(stack, construct_id, **arguments)


def states(stack: cdk.Stack) -> dict[str, Any]:
    """Return the states, their references as words."""
    parts = only(stack, MACHINE)["DefinitionString"]["Fn::Join"][1]
    definition = json.loads("".join(part if isinstance(part, str) else "REF" for part in parts))
    assert definition["QueryLanguage"] == "JSONata"
    found: dict[str, Any] = definition["States"]
    return found


def job(stack: cdk.Stack) -> dict[str, Any]:
    arguments: dict[str, Any] = states(stack)["Transform"]["Arguments"]
    return arguments


def allowed(stack: cdk.Stack, role: str) -> set[str]:
    """Return the actions that a role is allowed, by a part of its id, beside logs and traces."""
    found: set[str] = set()
    for name, resource in resources_of(stack).items():
        if resource["Type"] == "AWS::IAM::Policy" and f"{role}Role" in name:
            for statement in resource["Properties"]["PolicyDocument"]["Statement"]:
                action = statement["Action"]
                found |= {action} if isinstance(action, str) else set(action)
    return {action for action in found if not action.startswith(("logs:", "xray:"))}


def test_lines_are_split_joined_with_the_input_and_assembled_by_a_job_of_sagemakers(stack: cdk.Stack) -> None:
    make(stack)

    transform = states(stack)["Transform"]
    assert transform["Resource"] == "arn:REF:states:::sagemaker:createTransformJob.sync"
    arguments = job(stack)
    assert arguments["TransformInput"]["SplitType"] == arguments["TransformOutput"]["AssembleWith"] == "Line"
    assert arguments["TransformInput"]["DataSource"]["S3DataSource"]["S3DataType"] == "ManifestFile"
    assert (arguments["BatchStrategy"], arguments["DataProcessing"]) == ("MultiRecord", {"JoinSource": "Input"})
    assert (arguments["MaxConcurrentTransforms"], arguments["MaxPayloadInMB"]) == (4, 1)
    assert arguments["TransformResources"] == {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1}
    assert "KmsKeyId" not in arguments["TransformOutput"]
    assert transform["TimeoutSeconds"] == 86_400


def test_every_state_is_tried_again_with_jitter_and_all_failures_end_in_one_place(stack: cdk.Stack) -> None:
    make(stack)

    tasks = {name: state for name, state in states(stack).items() if state["Type"] == "Task"}
    assert set(tasks) == {"Plan", "Transform", "Deliver", "Explain", "Tell"}
    for state in tasks.values():
        assert {retry["JitterStrategy"] for retry in state["Retry"]} == {"FULL"}
        assert [caught["ErrorEquals"] for caught in state["Catch"]] == [["States.ALL"]]
    assert {name: tasks[name]["Catch"][0]["Next"] for name in tasks} == {
        "Plan": "Explain",
        "Transform": "Deliver",  # what has results is delivered all the same
        "Deliver": "Explain",
        "Explain": "Tell",
        "Tell": "Failed",
    }
    assert tasks["Explain"]["Next"] == "Tell"


def test_every_state_is_reached_and_goes_on_to_one_that_there_is(stack: cdk.Stack) -> None:
    make(stack)

    found = states(stack)
    following = {
        value
        for state in found.values()
        for part in (state, *state.get("Choices", ()), *state.get("Catch", ()))
        for key, value in part.items()
        if key in ("Next", "Default")
    }
    assert following == set(found) - {"Begin"}


def test_it_is_logged_and_traced_without_its_data(stack: cdk.Stack) -> None:
    make(stack)

    machine = only(stack, MACHINE)
    assert machine["LoggingConfiguration"]["Level"] == "ALL"
    assert "IncludeExecutionData" not in machine["LoggingConfiguration"]
    assert machine["TracingConfiguration"] == {"Enabled": True}


def test_the_options_reach_the_job(stack: cdk.Stack) -> None:
    key = kms.Key(stack, "Key")
    artifacts = ArtifactStore(stack, "Store", encryption_key=kms.Key(stack, "Data"))
    make(
        stack,
        artifacts=artifacts,
        instance_type="ml.c6i.2xlarge",
        instance_count=3,
        max_concurrent_transforms=8,
        max_payload=cdk.Size.mebibytes(6),
        max_attempts=2,
        job_timeout=cdk.Duration.hours(2),
        encryption_key=key,
        removal_policy=cdk.RemovalPolicy.DESTROY,
        lambda_platform=LambdaPlatform(python="3.12", architecture="x86_64"),
    )

    arguments = job(stack)
    assert (arguments["MaxConcurrentTransforms"], arguments["MaxPayloadInMB"]) == (8, 6)
    assert arguments["TransformResources"] == {
        "InstanceType": "ml.c6i.2xlarge",
        "InstanceCount": 3,
        "VolumeKmsKeyId": "REF",
    }
    assert arguments["TransformOutput"]["KmsKeyId"] == "REF"
    assert states(stack)["Transform"]["TimeoutSeconds"] == 7_200
    assert states(stack)["IsItWorthAnotherTry"]["Choices"][0]["Condition"] == "{% $failures < 2 %}"
    functions = [each["Properties"] for each in all_of(stack, FUNCTION)]
    assert {each["Environment"]["Variables"]["MAX_LINE_BYTES"] for each in functions} == {str(6 * 1024 * 1024)}
    assert {each["Runtime"] for each in functions} == {"python3.12"}
    assert all("KmsKeyArn" in each for each in functions)
    assert {"kms:CreateGrant", "kms:DescribeKey"} <= allowed(stack, "StateMachine")
    (grant,) = [
        statement
        for policy in all_of(stack, "AWS::IAM::Policy")
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if "kms:CreateGrant" in statement["Action"]
    ]
    assert (grant["Action"], grant["Condition"]) == (
        "kms:CreateGrant",
        {"Bool": {"kms:GrantIsForAWSResource": "true"}},
    )


def test_instances_with_storage_of_their_own_get_no_volume_key(stack: cdk.Stack) -> None:
    make(stack, instance_type="ml.g5.xlarge", encryption_key=kms.Key(stack, "Key"))

    assert "VolumeKmsKeyId" not in job(stack)["TransformResources"]
    assert "kms:CreateGrant" not in allowed(stack, "StateMachine")


def test_each_role_is_allowed_its_part_alone(stack: cdk.Stack) -> None:
    make(stack)

    read, write = {"s3:GetObject", "s3:ListBucket"}, {"s3:PutObject", "s3:AbortMultipartUpload"}
    assert allowed(stack, "TransformPlan") == {
        *read,
        *write,
        "sagemaker:DescribeEndpoint",
        "sagemaker:DescribeEndpointConfig",
    }
    assert allowed(stack, "TransformDeliver") == {*read, *write, "s3:DeleteObject"}
    assert allowed(stack, "TransformExplain") == set()
    assert allowed(stack, "StateMachine") == {
        "lambda:InvokeFunction",
        "sagemaker:AddTags",
        "sagemaker:CreateTransformJob",
        "sagemaker:DescribeTransformJob",
        "sagemaker:ListTags",
        "sagemaker:StopTransformJob",
        "events:DescribeRule",
        "events:PutRule",
        "events:PutTargets",
        "sns:Publish",
    }


def test_jobs_are_made_under_names_that_no_other_construct_has(stack: cdk.Stack) -> None:
    make(stack, "One")
    make(stack, "Two")

    prefixes = {each["Properties"]["Environment"]["Variables"]["JOB_PREFIX"] for each in all_of(stack, FUNCTION)}
    assert len(prefixes) == 2
    assert all(len(prefix) <= 20 and prefix == prefix.lower() for prefix in prefixes)
    resources = text_of(stack)
    assert all(f":transform-job/{prefix}-*" in resources for prefix in prefixes)
    assert "undefined" not in resources


def test_only_what_is_between_inputs_and_results_may_be_deleted(stack: cdk.Stack) -> None:
    make(stack)

    assert statement_for(stack, "s3:DeleteObject")["Resource"]["Fn::Join"][1][-1] == "/transform/work/*"


def test_the_role_of_the_endpoints_model_may_read_inputs_and_write_results(
    stack: cdk.Stack, model_directory: Any
) -> None:
    model = Model(stack, "Model", data=ModelData.from_directory(model_directory), framework=Framework.scikit_learn())
    variant = RealTime(instance_type="ml.m5.large", instance_count=2)
    make(stack, endpoint=Endpoint(stack, "Endpoint", model=model, variant=variant))

    policies = [
        resource["Properties"]
        for name, resource in resources_of(stack).items()
        if resource["Type"] == "AWS::IAM::Policy" and name.startswith("ModelRole")
    ]
    text = json.dumps(policies)
    assert "/transform/input/*" in text
    assert "/transform/work/*" in text
    assert "/transform/output/*" not in text


def test_by_default_nothing_starts_it(stack: cdk.Stack) -> None:
    make(stack)

    assert not all_of(stack, RULE)


def test_files_that_land_and_a_schedule_start_it(stack: cdk.Stack) -> None:
    make(stack, start_on_upload=True, schedule=events.Schedule.rate(cdk.Duration.days(1)))

    rules = [each["Properties"] for each in all_of(stack, RULE)]
    (upload,) = [each for each in rules if "EventPattern" in each]
    assert upload["EventPattern"]["detail"]["object"] == {
        "key": [{"wildcard": "transform/input/*.jsonl"}, {"wildcard": "transform/input/*.csv"}]
    }
    assert upload["Targets"][0]["InputTransformer"]["InputTemplate"] == '{"input":<detail-object-key>}'
    (schedule,) = [each for each in rules if "ScheduleExpression" in each]
    assert (schedule["ScheduleExpression"], schedule["Targets"][0]["Input"]) == (
        "rate(1 day)",
        '{"input":"transform/input/"}',
    )


def test_functions_run_in_a_vpc(stack: cdk.Stack) -> None:
    make(stack, vpc=ec2.Vpc(stack, "Vpc"))

    own = [each for each in all_of(stack, FUNCTION) if "transform_files" in each["Properties"].get("Handler", "")]
    assert len(own) == 3
    assert all("VpcConfig" in each["Properties"] for each in own)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"instance_type": "m5.large"}, "instance_type is 'm5.large': must be one of SageMaker's"),
        ({"instance_count": 0}, "instance_count is 0: must be from 1 to 100"),
        ({"max_concurrent_transforms": 0}, "max_concurrent_transforms is 0: must be from 1 to 100"),
        ({"max_payload": cdk.Size.kibibytes(1_500)}, "max_payload is 1.46484 MiB: must be whole MiB, at least 1"),
        (
            {"max_payload": cdk.Size.mebibytes(30)},
            "max_payload is 30 MiB with 4 max_concurrent_transforms: together at most 100 MiB",
        ),
        ({"max_attempts": 11}, "max_attempts is 11: must be from 1 to 10"),
        ({"job_timeout": cdk.Duration.minutes(9)}, "job_timeout is 540 seconds: must be from 600 to 432000"),
        ({"model_roles": []}, "model_roles is missing: an endpoint that was made elsewhere"),
        ({"lambda_platform": LambdaPlatform(python="2.7")}, "lambda_platform: python is '2.7'"),
    ],
)
def test_what_aws_would_refuse_is_refused(stack: cdk.Stack, arguments: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidPropsError) as caught:
        make(stack, **arguments)
    assert problem in str(caught.value)


def test_all_problems_are_told_at_once(stack: cdk.Stack) -> None:
    with pytest.raises(InvalidPropsError) as caught:
        make(stack, instance_count=0, max_attempts=0, instance_type="large")
    assert len(caught.value.problems) == 3


def test_the_routes_start_transforms_and_look_at_them(stack: cdk.Stack) -> None:
    transform = make(stack)
    api = ClassificationApi(
        stack, "Api", endpoint=Endpoint.from_endpoint_name(stack, "Endpoint", "reviews"), transform=transform
    )

    assert sorted(api.transform_functions) == ["look", "start"]
    methods = {
        resources_of(stack)[each["Properties"]["ResourceId"]["Ref"]]["Properties"]["PathPart"]: each["Properties"]
        for each in all_of(stack, "AWS::ApiGateway::Method")
    }
    model = methods["transforms"]["RequestModels"]["application/json"]["Ref"]
    assert resources_of(stack)[model]["Properties"]["Schema"]["required"] == ["input"]
    assert (methods["transforms"]["HttpMethod"], methods["{transform_id}"]["HttpMethod"]) == ("POST", "GET")
    assert "RequestModels" not in methods["{transform_id}"]
    assert allowed(stack, "StartTransform") == {"states:StartExecution", "states:DescribeExecution"}
    assert allowed(stack, "ReadTransform") == {
        "states:DescribeExecution",
        "states:GetExecutionHistory",
        "s3:GetObject",
        "s3:ListBucket",
    }
