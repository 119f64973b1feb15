"""Permissions of the deployed stack's functions, taken away one by one: each of them is missed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import boto3
import pytest

from tests.jobs.stack import JobsStack
from tests.local_aws import Answer, Stack
from tests.permissions import denied, resource_of, role_of_function, without
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
    return resource_of("TextClassification-dev", "AWS::Lambda::Function", part)


@pytest.mark.parametrize(
    ("function", "action", "call"),
    [
        ("ApiSubmitJob", "dynamodb:PutItem", lambda jobs: jobs.post({"texts": ["a"]})),
        ("ApiSubmitJob", "s3:PutObject", lambda jobs: jobs.post(LARGE)),
        ("ApiReadJob", "dynamodb:BatchGetItem", lambda jobs: jobs.get(uuid4().hex)),
    ],
)
def test_a_call_without_a_permission_fails(
    jobs: JobsStack, function: str, action: str, call: Callable[[JobsStack], Answer]
) -> None:
    name = function_of(function)
    # The first call starts the function, which on a busy machine can take longer than API Gateway waits.
    before = eventually(lambda: answer if (answer := call(jobs)).status != 504 else None)
    with without(role_of_function(name), action):
        refused = call(jobs)

    def told() -> bool:
        call(jobs)  # since MiniStack keeps late lines for the next call's log
        return denied(name, action)

    assert (before.status, refused.status) in ((202, 500), (404, 500))
    eventually(told)


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
    with without(role_of_function(name), *taken):
        answer = jobs.post({"texts": ["这本书很好"]})
        assert answer.status == 202, answer.body
        eventually(lambda: denied(name, taken[0]), seconds=120)


def test_a_file_that_failed_can_only_be_tried_again_with_the_permission_to_forget_it(dev_stack: Stack) -> None:
    name = function_of("QueueSubmitFile")
    with without(role_of_function(name), "dynamodb:DeleteItem", "s3:GetObject"):
        boto3.client("s3").put_object(
            Bucket=dev_stack.outputs["ArtifactBucketName"],
            Key=f"jobs/incoming/{uuid4().hex}.jsonl",
            Body=b'{"texts": ["a"]}\n',
        )
        eventually(lambda: denied(name, "dynamodb:DeleteItem"), seconds=60)


@pytest.mark.parametrize("action", ["sqs:ReceiveMessage", "dynamodb:Query"])
def test_lost_jobs_are_looked_for_with_each_permission(action: str) -> None:
    name = function_of("QueueBuryJobs")
    with without(role_of_function(name), action):
        answer = boto3.client("lambda").invoke(FunctionName=name, Payload=b"{}")

    assert answer.get("FunctionError")
    assert boto3.client("lambda").invoke(FunctionName=name, Payload=b"{}").get("FunctionError") is None


def test_a_data_set_is_found_with_the_permission_to_list_it(dev_stack: Stack) -> None:
    name = function_of("DatasetAnnotationPlan")
    boto3.client("s3").put_object(
        Bucket=dev_stack.outputs["ArtifactBucketName"], Key="datasets/found/a.jsonl", Body=b'{"text": "a"}\n'
    )
    event = json.dumps({"dataset": "datasets/found/", "output": "datasets/annotated/found/"})
    with without(role_of_function(name), "s3:ListBucket"):
        refused = boto3.client("lambda").invoke(FunctionName=name, Payload=event.encode())

    assert refused.get("FunctionError")
    assert boto3.client("lambda").invoke(FunctionName=name, Payload=event.encode()).get("FunctionError") is None
