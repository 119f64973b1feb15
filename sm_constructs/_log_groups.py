"""How this library makes all of its log groups: with a retention, and readable by whoever may use the key."""

from __future__ import annotations

from aws_cdk import ArnFormat, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

# What services call the log groups that they would make themselves.
# https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-logging.html
_EXECUTION_LOGS = "API-Gateway-Execution-Logs_"
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/AuroraPostgreSQL.CloudWatch.html
_CLUSTER_LOGS = "/aws/rds/cluster/"


def log_group(
    scope: Construct,
    construct_id: str,
    *,
    retention: logs.RetentionDays,
    removal_policy: RemovalPolicy,
    encryption_key: kms.IKey | None,
    execution_logs_of: str | None = None,
    logs_of_cluster: str | None = None,
) -> logs.LogGroup:
    """Define a log group, and let CloudWatch Logs encrypt it with the key.

    Args:
        scope: The parent construct.
        construct_id: The id within the parent.
        retention: How long logs are kept.
        removal_policy: What happens to the logs when the stack is deleted.
        encryption_key: The key; an imported one's policy is its owner's concern. None: CloudWatch's own key.
        execution_logs_of: The stage of a REST API, as ``api-id/stage-name``: API Gateway picks the name of its
            execution log group. When omitted: the log group is somebody else's.
        logs_of_cluster: The Aurora PostgreSQL cluster, by its identifier: RDS picks the name of its log group.
            When omitted: the log group is somebody else's, and CloudFormation names it.
    """
    name, prefix = None, f"{Stack.of(scope).stack_name}-"
    if execution_logs_of is not None:
        name, prefix = f"{_EXECUTION_LOGS}{execution_logs_of}", _EXECUTION_LOGS
    elif logs_of_cluster is not None:
        name, prefix = f"{_CLUSTER_LOGS}{logs_of_cluster}/postgresql", _CLUSTER_LOGS
    if encryption_key is not None:
        # A pattern instead of the ARN, because the key exists before the log group; CloudFormation begins the
        # names that it makes with the stack's.
        _allow_log_groups(scope, encryption_key, prefix)
    return logs.LogGroup(
        scope,
        construct_id,
        encryption_key=encryption_key,
        log_group_name=name,
        removal_policy=removal_policy,
        retention=retention,
    )


def _allow_log_groups(scope: Construct, key: kms.IKey, name_prefix: str) -> None:
    """Let CloudWatch Logs use the key for log groups that are named so; CDK keeps one of equal statements."""
    stack = Stack.of(scope)
    log_groups = stack.format_arn(
        service="logs",
        resource="log-group",
        resource_name=f"{name_prefix}*",
        arn_format=ArnFormat.COLON_RESOURCE_NAME,
    )
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
