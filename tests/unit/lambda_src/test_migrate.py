"""The function behind the custom resource: it always answers CloudFormation, with the reason of a failure."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.lambda_src.stand_in import Handler, Reply, StandIn

CLUSTER = "arn:aws:rds:us-east-1:123456789012:cluster:mine"


@pytest.fixture
def migrate(load: Callable[..., Handler], aws: StandIn) -> Handler:
    aws.scripted["/cloudformation"] = Reply()
    return load("migrate", CLUSTER_ARN=CLUSTER, SECRET_ARN="the-secret-arn", DATABASE_NAME="results")  # noqa: S106


def event(aws: StandIn, request_type: str, **properties: str) -> dict[str, Any]:
    return {
        "RequestType": request_type,
        "ResponseURL": f"{aws.url}/cloudformation?signed",
        "StackId": "the-stack",
        "RequestId": "the-request",
        "LogicalResourceId": "Schema",
        "ResourceProperties": {"ServiceToken": "the-function", **properties},
    }


def answer(aws: StandIn) -> dict[str, Any]:
    (answered,) = aws.calls_of("/cloudformation")
    assert isinstance(answered, dict)
    return answered


def answer_sql(aws: StandIn) -> None:
    """Let every statement succeed; each migration is there already, unchanged."""
    aws.scripted |= {
        "/BeginTransaction": Reply(body=b'{"transactionId": "t"}'),
        "/CommitTransaction": Reply(body=b"{}"),
        "/RollbackTransaction": Reply(body=b"{}"),
        "/Execute": Reply(body=b'{"records": []}'),
    }


def test_cloudformation_is_told_that_the_schema_is_there(migrate: Handler, aws: StandIn) -> None:
    answer_sql(aws)

    migrate(event(aws, "Create"))

    assert answer(aws) == {
        "Status": "SUCCESS",
        "PhysicalResourceId": f"{CLUSTER}/results/schema",
        "StackId": "the-stack",
        "RequestId": "the-request",
        "LogicalResourceId": "Schema",
    }
    statements = [call["sql"] for call in aws.calls_of("/Execute")]
    assert any(statement.startswith("-- One row for each text") for statement in statements)
    assert "DROP FUNCTION IF EXISTS classify(text, int)" in statements


def test_the_endpoint_of_the_resource_is_the_one_that_sql_calls(migrate: Handler, aws: StandIn) -> None:
    answer_sql(aws)

    migrate(event(aws, "Update", EndpointName="reviews-7"))

    (function,) = [call["sql"] for call in aws.calls_of("/Execute") if "CREATE OR REPLACE FUNCTION" in call["sql"]]
    assert "aws_sagemaker.invoke_endpoint('reviews-7', max_rows_per_batch, text)" in function


def test_a_schema_that_is_deleted_leaves_the_database_alone(migrate: Handler, aws: StandIn) -> None:
    migrate(event(aws, "Delete"))

    assert answer(aws)["Status"] == "SUCCESS"
    assert [path for path, _ in aws.calls] == ["/cloudformation?signed"]


def test_the_databases_message_is_the_reason_of_the_failure(migrate: Handler, aws: StandIn) -> None:
    answer_sql(aws)
    said = json.dumps({"message": 'ERROR: relation "c" already exists; SQLState: 42P07'}).encode()
    replies = {
        "SELECT 1": Reply(body=b'{"records": []}'),
        "CREATE TABLE classifications": Reply(status=400, error_type="DatabaseErrorException", body=said),
    }
    aws.by_statement = lambda sql: next((reply for part, reply in replies.items() if part in sql), None)

    migrate(event(aws, "Create"))

    assert answer(aws)["Status"] == "FAILED"
    assert answer(aws)["Reason"] == (
        "0001_classifications.sql was rolled back: the database refused the statement: "
        'ERROR: relation "c" already exists; SQLState: 42P07'
    )
    assert aws.calls_of("/RollbackTransaction")


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (
            Reply(status=403, error_type="AccessDeniedException", body=b'{"message": "not authorized"}'),
            "not authorized (AccessDeniedException)",
        ),
        (
            Reply(status=400, error_type="DatabaseErrorException", body=b'{"message": "ERROR: odd"}'),
            "the database refused the statement: ERROR: odd",
        ),
        (
            Reply(body=b'{"records": [[{"arrayValue": {"longValues": [1]}}]]}'),
            "ValueError: a value of a kind that is not read here",
        ),
    ],
)
def test_whatever_goes_wrong_cloudformation_is_told(migrate: Handler, aws: StandIn, reply: Reply, reason: str) -> None:
    aws.scripted["/Execute"] = reply

    migrate(event(aws, "Create"))

    assert answer(aws)["Status"] == "FAILED"
    assert answer(aws)["Reason"].startswith(reason)


def test_a_reason_is_no_longer_than_cloudformation_reads(migrate: Handler, aws: StandIn) -> None:
    said = json.dumps({"message": "关系已经存在" * 2_000}).encode()
    aws.scripted["/Execute"] = Reply(status=400, error_type="DatabaseErrorException", body=said)

    migrate(event(aws, "Create"))

    assert len(json.dumps(answer(aws), ensure_ascii=False).encode()) < 4_096
    assert answer(aws)["Reason"].startswith("the database refused the statement: 关系已经存在")
