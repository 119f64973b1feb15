"""What several functions of one construct have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from sm_constructs._function import RuntimeFunction
from sm_constructs.lambda_platform import LambdaPlatform


@dataclass(frozen=True, kw_only=True, slots=True)
class FunctionSettings:
    """Makes functions that differ only in what they do.

    Args:
        memory_size_mb: Memory of each in MB.
        log_retention: How long logs are kept.
        removal_policy: What happens to the logs when the stack is deleted.
        vpc: Where they run. None: in Lambda's own network.
        encryption_key: Encrypts environments and logs. None: keys that AWS manages.
        lambda_platform: Python version and architecture.
    """

    memory_size_mb: int
    log_retention: logs.RetentionDays
    removal_policy: RemovalPolicy
    vpc: ec2.IVpc | None
    encryption_key: kms.IKey | None
    lambda_platform: LambdaPlatform

    def function(
        self,
        scope: Construct,
        construct_id: str,
        *,
        handler: str,
        environment: Mapping[str, str],
        timeout: Duration,
        reserved_concurrent_executions: int | None = None,
        layers: Sequence[str] = ("core",),
    ) -> lambda_.Function:
        """Define a function, which its logs and traces are named after.

        Args:
            scope: The parent construct.
            construct_id: The id within the parent.
            handler: A module of handlers, whose ``handler`` it is; where it has several, ``"module.function"``.
            environment: The handler's own environment variables.
            timeout: How long one call may take.
            reserved_concurrent_executions: How many calls run at the same time at most. When omitted: no own limit.
            layers: Names of the dependency layers. When omitted: the core alone.
        """
        module, _, function = handler.partition(".")
        return RuntimeFunction(
            scope,
            construct_id,
            handler=f"text_classification.handlers.{module}.{function or 'handler'}",
            service=handler.replace("_", "-").replace(".", "-"),
            layers=list(layers),
            environment=environment,
            memory_size_mb=self.memory_size_mb,
            timeout=timeout,
            reserved_concurrent_executions=reserved_concurrent_executions,
            log_retention=self.log_retention,
            removal_policy=self.removal_policy,
            vpc=self.vpc,
            encryption_key=self.encryption_key,
            lambda_platform=self.lambda_platform,
        ).function
