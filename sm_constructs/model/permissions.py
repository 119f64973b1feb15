"""What a model's role may do, as AWS documents it for CreateModel.

https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html#sagemaker-roles-createmodel-perms
"""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam

METRIC_NAMESPACES = ("/aws/sagemaker/Endpoints", "/aws/sagemaker/InferenceComponents")
"""Where SageMaker publishes what the instances use, with the model's role."""

_INTERFACE_ACTIONS = (
    "ec2:CreateNetworkInterface",
    "ec2:CreateNetworkInterfacePermission",
    "ec2:DeleteNetworkInterface",
    "ec2:DeleteNetworkInterfacePermission",
)
_DESCRIBE_ACTIONS = (
    "ec2:DescribeDhcpOptions",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
)


def grant_runtime(grantee: iam.IGrantable, stack: Stack) -> iam.Grant:
    """Allow what every model needs: to write endpoint logs and metrics and to log in to ECR."""
    log_groups = stack.format_arn(
        service="logs",
        resource="log-group",
        resource_name="/aws/sagemaker/Endpoints/*",
        arn_format=ArnFormat.COLON_RESOURCE_NAME,
    )
    logs = iam.Grant.add_to_principal(
        grantee=grantee,
        actions=[
            "logs:CreateLogGroup",
            "logs:CreateLogStream",
            "logs:DescribeLogStreams",
            "logs:PutLogEvents",
        ],
        resource_arns=[log_groups],
    )
    metrics = iam.Grant.add_to_principal(
        grantee=grantee,
        actions=["cloudwatch:PutMetricData"],
        resource_arns=["*"],  # the action has no resources, the namespace limits it
        conditions={"StringEquals": {"cloudwatch:namespace": list(METRIC_NAMESPACES)}},
    )
    login = iam.Grant.add_to_principal(
        grantee=grantee,
        actions=["ecr:GetAuthorizationToken"],
        resource_arns=["*"],  # the action has no resources
    )
    return logs.combine(metrics).combine(login)


def grant_vpc(
    grantee: iam.IGrantable, stack: Stack, subnet_ids: Sequence[str], groups: Sequence[ec2.ISecurityGroup]
) -> iam.Grant:
    """Allow to place network interfaces in these subnets with these security groups, and nowhere else."""
    arns = [
        _ec2_arn(stack, "network-interface", "*"),
        *(_ec2_arn(stack, "subnet", subnet_id) for subnet_id in subnet_ids),
        *(_ec2_arn(stack, "security-group", group.security_group_id) for group in groups),
    ]
    interfaces = iam.Grant.add_to_principal(grantee=grantee, actions=list(_INTERFACE_ACTIONS), resource_arns=arns)
    describe = iam.Grant.add_to_principal(
        grantee=grantee,
        actions=list(_DESCRIBE_ACTIONS),
        resource_arns=["*"],  # the actions have no resources
    )
    return interfaces.combine(describe)


def _ec2_arn(stack: Stack, resource: str, name: str) -> str:
    return stack.format_arn(service="ec2", resource=resource, resource_name=name)
