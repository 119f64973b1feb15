"""CloudFormation: answers that it waits for while it makes a custom resource, and what it does with a stack."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.request import Request, urlopen

from text_classification.gateways.calls import TimeBudget, call_service

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-responses.html
_REASON_CHARACTERS = 800  # of four bytes at most, in a response of 4,096
_TIMEOUT_SECONDS = 20


def answer(
    event: Mapping[str, str],
    *,
    physical_id: str,
    data: Mapping[str, str] | None = None,
    problem: str | None = None,
) -> None:
    """Tell CloudFormation that a custom resource is done.

    Args:
        event: What CloudFormation asked for.
        physical_id: What the resource is called. Another one than before is another resource.
        data: What ``GetAtt`` gives of the resource. When omitted: nothing.
        problem: Why it failed, for whoever deploys. When omitted: it did not.
    """
    response = {
        "Status": "FAILED" if problem else "SUCCESS",
        "PhysicalResourceId": physical_id,
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
        **({"Data": dict(data)} if data else {}),
        **({"Reason": problem[:_REASON_CHARACTERS]} if problem else {}),
    }
    # Signed by CloudFormation for a request without a content type, which urllib would add.
    request = Request(  # noqa: S310 - CloudFormation's own, over HTTPS
        event["ResponseURL"],
        data=json.dumps(response, ensure_ascii=False).encode(),
        method="PUT",
        headers={"Content-Type": ""},
    )
    with urlopen(request, timeout=_TIMEOUT_SECONDS):  # noqa: S310
        pass


def stack_status(client: CloudFormationClient, stack_id: str, budget: TimeBudget) -> str:
    """Return a stack's status, such as ``UPDATE_IN_PROGRESS``. Raises GatewayError.

    Args:
        client: Made with ``budget.client_config()``.
        stack_id: The stack's ARN.
        budget: How long the call may take, repetitions included.
    """
    (stack,) = call_service(lambda: client.describe_stacks(StackName=stack_id), budget)["Stacks"]
    return stack["StackStatus"]
