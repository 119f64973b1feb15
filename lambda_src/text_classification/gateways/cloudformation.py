"""Answers to CloudFormation, which waits for them while it makes a custom resource."""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.request import Request, urlopen

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
