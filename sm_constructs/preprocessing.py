"""The functions that find the words of a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from sm_constructs._function import RuntimeFunction, function_problems, grant_invoke
from sm_constructs._validation import Problems
from sm_constructs.lambda_platform import LambdaPlatform

LANGUAGES = ("en", "zh")
"""The languages whose words can be found, as ISO 639-1 codes."""

_LONGEST_TIMEOUT_SECONDS = 900


class TextPreprocessor(Construct):
    """Define one Lambda function for each language, which finds the words of texts.

    A function is invoked with ``{"texts": ["…"]}`` and answers ``{"annotations": [{"tokens": [{"text", "start",
    "end"}, …]}, …]}``, one entry for each text. ``start`` and ``end`` count characters (Unicode code points)
    of the text as it was sent.

    Each function has a role that may write to the function's own log group and send traces, and nothing else.

    Args:
        scope: The parent construct.
        construct_id: The id within the parent.
        languages: The languages to make functions for, out of ``"en"`` and ``"zh"``. When omitted: both.
        memory_size_mb: Memory of each function in MB, 128 to 10,240. When omitted: 512 MB.
        timeout: How long one call may take, 1 to 900 seconds. When omitted: 20 seconds, which leaves a caller
            behind API Gateway time to answer.
        reserved_concurrent_executions: How many calls of each function run at the same time at most; taken
            out of what the account's other functions share. When omitted: no limit but the account's.
        log_retention: How long logs are kept. When omitted: one month.
        removal_policy: What happens to the logs when the stack is deleted. When omitted: they are kept.
        vpc: The VPC that the functions run in, in its private subnets. When omitted: Lambda's own network.
        encryption_key: The KMS key for environment variables and logs. Its policy is made to let CloudWatch
            Logs use it, which for an imported key is up to its owner. When omitted: keys that AWS manages.
        lambda_platform: Python version and architecture of the functions. When omitted: Python 3.13 on arm64.

    Attributes:
        functions: The functions by language.

    Raises:
        InvalidPropsError: Arguments that Lambda would refuse, all of them at once; or the functions'
            dependencies have not been bundled, with the command that does it.

    Example: ``docs/examples/text_preprocessor.py``.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        languages: Sequence[str] = LANGUAGES,
        memory_size_mb: int = 512,
        timeout: Duration | None = None,
        reserved_concurrent_executions: int | None = None,
        log_retention: logs.RetentionDays = logs.RetentionDays.ONE_MONTH,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
        vpc: ec2.IVpc | None = None,
        encryption_key: kms.IKey | None = None,
        lambda_platform: LambdaPlatform | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        timeout = timeout or Duration.seconds(20)
        platform = lambda_platform or LambdaPlatform()

        problems = Problems()
        problems.unless(bool(languages), "languages is empty: name at least one of 'en', 'zh'")
        problems.unless(len(set(languages)) == len(languages), "languages names one of them twice")
        for language in languages:
            problems.one_of("languages", language, LANGUAGES)
        function_problems(
            problems,
            memory_size_mb=memory_size_mb,
            timeout=timeout,
            longest_timeout_seconds=_LONGEST_TIMEOUT_SECONDS,
            reserved_concurrent_executions=reserved_concurrent_executions,
            lambda_platform=platform,
        )
        problems.raise_for(self)

        self.functions: Mapping[str, lambda_.Function] = {
            language: RuntimeFunction(
                self,
                language.capitalize(),
                handler="text_classification.handlers.annotate.handler",
                service=f"annotate-{language}",
                layers=["core", "words"],
                environment={"LANGUAGE": language},
                memory_size_mb=memory_size_mb,
                timeout=timeout,
                reserved_concurrent_executions=reserved_concurrent_executions,
                log_retention=log_retention,
                removal_policy=removal_policy,
                vpc=vpc,
                encryption_key=encryption_key,
                lambda_platform=platform,
            ).function
            for language in languages
        }

    def grant_invoke(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow to invoke the function of every language."""
        grants = [grant_invoke(function, grantee) for function in self.functions.values()]
        combined = grants[0]
        for grant in grants[1:]:
            combined = combined.combine(grant)
        return combined
