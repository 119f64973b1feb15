"""What training and processing jobs may do, as AWS documents it.

https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html#sagemaker-roles-createtrainingjob-perms
"""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3_assets as s3_assets
from constructs import Construct

from sm_constructs._states import allow
from sm_constructs.model.bound_data import S3Location
from sm_constructs.model.permissions import grant_vpc
from sm_constructs.storage import ArtifactStore
from sm_constructs.training.script import TrainingScript

_LOG_GROUPS = ("/aws/sagemaker/TrainingJobs", "/aws/sagemaker/ProcessingJobs")


def job_role(
    scope: Construct,
    *,
    artifacts: ArtifactStore,
    script: TrainingScript,
    code: s3_assets.Asset,
    initial_model: S3Location,
    encryption_key: kms.IKey | None,
    subnet_ids: Sequence[str],
    security_groups: Sequence[ec2.ISecurityGroup],
) -> iam.Role:
    """Define the role of the jobs: it reads and writes ``trainings/``, and writes models."""
    stack = Stack.of(scope)
    role = iam.Role(scope, "JobRole", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
    artifacts.trainings.grant_read_write(role)
    artifacts.models.grant_read_write(role)  # reads the one in service
    for location in (initial_model, S3Location(bucket=code.bucket, key=code.s3_object_key)):
        for _ in location.grant_read(role):
            pass
        # SageMaker lists what begins with an input's URL, though it is a single object.
        allow(role, ["s3:ListBucket"], [location.bucket.bucket_arn], StringEquals={"s3:prefix": location.key})
    script.framework.image.grant_pull(scope, role)
    allow(role, ["ecr:GetAuthorizationToken"], ["*"])  # the action has no resources
    groups = [
        stack.format_arn(
            service="logs", resource="log-group", resource_name=f"{name}*", arn_format=ArnFormat.COLON_RESOURCE_NAME
        )
        for name in _LOG_GROUPS
    ]
    allow(role, ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"], groups)
    allow(
        role,
        ["cloudwatch:PutMetricData"],
        ["*"],  # the action has no resources, the namespace limits it
        StringEquals={"cloudwatch:namespace": list(_LOG_GROUPS)},
    )
    if encryption_key:
        # SageMaker attaches the encrypted volumes in the role's name.
        allow(role, ["kms:CreateGrant"], [encryption_key.key_arn], Bool={"kms:GrantIsForAWSResource": "true"})
        allow(role, ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"], [encryption_key.key_arn])
    if security_groups:
        grant_vpc(role, stack, subnet_ids, security_groups)
    return role
