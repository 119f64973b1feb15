"""What a state machine's role must be allowed, task by task."""

from __future__ import annotations

from typing import Any

import pytest

from sm_local.workflows.permissions import of_map, required

HERE = ("000000000000", "us-east-1")
RULE = "arn:aws:events:us-east-1:000000000000:rule/StepFunctionsGetEventsFor"
SAGEMAKER = "arn:aws:sagemaker:us-east-1:000000000000"


@pytest.mark.parametrize(
    ("resource", "arguments", "wanted"),
    [
        (
            "lambda:invoke",
            {"FunctionName": "plan"},
            [("lambda:InvokeFunction", "arn:aws:lambda:us-east-1:000000000000:function:plan")],
        ),
        (
            "lambda:invoke.waitForTaskToken",
            {"FunctionName": "arn:aws:lambda:us-east-1:000000000000:function:plan:live"},
            [("lambda:InvokeFunction", "arn:aws:lambda:us-east-1:000000000000:function:plan:live")],
        ),
        ("sns:publish", {"TopicArn": "arn:topic"}, [("sns:Publish", "arn:topic")]),
        (
            "sqs:sendMessage",
            {"QueueUrl": "https://127.0.0.1:1/000000000000/jobs"},
            [("sqs:SendMessage", "arn:aws:sqs:us-east-1:000000000000:jobs")],
        ),
        (
            "events:putEvents",
            {"Entries": [{}, {"EventBusName": "default"}]},
            [("events:PutEvents", "arn:aws:events:us-east-1:000000000000:event-bus/default")],
        ),
        (
            "dynamodb:getItem",
            {"TableName": "jobs"},
            [("dynamodb:GetItem", "arn:aws:dynamodb:us-east-1:000000000000:table/jobs")],
        ),
        (
            "sagemaker:createEndpointConfig",
            {"EndpointConfigName": "Reviews"},
            [("sagemaker:AddTags", f"{SAGEMAKER}:endpoint-config/reviews")],
        ),
        ("sagemaker:updateEndpoint", {"EndpointName": "Reviews"}, []),
        (
            "sagemaker:createTransformJob.sync",
            {"TransformJobName": "T"},
            [
                ("sagemaker:AddTags", f"{SAGEMAKER}:transform-job/t"),
                *[(f"events:{action}", f"{RULE}SageMakerTransformJobsRule")
                  for action in ("PutTargets", "PutRule", "DescribeRule")],
            ],
        ),
        (
            "states:startExecution.sync:2",
            {"StateMachineArn": "arn:machine"},
            [
                ("states:StartExecution", "arn:machine"),
                *[(f"events:{action}", f"{RULE}StepFunctionsExecutionRule")
                  for action in ("PutTargets", "PutRule", "DescribeRule")],
            ],
        ),
        # These are called with the role's credentials.
        ("aws-sdk:ssm:putParameter", {"Name": "/a"}, []),
    ],
)  # fmt: skip
def test_a_task_needs_permissions(resource: str, arguments: dict[str, Any], wanted: list[tuple[str, str]]) -> None:
    assert list(required(f"arn:aws:states:::{resource}", arguments, *HERE)) == wanted


def test_a_function_as_a_resource_needs_its_permission() -> None:
    function = "arn:aws:lambda:us-east-1:000000000000:function:plan"
    assert list(required(function, {}, *HERE)) == [("lambda:InvokeFunction", function)]


@pytest.mark.parametrize(
    ("reader", "wanted"),
    [
        ({}, []),
        ({"Resource": "arn:aws:states:::s3:getObject"}, [("s3:GetObject", "arn:aws:s3:::b/parts.json")]),
        ({"Resource": "arn:aws:states:::s3:listObjectsV2"}, [("s3:ListBucket", "arn:aws:s3:::b")]),
    ],
)
def test_a_distributed_map_starts_executions_and_reads_its_items(reader: Any, wanted: Any) -> None:
    found = list(of_map(reader, {"Bucket": "b", "Key": "parts.json"}, "arn:machine"))
    assert found == [("states:StartExecution", "arn:machine"), *wanted]
