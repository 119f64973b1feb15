"""How this library makes all of its log groups: with a retention, and readable by whoever may use the key."""

from __future__ import annotations

from aws_cdk import ArnFormat, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

EXECUTION_LOGS = "API-Gateway-Execution-Logs_"
"""What API Gateway, which picks it, begins the name of an API's execution log group with."""


def log_group(
    scope: Construct,
    construct_id: str,
    *,
    retention: logs.RetentionDays,
    removal_policy: RemovalPolicy,
    encryption_key: kms.IKey | None,
    name: str | None = None,
) -> logs.LogGroup:
    """Define a log group, and let CloudWatch Logs encrypt it with the key.

    Args:
        scope: The parent construct.
        construct_id: The id within the parent.
        retention: How long logs are kept.
        removal_policy: What happens to the logs when the stack is deleted.
        encryption_key: The key; an imported one's policy is its owner's concern. None: CloudWatch's own key.
        name: For a log group whose name its writer picks. When omitted: CloudFormation makes one up.
    """
    if encryption_key is not None:
        _allow_log_groups(scope, encryption_key)
    return logs.LogGroup(
        scope,
        construct_id,
        encryption_key=encryption_key,
        log_group_name=name,
        removal_policy=removal_policy,
        retention=retention,
    )


def _allow_log_groups(scope: Construct, key: kms.IKey) -> None:
    """Let CloudWatch Logs use the key for this stack's log groups; the same statement is added but once."""
    stack = Stack.of(scope)
    # Patterns instead of ARNs: the key exists before the log groups, whose names begin with the stack's.
    log_groups = [
        stack.format_arn(
            service="logs",
            resource="log-group",
            resource_name=f"{name}*",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        for name in (f"{stack.stack_name}-", EXECUTION_LOGS)
    ]
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
    key.add_to_resource_policy(
        iam.PolicyStatement(
            actions=[
                "kms:Decrypt",
                "kms:DescribeKey",
                "kms:Encrypt",
                "kms:GenerateDataKey*",
                "kms:ReEncrypt*",
            ],
            principals=[iam.ServicePrincipal(f"logs.{stack.region}.amazonaws.com")],
            resources=["*"],
            conditions={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": log_groups}},
        )
    )
