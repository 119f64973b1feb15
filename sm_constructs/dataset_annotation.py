"""The state machine that annotates a data set."""

from __future__ import annotations

import jsii
from aws_cdk import Aws, Duration, RemovalPolicy, Size
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as stepfunctions
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from sm_constructs._function_settings import FunctionSettings
from sm_constructs._log_groups import log_group
from sm_constructs._validation import Problems
from sm_constructs.lambda_platform import LambdaPlatform
from sm_constructs.preprocessing import TextPreprocessor
from sm_constructs.storage import ArtifactStore

_TIMEOUT = Duration.minutes(15)
_ATTEMPTS = 4


@jsii.implements(stepfunctions.IItemReader)
class _PlanReader:
    """Reads the plan. The CDK's own reader asks for permission to read the whole bucket."""

    def __init__(self, bucket: s3.IBucket) -> None:
        self._bucket = bucket

    @property
    def bucket(self) -> s3.IBucket:
        return self._bucket

    @property
    def bucket_name_path(self) -> None:
        return None

    @property
    def max_items(self) -> None:
        return None

    @property
    def resource(self) -> str:
        return f"arn:{Aws.PARTITION}:states:::s3:getObject"

    def provide_policy_statements(self) -> list[iam.PolicyStatement]:
        return []

    def render(self, query_language: stepfunctions.QueryLanguage | None = None) -> object:  # noqa: ARG002
        return {
            "Resource": self.resource,
            "ReaderConfig": {"InputType": "JSON"},
            "Parameters": {"Bucket": self._bucket.bucket_name, "Key.$": "$.plan"},
        }

    def validate_item_reader(self) -> list[str]:
        return []


class DatasetAnnotation(Construct):
    """Define a state machine that annotates a data set in S3, many parts of it at the same time.

    It is started with ``{"dataset": "datasets/reviews/", "output": "datasets/annotated/reviews/"}``: an object with
    JSON lines ``{"text": "…", …}``, or a prefix of such objects. It writes the same lines in the same order with
    their ``annotations``, as :class:`TextPreprocessor` describes them, to objects named after those they come from,
    ``reviews-00000.jsonl`` and so on. What cannot be annotated gets ``{"error": "…"}`` and does not stop the rest. A
    line may name its ``language``; else it is detected.

    A distributed map calls one Lambda function for each part, which calls the preprocessor's functions. A part that
    fails is repeated. Started again with the same input it writes the same objects.

    Args:
        scope: The parent construct.
        construct_id: The id within the parent.
        preprocessor: Annotates the texts.
        artifacts: Has the data set and takes the annotated lines, both under ``datasets/``.
        max_concurrency: How many parts are worked on at the same time at most, 1 to 1,000; each of them calls one
            of the preprocessor's functions at a time. When omitted: 10.
        part_size: How much of the data set one part is, 1 KiB to 16 MiB. When omitted: 256 KiB, some thousand short
            texts.
        log_retention: How long logs are kept. When omitted: one month.
        removal_policy: What happens to the logs when the stack is deleted. When omitted: they are kept.
        vpc: The VPC that the functions run in, in its private subnets. When omitted: Lambda's own network.
        encryption_key: The KMS key for environment variables and logs. When omitted: keys that AWS manages.
        lambda_platform: Python version and architecture of the functions. When omitted: Python 3.13 on arm64.

    Attributes:
        state_machine: The state machine.
        functions: What it calls: ``Plan`` and ``AnnotatePart``.

    Raises:
        InvalidPropsError: Anything that is wrong with the arguments, all at once.

    Example: ``docs/examples/dataset_annotation.py``.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        preprocessor: TextPreprocessor,
        artifacts: ArtifactStore,
        max_concurrency: int = 10,
        part_size: Size | None = None,
        log_retention: logs.RetentionDays = logs.RetentionDays.ONE_MONTH,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
        vpc: ec2.IVpc | None = None,
        encryption_key: kms.IKey | None = None,
        lambda_platform: LambdaPlatform | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        platform = lambda_platform or LambdaPlatform()
        part_bytes = int((part_size or Size.kibibytes(256)).to_bytes())

        problems = Problems()
        problems.between("max_concurrency", max_concurrency, 1, 1_000)
        problems.between("part_size", part_bytes, 1_024, 16 * 1_024 * 1_024, "bytes")
        problems.extend(f"lambda_platform: {problem}" for problem in platform.problems())
        problems.raise_for(self)

        settings = FunctionSettings(
            memory_size_mb=512,
            log_retention=log_retention,
            removal_policy=removal_policy,
            vpc=vpc,
            encryption_key=encryption_key,
            lambda_platform=platform,
        )
        environment = {
            "DATASET_BUCKET": artifacts.bucket.bucket_name,
            "PART_BYTES": str(part_bytes),
            **preprocessor.environment,
        }
        plan, annotate_part = (
            settings.function(
                self, name, handler=f"annotate_dataset.{handler}", environment=environment, timeout=_TIMEOUT
            )
            for name, handler in (("Plan", "plan"), ("AnnotatePart", "annotate_part"))
        )
        self.functions = {"Plan": plan, "AnnotatePart": annotate_part}
        artifacts.datasets.grant_list(plan)
        artifacts.datasets.grant_put(plan)
        artifacts.datasets.grant_get(annotate_part)
        artifacts.datasets.grant_put(annotate_part)
        preprocessor.grant_invoke(annotate_part)

        self.state_machine: stepfunctions.StateMachine = stepfunctions.StateMachine(
            self,
            "StateMachine",
            definition_body=stepfunctions.DefinitionBody.from_chainable(
                self._plan_state(plan).next(self._map_state(annotate_part, artifacts, max_concurrency))
            ),
            logs=stepfunctions.LogOptions(
                destination=log_group(
                    self,
                    "LogGroup",
                    retention=log_retention,
                    removal_policy=removal_policy,
                    encryption_key=encryption_key,
                ),
                level=stepfunctions.LogLevel.ALL,
            ),
            tracing_enabled=True,
        )
        artifacts.datasets.grant_get(self.state_machine)  # its plan

    def grant_start_execution(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow to start the state machine."""
        return self.state_machine.grant_start_execution(grantee)

    def _plan_state(self, function: lambda_.IFunction) -> tasks.LambdaInvoke:
        return tasks.LambdaInvoke(
            self,
            "PlanParts",
            lambda_function=function,
            payload_response_only=True,
            retry_on_service_exceptions=True,
        )

    def _map_state(
        self, function: lambda_.IFunction, artifacts: ArtifactStore, max_concurrency: int
    ) -> stepfunctions.DistributedMap:
        annotate = tasks.LambdaInvoke(
            self,
            "AnnotateLines",
            lambda_function=function,
            payload_response_only=True,
            retry_on_service_exceptions=False,
        )
        annotate.add_retry(
            errors=[stepfunctions.Errors.TASKS_FAILED, stepfunctions.Errors.TIMEOUT],
            interval=Duration.seconds(2),
            backoff_rate=3,
            jitter_strategy=stepfunctions.JitterType.FULL,
            max_attempts=_ATTEMPTS - 1,
        )
        return stepfunctions.DistributedMap(
            self,
            "AnnotateParts",
            item_reader=_PlanReader(artifacts.bucket),
            item_selector={
                "part": stepfunctions.JsonPath.object_at("$$.Map.Item.Value"),
                "output": stepfunctions.JsonPath.string_at("$.output"),
            },
            max_concurrency=max_concurrency,
        ).item_processor(annotate)
