"""Permissions of the deployed stack's functions, taken away one by one: each of them is missed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import boto3
import pytest

from tests.jobs.stack import JobsStack
from tests.local_aws import Stack
from tests.sagemaker_account import eventually

pytestmark = pytest.mark.e2e

LARGE = {"texts": ["a large request " * 600] * 10}  # more than an item of the table should have


@pytest.fixture(scope="module")
def jobs(dev_stack: Stack) -> Iterator[JobsStack]:
    stack = JobsStack(outputs=dev_stack.outputs, faults_file=Path())
    yield stack
    stack.close()


def function_of(part: str) -> str:
    """Return the name of the function that has a construct's ids in its logical id."""
    pages = (
        boto3.client("cloudformation")
        .get_paginator("list_stack_resources")
        .paginate(StackName="TextClassification-dev")
    )
    name: str
    (name,) = [
        each["PhysicalResourceId"]
        for page in pages
        for each in page["StackResourceSummaries"]
        if each["ResourceType"] == "AWS::Lambda::Function" and part in each["LogicalResourceId"]
    ]
    return name


@contextmanager
def without(function: str, *actions: str) -> Iterator[None]:
    """Take actions from every inline policy of a function's role for a while."""
    iam = boto3.client("iam")
    role = boto3.client("lambda").get_function_configuration(FunctionName=function)["Role"].rpartition("/")[2]
    before = {
        name: iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
    }
    allowed = {action for document in before.values() for each in document["Statement"] for action in _listed(each)}
    assert set(actions) <= allowed, f"{actions} are not all in {sorted(allowed)}"
    for name, document in before.items():
        kept = [
            {**each, "Action": left}
            for each in document["Statement"]
            if (left := [action for action in _listed(each) if action not in actions])
        ]
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps({**document, "Statement": kept}))
    try:
        yield
    finally:
        for name, document in before.items():
            iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(document))


def _listed(statement: Mapping[str, str | list[str]]) -> list[str]:
    action = statement["Action"]
    return [action] if isinstance(action, str) else list(action)


@pytest.mark.parametrize(
    ("function", "action", "call"),
    [
        ("ApiSubmitJob", "dynamodb:PutItem", lambda jobs: jobs.post({"texts": ["a"]})),
        ("ApiSubmitJob", "s3:PutObject", lambda jobs: jobs.post(LARGE)),
        ("ApiReadJob", "dynamodb:BatchGetItem", lambda jobs: jobs.get(uuid4().hex)),
    ],
)
def test_a_call_without_a_permission_fails(
    jobs: JobsStack, function: str, action: str, call: Callable[[JobsStack], object]
) -> None:
    name = function_of(function)
    before = call(jobs)
    with without(name, action):
        refused = call(jobs)

    assert (before.status, refused.status) in ((202, 500), (404, 500))  # type: ignore[attr-defined]
    assert _denied(name, action)


@pytest.mark.parametrize(
    ("function", "taken"),
    [
        ("QueueConsumeJobs", ["dynamodb:UpdateItem"]),
        # What a job that failed comes back after is said by its message's visibility.
        ("QueueConsumeJobs", ["sqs:ChangeMessageVisibility", "sagemaker:InvokeEndpoint"]),
        ("QueueAnnounceJobs", ["sns:Publish"]),
        ("QueueAnnounceJobs", ["events:PutEvents"]),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_working_on_a_job_needs_each_permission(jobs: JobsStack, function: str, taken: list[str]) -> None:
    name = function_of(function)
    with without(name, *taken):
        answer = jobs.post({"texts": ["这本书很好"]})
        assert answer.status == 202, answer.body
        eventually(lambda: _denied(name, taken[0]), seconds=120)


def test_a_file_that_failed_can_only_be_tried_again_with_the_permission_to_forget_it(dev_stack: Stack) -> None:
    name = function_of("QueueSubmitFile")
    with without(name, "dynamodb:DeleteItem", "s3:GetObject"):
        boto3.client("s3").put_object(
            Bucket=dev_stack.outputs["ArtifactBucketName"],
            Key=f"jobs/incoming/{uuid4().hex}.jsonl",
            Body=b'{"texts": ["a"]}\n',
        )
        eventually(lambda: _denied(name, "dynamodb:DeleteItem"), seconds=60)


def test_dead_letters_are_looked_at_with_the_permission_to_receive_them() -> None:
    name = function_of("QueueBuryJobs")
    with without(name, "sqs:ReceiveMessage"):
        answer = boto3.client("lambda").invoke(FunctionName=name, Payload=b"{}")

    assert answer.get("FunctionError")
    assert boto3.client("lambda").invoke(FunctionName=name, Payload=b"{}").get("FunctionError") is None


def test_a_data_set_is_found_with_the_permission_to_list_it(dev_stack: Stack) -> None:
    name = function_of("DatasetAnnotationPlan")
    boto3.client("s3").put_object(
        Bucket=dev_stack.outputs["ArtifactBucketName"], Key="datasets/found/a.jsonl", Body=b'{"text": "a"}\n'
    )
    event = json.dumps({"dataset": "datasets/found/", "output": "datasets/annotated/found/"})
    with without(name, "s3:ListBucket"):
        refused = boto3.client("lambda").invoke(FunctionName=name, Payload=event.encode())

    assert refused.get("FunctionError")
    assert boto3.client("lambda").invoke(FunctionName=name, Payload=event.encode()).get("FunctionError") is None


def _denied(function: str, action: str) -> bool:
    """Return whether a function has logged in the last minutes that an action was denied."""
    logs = boto3.client("logs")
    group = boto3.client("lambda").get_function_configuration(FunctionName=function)["LoggingConfig"]["LogGroup"]
    began = int((time.time() - 300) * 1_000)
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=began)
    messages = [event["message"] for page in pages for event in page["events"]]
    return any("AccessDenied" in message or "not authorized" in message for message in messages if action in message)
