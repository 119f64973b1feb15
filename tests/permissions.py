"""Permissions of deployed roles, taken away for a while to see that they are missed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import boto3


def resource_of(stack: str, kind: str, part: str) -> str:
    """Return the physical id of a stack's only resource of a type with a construct's ids in its logical id."""
    pages = boto3.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack)
    name: str
    (name,) = [
        each["PhysicalResourceId"]
        for page in pages
        for each in page["StackResourceSummaries"]
        if each["ResourceType"] == kind and part in each["LogicalResourceId"]
    ]
    return name


def role_of_function(function: str) -> str:
    """Return the name of a function's role."""
    arn: str = boto3.client("lambda").get_function_configuration(FunctionName=function)["Role"]
    return arn.rpartition("/")[2]


def role_of_state_machine(arn: str) -> str:
    """Return the name of a state machine's role."""
    role: str = boto3.client("stepfunctions").describe_state_machine(stateMachineArn=arn)["roleArn"]
    return role.rpartition("/")[2]


@contextmanager
def without(role: str, *actions: str) -> Iterator[None]:
    """Take actions from every inline policy of a role for a while."""
    iam = boto3.client("iam")
    before = {
        name: iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
    }
    allowed = {action for document in before.values() for each in document["Statement"] for action in _listed(each)}
    assert set(actions) <= allowed, f"{actions} are not all in {sorted(allowed)}"
    try:
        for name, document in before.items():
            kept = [
                {**each, "Action": left}
                for each in document["Statement"]
                if (left := [action for action in _listed(each) if action not in actions])
            ]
            if kept:
                lessened = json.dumps({**document, "Statement": kept})
                iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=lessened)
            else:
                iam.delete_role_policy(RoleName=role, PolicyName=name)
        yield
    finally:
        for name, document in before.items():
            iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(document))


def denied(function: str, action: str) -> bool:
    """Return whether a function has logged in the last minutes that an action was denied."""
    logs = boto3.client("logs")
    group = boto3.client("lambda").get_function_configuration(FunctionName=function)["LoggingConfig"]["LogGroup"]
    began = int((time.time() - 300) * 1_000)
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=began)
    messages = [event["message"] for page in pages for event in page["events"]]
    return any("AccessDenied" in message or "not authorized" in message for message in messages if action in message)


def _listed(statement: Mapping[str, str | list[str]]) -> list[str]:
    action = statement["Action"]
    return [action] if isinstance(action, str) else list(action)
