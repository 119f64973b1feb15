"""Permissions of trainings and promotions, taken away one by one: each of them is missed.

Of the state machines each state that needs one is run by itself, as it was deployed and with its state machine's role,
so that none waits for those before it. That they do what they should with all permissions, other tests show.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any
from uuid import uuid4

import boto3
import pytest

from sm_client import ApiError
from tests.permissions import denied, role_of_function, role_of_state_machine, without
from tests.sagemaker_account import eventually
from tests.trainings.states import System, ended

pytestmark = pytest.mark.e2e


def says_that_it_is_denied(words: str, action: str) -> bool:
    return "not authorized" in words and action in words


@pytest.mark.parametrize(
    ("machine", "state", "actions"),
    [
        (
            "Training",
            "TrainModel",
            [
                "events:DescribeRule",
                "events:PutRule",
                "events:PutTargets",
                "iam:PassRole",
                "sagemaker:AddTags",
                "sagemaker:CreateTrainingJob",
                "sagemaker:DescribeTrainingJob",
            ],
        ),
        ("Training", "PackageAndEvaluate", ["sagemaker:CreateProcessingJob", "sagemaker:DescribeProcessingJob"]),
        ("Training", "RegisterModel", ["sagemaker:CreateModelPackage"]),
        ("Training", "RejectModel", ["sagemaker:UpdateModelPackage"]),
        ("Training", "RemoveArchive", ["s3:DeleteObject"]),
        ("Training", "AnnounceFailure", ["sns:Publish"]),
        ("Training", "PromoteModel", ["states:DescribeExecution", "states:StartExecution", "states:StopExecution"]),
        ("Promotion", "CreateModel", ["iam:PassRole", "sagemaker:CreateModel"]),
        ("Promotion", "CreateEndpointConfig", ["sagemaker:CreateEndpointConfig"]),
        ("Promotion", "UpdateEndpoint", ["sagemaker:UpdateEndpoint"]),
        ("Promotion", "DescribeEndpoint", ["sagemaker:DescribeEndpoint"]),
        ("Promotion", "RememberModel", ["ssm:PutParameter"]),
        ("Promotion", "TellFailure", ["sns:Publish"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_state_needs_each_permission(system: System, machine: str, state: str, actions: list[str]) -> None:
    role, variables = role_of_state_machine(system.machine(machine)), system.variables(machine)
    for action in actions:
        with without(role, action), system.running(machine, state, variables) as execution:
            found = ended(execution)

        assert found["status"] == "FAILED", action
        assert says_that_it_is_denied(found["cause"], action), found["cause"]


@pytest.mark.parametrize(
    ("state", "kind", "name"),
    [
        ("TrainModel", "Training", lambda given: given["trial"]["name"]),
        ("PackageAndEvaluate", "Processing", lambda given: given["plan"]["evaluation_job"]),
    ],
    ids=["training", "processing"],
)
def test_a_job_is_stopped_with_its_execution_where_that_is_allowed(
    system: System, state: str, kind: str, name: Callable[[Mapping[str, Any]], str]
) -> None:
    role = role_of_state_machine(system.machine("Training"))

    def stopped(lacking: AbstractContextManager[None]) -> str:
        variables = system.training()
        with lacking, system.running("Training", state, variables) as execution:
            eventually(lambda: _job(kind, name(variables)))
            boto3.client("stepfunctions").stop_execution(executionArn=execution)
            job = eventually(lambda: _ended_job(kind, name(variables)), seconds=120)
        return f"{job[f'{kind}JobStatus']}: {job.get('FailureReason')}"

    assert stopped(without(role, f"sagemaker:Stop{kind}Job")) == "Completed: None"
    assert stopped(nullcontext()) == "Stopped: None"


def _job(kind: str, name: str) -> dict[str, Any] | None:
    """Return what SageMaker says of a job; None as long as there is no such job."""
    client = boto3.client("sagemaker")
    describe = getattr(client, f"describe_{kind.lower()}_job")
    try:
        return dict(describe(**{f"{kind}JobName": name}))
    except client.exceptions.ClientError:  # ResourceNotFound, or for some kinds ValidationException
        return None


def _ended_job(kind: str, name: str) -> dict[str, Any] | None:
    job = _job(kind, name)
    return job if job and job[f"{kind}JobStatus"] in ("Completed", "Failed", "Stopped") else None


@pytest.mark.parametrize(
    ("function", "event", "actions"),
    [
        (
            "TrainingPromotionInService",
            {},
            ["sagemaker:DescribeEndpoint", "sagemaker:DescribeEndpointConfig", "sagemaker:DescribeModel"],
        ),
        (
            "TrainingPromotionInService",
            {"after_deployments_of": "TextClassification-dev"},
            ["cloudformation:DescribeStacks"],
        ),
        ("TrainingPromotionCleanUp", {}, ["sagemaker:ListEndpointConfigs", "sagemaker:ListModels"]),
        (
            "TrainingPromotionPlan",
            {"execution": "a", "request": {"rollback": True}},
            ["ssm:GetParameter", "states:ListExecutions"],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_function_needs_each_permission(
    system: System, function: str, event: dict[str, Any], actions: list[str]
) -> None:
    role = role_of_function(system.function(function))
    for action in actions:
        with without(role, action):
            answer = system.call(function, {**event, "state_machine": system.machine("Promotion")})
        assert says_that_it_is_denied(answer["errorMessage"], action), answer


def test_what_a_promotion_left_is_deleted_with_the_permission_to(system: System) -> None:
    client, role = boto3.client("sagemaker"), role_of_function(system.function("TrainingPromotionCleanUp"))
    plan = system.promotion()["plan"]
    in_service = system.call("TrainingPromotionInService", {})["model_data"]
    model = plan["create_model"]
    client.create_model(**{**model, "PrimaryContainer": {**model["PrimaryContainer"], "ModelDataUrl": in_service}})
    client.create_endpoint_config(**plan["create_endpoint_config"])

    for action in ("sagemaker:DeleteEndpointConfig", "sagemaker:DeleteModel"):
        with without(role, action):
            answer = system.call("TrainingPromotionCleanUp", {})
        assert says_that_it_is_denied(answer["errorMessage"], action), answer

    # The configuration has gone when the model could not.
    assert system.call("TrainingPromotionCleanUp", {}) == {"configs": [], "models": [plan["name"]]}


def test_what_remembers_is_made_and_deleted_with_the_permission_to(system: System) -> None:
    s3, ssm, functions = boto3.client("s3"), boto3.client("ssm"), boto3.client("lambda")
    role = role_of_function(system.function("PromotedModelCurrentModel"))
    plan = functions.get_function_configuration(FunctionName=system.function("TrainingPromotionPlan"))
    name = plan["Environment"]["Variables"]["PARAMETER_NAME"]

    def asked(request_type: str) -> dict[str, Any]:
        """Return what the function tells CloudFormation."""
        answer = {"Bucket": system.bucket, "Key": f"trainings/work/{uuid4().hex}.json"}
        event = {
            "RequestType": request_type,
            "ResponseURL": s3.generate_presigned_url("put_object", Params=answer),
            "ResourceProperties": {"ParameterName": name, "InitialModelDataUrl": "s3://b/k", "NamePrefix": "nobodys"},
            **dict.fromkeys(("StackId", "RequestId", "LogicalResourceId"), "any"),
        }
        assert system.call("PromotedModelCurrentModel", event) is None
        return dict(json.loads(s3.get_object(**answer)["Body"].read()))

    def names() -> list[str]:
        return [each["Name"] for each in ssm.describe_parameters()["Parameters"] if each["Name"] == name]

    with without(role, "ssm:DeleteParameter"):
        assert asked("Delete")["Status"] == "FAILED"
    assert names() == [name]
    assert asked("Delete")["Status"] == "SUCCESS"
    assert names() == []
    with without(role, "ssm:PutParameter"):
        assert asked("Update")["Status"] == "FAILED"
    assert names() == []
    assert asked("Update")["Data"] == {"ModelDataUrl": "s3://b/k"}
    assert names() == [name]


def test_an_upload_that_failed_is_taken_back_with_the_permission_to(system: System) -> None:
    text = "a long text " * 800
    rows = b"".join(
        json.dumps({"text": f"{number} {text}", "label": "good"}).encode() + b"\n" for number in range(1000)
    )
    key = system.put("datasets/permissions/large.jsonl", rows)
    plan = system.call("TrainingPlan", {"training_id": uuid4().hex[:12], "request": {"dataset": key}})
    parts = boto3.client("s3").get_object(Bucket=system.bucket, Key=plan["parts"])["Body"].read()
    part = json.loads(parts)[0]
    missing = {**part["pieces"][0], "key": "datasets/permissions/missing.jsonl"}
    event = {"plan": plan, "part": {**part, "pieces": [*part["pieces"], missing]}}

    with without(role_of_function(system.function("TrainingCheckPart")), "s3:AbortMultipartUpload"):
        answer = system.call("TrainingCheckPart", event)

    assert "s3:AbortMultipartUpload" in answer["errorMessage"], answer
    answer = system.call("TrainingCheckPart", event)
    assert "s3:AbortMultipartUpload" not in answer["errorMessage"], answer


def test_why_a_training_failed_is_told_with_the_permission_to_look(system: System) -> None:
    name, client = system.function("ApiReadTraining"), system.stack.client()
    training = client.train("datasets/nothing-there/")
    *_, over = client.watch_training(training, timeout_s=60)
    assert over.state == "PlanTraining"

    with without(role_of_function(name), "states:GetExecutionHistory"), pytest.raises(ApiError) as refusal:
        client.training(training.training_id)

    def told() -> bool:
        client.training(training.training_id)  # since MiniStack keeps late lines for the next call's log
        return denied(name, "states:GetExecutionHistory")

    assert refusal.value.status == 500
    eventually(told)
