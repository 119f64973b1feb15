"""Closing a VPC's default security group: what is gone already is no failure, everything else is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.lambda_src.stand_in import Handler, Reply, StandIn


@pytest.fixture
def close(load: Callable[..., Handler], aws: StandIn) -> Handler:
    aws.scripted["/cloudformation"] = Reply()
    return load("close_security_group", SECURITY_GROUP_ID="sg-1")


def event(aws: StandIn, request_type: str) -> dict[str, Any]:
    return {
        "RequestType": request_type,
        "ResponseURL": f"{aws.url}/cloudformation?signed",
        "StackId": "the-stack",
        "RequestId": "the-request",
        "LogicalResourceId": "Group",
        "ResourceProperties": {},
    }


def refusal(code: str) -> Reply:
    body = f"<Response><Errors><Error><Code>{code}</Code><Message>it says so</Message></Error></Errors></Response>"
    return Reply(status=400, body=body.encode())


def called(aws: StandIn) -> list[dict[str, str]]:
    return [payload for path, payload in aws.calls if path == "/"]


def test_what_aws_gives_the_group_is_taken_away(close: Handler, aws: StandIn) -> None:
    aws.replies.extend([Reply(body=b"<Response/>"), Reply(body=b"<Response/>")])

    close(event(aws, "Create"))

    inward, outward = called(aws)
    assert (inward["Action"], inward["IpPermissions.1.Groups.1.GroupId"]) == ("RevokeSecurityGroupIngress", "sg-1")
    assert (outward["Action"], outward["IpPermissions.1.IpRanges.1.CidrIp"]) == (
        "RevokeSecurityGroupEgress",
        "0.0.0.0/0",
    )
    (answer,) = aws.calls_of("/cloudformation")
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", "sg-1/closed")


def test_a_group_that_is_closed_already_is_fine(close: Handler, aws: StandIn) -> None:
    aws.replies.extend([refusal("InvalidPermission.NotFound")] * 2)

    close(event(aws, "Update"))

    assert len(called(aws)) == 2
    assert [answer["Status"] for answer in aws.calls_of("/cloudformation")] == ["SUCCESS"]


def test_a_refused_call_fails_the_deployment_with_its_reason(close: Handler, aws: StandIn) -> None:
    aws.replies.append(refusal("UnauthorizedOperation"))

    close(event(aws, "Create"))

    (answer,) = aws.calls_of("/cloudformation")
    assert answer["Status"] == "FAILED"
    assert "UnauthorizedOperation" in answer["Reason"]


def test_nothing_is_called_when_the_resource_is_deleted(close: Handler, aws: StandIn) -> None:
    close(event(aws, "Delete"))

    assert called(aws) == []
    assert [answer["Status"] for answer in aws.calls_of("/cloudformation")] == ["SUCCESS"]
