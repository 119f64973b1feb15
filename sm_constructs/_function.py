"""How this library makes all of its Lambda functions: the same code, each with its own role and log group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from sm_constructs._log_groups import log_group
from sm_constructs._validation import Problems
from sm_constructs.bundling import code_zip, layer_hash, layer_path
from sm_constructs.lambda_platform import LambdaPlatform

# What Lambda itself does with the role's permissions to attach a function to a VPC:
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions
_NETWORK_INTERFACE_ACTIONS = [
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
]


def function_problems(
    problems: Problems,
    *,
    memory_size_mb: int,
    timeout: Duration,
    longest_timeout_seconds: int,
    reserved_concurrent_executions: int | None,
    lambda_platform: LambdaPlatform,
) -> None:
    """Collect the settings of a function that Lambda would refuse."""
    problems.between("memory_size_mb", memory_size_mb, 128, 10_240, "MB")
    if timeout.is_unresolved():
        problems.add("timeout is known at deployment only: must be known at synth")
    else:
        problems.whole_seconds("timeout", timeout.to_milliseconds() / 1_000, 1, longest_timeout_seconds)
    problems.at_least("reserved_concurrent_executions", reserved_concurrent_executions, 0)
    problems.extend(f"lambda_platform: {problem}" for problem in lambda_platform.problems())


class RuntimeFunction(Construct):
    """Define a Lambda function from ``lambda_src``, with its role and its log group.

    The role may write to that log group, send traces and, in a VPC, attach the function to it; grants add
    whatever else the function needs.

    Args:
        scope: The parent construct.
        construct_id: The id within the parent.
        handler: The dotted path of the handler.
        service: What logs, metrics and traces call the function.
        layers: Names of the dependency layers, of those that :mod:`sm_constructs.bundling` builds.
        environment: The handler's own environment variables.
        memory_size_mb: Memory in MB, which also decides the share of a processor.
        timeout: How long one call may take.
        reserved_concurrent_executions: How many calls run at the same time at most. None: no own limit.
        log_retention: How long logs are kept.
        removal_policy: What happens to the log group when the stack is deleted.
        vpc: Where the function runs. None: in Lambda's own network.
        encryption_key: Encrypts the environment and the logs. None: keys that AWS manages.
        lambda_platform: Python version and architecture.
        model_layer: A zip file with a model of the caller's own, which Lambda unpacks below ``/opt``. None: none.
        snap_start: Whether published versions start from a snapshot.

    Attributes:
        function: The function.
        log_group: Its logs.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        handler: str,
        service: str,
        layers: Sequence[str],
        environment: Mapping[str, str],
        memory_size_mb: int,
        timeout: Duration,
        reserved_concurrent_executions: int | None,
        log_retention: logs.RetentionDays,
        removal_policy: RemovalPolicy,
        vpc: ec2.IVpc | None,
        encryption_key: kms.IKey | None,
        lambda_platform: LambdaPlatform,
        model_layer: Path | None = None,
        snap_start: bool = False,
    ) -> None:
        super().__init__(scope, construct_id)
        # Without this flag a version would not notice that a layer has changed.
        self.node.set_context("@aws-cdk/aws-lambda:recognizeLayerVersion", True)
        self.log_group: logs.ILogGroup = log_group(
            self,
            "LogGroup",
            retention=log_retention,
            removal_policy=removal_policy,
            encryption_key=encryption_key,
        )
        with TemporaryDirectory() as directory:
            self.function: lambda_.Function = lambda_.Function(
                self,
                "Function",
                architecture=lambda_platform.lambda_architecture,
                # Staged into the cloud assembly at once, so the directory need not outlive the constructor.
                code=lambda_.Code.from_asset(str(code_zip(Path(directory)))),
                environment={
                    "POWERTOOLS_LOG_LEVEL": "INFO",
                    "POWERTOOLS_METRICS_NAMESPACE": "TextClassification",
                    "POWERTOOLS_SERVICE_NAME": service,
                    **environment,
                },
                environment_encryption=encryption_key,
                handler=handler,
                layers=[
                    *(_layer(self, name, lambda_platform) for name in layers),
                    *([_model_layer(self, model_layer)] if model_layer else []),
                ],
                log_group=self.log_group,
                memory_size=memory_size_mb,
                reserved_concurrent_executions=reserved_concurrent_executions,
                role=self._role(vpc),
                runtime=lambda_platform.runtime,
                snap_start=lambda_.SnapStartConf.ON_PUBLISHED_VERSIONS if snap_start else None,
                timeout=timeout,
                tracing=lambda_.Tracing.ACTIVE,
                vpc=vpc,
            )

    def _role(self, vpc: ec2.IVpc | None) -> iam.Role:
        # Not AWSLambdaBasicExecutionRole: it may write to every log group of the account.
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        self.log_group.grant_write(role)
        if vpc is not None:
            role.add_to_policy(iam.PolicyStatement(actions=_NETWORK_INTERFACE_ACTIONS, resources=["*"]))
        return role


def grant_invoke(function: lambda_.IFunction, grantee: iam.IGrantable) -> iam.Grant:
    """Allow to invoke just this function or alias; the CDK's own grant adds all of its versions and aliases."""
    return iam.Grant.add_to_principal(
        grantee=grantee, actions=["lambda:InvokeFunction"], resource_arns=[function.function_arn]
    )


def _layer(scope: Construct, name: str, platform: LambdaPlatform) -> lambda_.LayerVersion:
    """Return the stack's layer of that name for the platform; the first function that wants it makes it."""
    stack = Stack.of(scope)
    construct_id = f"Layer-{name}-{platform.key}"
    existing = stack.node.try_find_child(construct_id)
    if isinstance(existing, lambda_.LayerVersion):
        return existing
    return lambda_.LayerVersion(
        stack,
        construct_id,
        # Not the hash of the zip file: compression differs from machine to machine.
        code=lambda_.Code.from_asset(str(layer_path(name, platform)), asset_hash=layer_hash(name, platform)),
        compatible_architectures=[platform.lambda_architecture],
        compatible_runtimes=[platform.runtime],
        description=f"Dependencies of text classification: {name}",
    )


def _model_layer(scope: Construct, content: Path) -> lambda_.LayerVersion:
    return lambda_.LayerVersion(
        scope,
        "ModelLayer",
        code=lambda_.Code.from_asset(str(content)),
        description="A language model",
    )
