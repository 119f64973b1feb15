"""The custom resource that takes the rules from a VPC's default security group, which lets everything out.

CloudFormation cannot: https://docs.aws.amazon.com/vpc/latest/userguide/default-security-group.html
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from text_classification.gateways.cloudformation import answer
from text_classification.handlers.telemetry import logger, tracer

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

_NOT_THERE = "InvalidPermission.NotFound"

_ec2 = boto3.client("ec2")
_group_id = os.environ["SECURITY_GROUP_ID"]


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
def handler(event: Mapping[str, Any], _context: LambdaContext) -> None:
    """Take the rules away, and tell CloudFormation. When the resource is deleted they stay away: the VPC goes, too."""
    problem = None
    if event["RequestType"] != "Delete":
        try:
            _close()
        except (BotoCoreError, ClientError) as error:
            logger.exception("the default security group was not closed")
            problem = str(error)
    answer(event, physical_id=f"{_group_id}/closed", problem=problem)


def _close() -> None:
    """Revoke what AWS gives every default security group; what somebody added is theirs."""
    inward: Any = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": _group_id}]}
    outward: Any = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    for revoke, permission in (
        (_ec2.revoke_security_group_ingress, inward),
        (_ec2.revoke_security_group_egress, outward),
    ):
        try:
            revoke(GroupId=_group_id, IpPermissions=[permission])
        except ClientError as error:
            if error.response["Error"]["Code"] != _NOT_THERE:
                raise
