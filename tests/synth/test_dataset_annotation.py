"""DatasetAnnotation: a distributed map over the parts of a data set, with the least permissions."""

from __future__ import annotations

import json
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms

from sm_constructs import ArtifactStore, DatasetAnnotation, InvalidPropsError, LambdaPlatform, TextPreprocessor
from tests.synth.templates import all_of, only, resources_of

pytestmark = pytest.mark.usefixtures("bundles")


def annotation(stack: cdk.Stack, construct_id: str = "Annotation", **arguments: Any) -> DatasetAnnotation:
    return DatasetAnnotation(
        stack,
        construct_id,
        preprocessor=TextPreprocessor(stack, f"{construct_id}Preprocessor"),
        artifacts=ArtifactStore(stack, f"{construct_id}Artifacts"),
        **arguments,
    )


def definition(stack: cdk.Stack) -> dict[str, Any]:
    """Return the state machine's definition, its references as words."""
    parts = only(stack, "AWS::StepFunctions::StateMachine")["DefinitionString"]["Fn::Join"][1]
    parsed: dict[str, Any] = json.loads("".join(part if isinstance(part, str) else "REF" for part in parts))
    return parsed


def test_the_parts_of_the_plan_are_annotated_by_a_distributed_map(stack: cdk.Stack) -> None:
    annotation(stack)

    states = definition(stack)["States"]
    assert definition(stack)["StartAt"] == "PlanParts"
    assert states["PlanParts"]["Next"] == "AnnotateParts"
    parts = states["AnnotateParts"]
    assert parts["ItemProcessor"]["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    assert parts["ItemReader"]["ReaderConfig"] == {"InputType": "JSON"}
    assert parts["ItemReader"]["Parameters"] == {"Bucket": "REF", "Key.$": "$.plan"}
    assert parts["ItemSelector"] == {"part.$": "$$.Map.Item.Value", "output.$": "$.output"}
    assert parts["MaxConcurrency"] == 10
    (retry,) = parts["ItemProcessor"]["States"]["AnnotateLines"]["Retry"]
    assert (retry["MaxAttempts"], retry["JitterStrategy"]) == (3, "FULL")


def test_it_is_logged_and_traced_without_its_data(stack: cdk.Stack) -> None:
    annotation(stack)

    machine = only(stack, "AWS::StepFunctions::StateMachine")
    assert machine["LoggingConfiguration"]["Level"] == "ALL"
    assert "IncludeExecutionData" not in machine["LoggingConfiguration"]
    assert machine["TracingConfiguration"] == {"Enabled": True}


def test_the_options_arrive(stack: cdk.Stack) -> None:
    annotation(
        stack,
        max_concurrency=7,
        part_size=cdk.Size.mebibytes(1),
        removal_policy=cdk.RemovalPolicy.DESTROY,
        encryption_key=kms.Key(stack, "Key"),
        lambda_platform=LambdaPlatform(python="3.12", architecture="x86_64"),
    )

    own = [
        function["Properties"]
        for function in all_of(stack, "AWS::Lambda::Function")
        if function["Properties"]["Handler"].startswith("text_classification.handlers.annotate_dataset")
    ]
    assert definition(stack)["States"]["AnnotateParts"]["MaxConcurrency"] == 7
    assert [function["Environment"]["Variables"]["PART_BYTES"] for function in own] == ["1048576"] * 2
    assert {function["Runtime"] for function in own} == {"python3.12"}
    assert all("KmsKeyArn" in function for function in own)


def test_data_sets_alone_are_read_and_written(stack: cdk.Stack) -> None:
    annotation(stack)

    policies = {
        name: json.dumps(resource["Properties"]["PolicyDocument"])
        for name, resource in resources_of(stack).items()
        if resource["Type"] == "AWS::IAM::Policy" and name.startswith("Annotation") and "Preprocessor" not in name
    }
    assert all('"/*"' not in document for document in policies.values())  # never the whole bucket
    plan = next(document for name, document in policies.items() if "AnnotationPlan" in name)
    assert "s3:GetObject" not in plan
    machine = next(document for name, document in policies.items() if "StateMachineRole" in name)
    assert "s3:PutObject" not in machine


def test_a_granted_caller_may_start_it(stack: cdk.Stack) -> None:
    role = iam.Role(stack, "Caller", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    machine = annotation(stack)

    assert machine.grant_start_execution(role).success
    resources = [
        each["Properties"]["PolicyDocument"]["Statement"][0]
        for name, each in resources_of(stack).items()
        if each["Type"] == "AWS::IAM::Policy" and name.startswith("Caller")
    ]
    assert [each["Action"] for each in resources] == ["states:StartExecution"]


def test_two_live_in_one_stack(stack: cdk.Stack) -> None:
    annotation(stack, "First")
    annotation(stack, "Second")

    assert len(all_of(stack, "AWS::StepFunctions::StateMachine")) == 2


def test_every_wrong_argument_is_named_at_once(stack: cdk.Stack) -> None:
    with pytest.raises(InvalidPropsError) as caught:
        DatasetAnnotation(
            stack,
            "Annotation",
            preprocessor=TextPreprocessor(stack, "Preprocessor"),
            artifacts=ArtifactStore(stack, "Artifacts"),
            max_concurrency=0,
            part_size=cdk.Size.kibibytes(0),
            lambda_platform=LambdaPlatform(python="2.7"),
        )

    assert list(caught.value.problems) == [
        "max_concurrency is 0: must be from 1 to 1000",
        "part_size is 0 bytes: must be from 1024 to 16777216 bytes",
        "lambda_platform: python is '2.7': must be one of '3.11', '3.12', '3.13', '3.14'",
    ]
