"""A boto3 session whose calls are answered with bytes as AWS sends them, before anything is sent."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders

REGION = "eu-west-1"


class Aws:
    """Answers each operation as told: the last answer again and again. An operation nobody told of fails."""

    def __init__(self) -> None:
        self.session = boto3.Session("AKIATEST", "secret", region_name=REGION)
        self.calls: list[str] = []
        self._answers: dict[str, list[tuple[int, str]]] = {}
        self.session.events.register("before-call", self._note)
        self.session.events.register("before-send", self._answer)  # type: ignore[arg-type] # it may answer

    def say(self, operation: str, *bodies: object, status: int = 200) -> None:
        """Let `operation` be answered with XML (a str) or JSON (anything else), one body after the other."""
        self._answers[operation] = [(status, body if isinstance(body, str) else json.dumps(body)) for body in bodies]

    def deny(self, *operations: str) -> None:
        for operation in operations:
            self.fail(operation, "AccessDeniedException", f"no {operation}")

    def fail(self, operation: str, code: str, message: str = "") -> None:
        """Let an operation of a JSON service fail."""
        self.say(operation, {"__type": code, "message": message}, status=400)

    def fail_in_xml(self, operation: str, code: str, message: str = "") -> None:
        """Let an operation of a query service fail."""
        error = f"<Type>Sender</Type><Code>{code}</Code><Message>{message}</Message>"
        self.say(operation, f"<ErrorResponse><Error>{error}</Error></ErrorResponse>", status=400)

    def _note(self, model: Any, **_rest: object) -> None:
        self.calls.append(model.name)

    def _answer(self, request: AWSPreparedRequest, **_rest: object) -> AWSResponse:
        answers = self._answers[self.calls[-1]]
        status, body = answers.pop(0) if len(answers) > 1 else answers[0]
        return AWSResponse(request.url, status, HTTPHeaders(), _RawBody(body.encode()))


class _RawBody(io.BytesIO):
    def stream(self) -> Iterator[bytes]:
        yield self.read()


def stack_answer(name: str = "Classifier", status: str = "CREATE_COMPLETE", **outputs: str) -> str:
    """Return what CloudFormation answers to DescribeStacks."""
    members = "".join(
        f"<member><OutputKey>{key}</OutputKey><OutputValue>{value}</OutputValue></member>"
        for key, value in outputs.items()
    )
    return (
        f"<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>{name}</StackName>"
        f"<StackStatus>{status}</StackStatus><Outputs>{members}</Outputs>"
        "</member></Stacks></DescribeStacksResult></DescribeStacksResponse>"
    )


def stack_events_answer(*events: tuple[str, str, str, str]) -> str:
    """Return what CloudFormation answers to DescribeStackEvents, for (id, resource, status, reason)."""
    members = "".join(
        f"<member><EventId>{identifier}</EventId><LogicalResourceId>{resource}</LogicalResourceId>"
        f"<ResourceType>AWS::SageMaker::{resource}</ResourceType><ResourceStatus>{status}</ResourceStatus>"
        f"<ResourceStatusReason>{reason}</ResourceStatusReason></member>"
        for identifier, resource, status, reason in events
    )
    return (
        f"<DescribeStackEventsResponse><DescribeStackEventsResult><StackEvents>{members}</StackEvents>"
        "</DescribeStackEventsResult></DescribeStackEventsResponse>"
    )
