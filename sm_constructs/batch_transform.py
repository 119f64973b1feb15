"""The state machine that labels files in bulk, by SageMaker's batch transform."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from aws_cdk import Duration, RemovalPolicy, Size, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sagemaker as sagemaker
from aws_cdk import aws_sns as sns
from aws_cdk import aws_stepfunctions as stepfunctions
from constructs import Construct

from sm_constructs import _starts as starts
from sm_constructs._function import grant_invoke
from sm_constructs._function_settings import FunctionSettings
from sm_constructs._job_store import job_topic
from sm_constructs._log_groups import log_group
from sm_constructs._names import unique_name
from sm_constructs._states import allow, allow_jobs, allow_volume_key, state_machine
from sm_constructs._transform_states import STATES_AFTER_FAILURES, TransformStates
from sm_constructs._validation import Problems
from sm_constructs.endpoint import instances
from sm_constructs.endpoint.endpoint import Endpoint
from sm_constructs.lambda_platform import LambdaPlatform
from sm_constructs.storage import ArtifactStore

_FUNCTION_TIMEOUT = Duration.minutes(15)  # Lambda's longest
_MEMORY_MB = 1_769  # one processor
_MOST_MEGABYTES = 100  # https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTransformJob.html
_MANAGED_RULE = "StepFunctionsGetEventsForSageMakerTransformJobsRule"
_MEBIBYTE = 1024 * 1024


class BatchTransform(Construct):
    """Define a state machine that labels files in S3 by the model that an endpoint serves, without calling that.

    It is started with ``{"input": "transform/input/reviews/"}``: an object, or a prefix of such objects, with JSON
    lines ``{"text": "…", …}`` or CSV of one text a line, without a header. The results go to the same path under
    ``transform/output/``, or under ``"output"``: the same lines in the same order, each with what the model says, as
    ``SageMakerOutput`` of a JSON object or as further columns. Lines that the model would refuse are left out and
    listed with their reasons in ``<name>.refused.jsonl`` beside the results.

    Results appear when all lines of a file have theirs, and each is about its line. A file with results is done:
    started again, after a failure or because files were added or changed, it goes on with the others. A job that fails
    is tried again with what is left, with pauses, as long as any file gets its results, and a few times more.

    Each job takes the model that the endpoint serves when it begins.

    Args:
        scope: The parent construct.
        construct_id: The id within the parent.
        artifacts: Inputs are under ``transform/input/`` there, results under ``transform/output/``, and what is between
            them under ``transform/work/``. A bucket that was handed in must tell EventBridge of new objects for
            ``start_on_upload``.
        endpoint: The endpoint whose model labels.
        model_roles: The roles of the models that the endpoint may serve; they may then read the inputs and write
            results. When omitted: those of the endpoint's models, which an endpoint made elsewhere does not tell.
        instance_type: What the jobs run on. When omitted: ``"ml.m5.xlarge"``.
        instance_count: How many instances share the files of a job, 1 to 100. When omitted: 1.
        max_concurrent_transforms: How many calls an instance gets at the same time, 1 to 100: as many as it has
            processors. When omitted: 4.
        max_payload: How large a call is at most, and so a line, in whole MiB; times ``max_concurrent_transforms`` 100
            MiB at most. When omitted: 1 MiB.
        max_attempts: How many jobs in a row may bring no results before it has failed, 1 to 10. When omitted: 4.
        job_timeout: How long a job may take, 10 minutes to 5 days. When omitted: 1 day.
        start_on_upload: Whether each ``*.jsonl`` and ``*.csv`` that is put under ``transform/input/`` is labelled by a
            job of its own. When omitted: it is not.
        schedule: When all that is new under ``transform/input/`` is labelled. When omitted: never by itself.
        log_retention: How long logs are kept. When omitted: one month.
        removal_policy: What happens to the logs when the stack is deleted. When omitted: they are kept.
        vpc: The VPC that the functions run in, in its private subnets; from there they reach S3 and SageMaker's API.
            The models run where they always do. When omitted: Lambda's own network.
        encryption_key: The KMS key for the instances' volumes, where they take one, the topic, environment variables
            and logs. When omitted: keys that AWS manages.
        lambda_platform: Python version and architecture of the functions. When omitted: Python 3.13 on arm64.

    Attributes:
        state_machine: The state machine.
        functions: What it calls: ``plan``, ``deliver`` and ``explain``.
        topic: Hears why a transform has failed.
        log_group: The state machine's logs.

    Raises:
        InvalidPropsError: Arguments that AWS would refuse, all of them at once; or the functions' dependencies have
            not been bundled, with the command that does it.

    Example: ``docs/examples/batch_transform.py``.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        artifacts: ArtifactStore,
        endpoint: sagemaker.IEndpoint,
        model_roles: Sequence[iam.IGrantable] = (),
        instance_type: str = "ml.m5.xlarge",
        instance_count: int = 1,
        max_concurrent_transforms: int = 4,
        max_payload: Size | None = None,
        max_attempts: int = 4,
        job_timeout: Duration | None = None,
        start_on_upload: bool = False,
        schedule: events.Schedule | None = None,
        log_retention: logs.RetentionDays = logs.RetentionDays.ONE_MONTH,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
        vpc: ec2.IVpc | None = None,
        encryption_key: kms.IKey | None = None,
        lambda_platform: LambdaPlatform | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        platform = lambda_platform or LambdaPlatform()
        payload_mb = (max_payload or Size.mebibytes(1)).to_kibibytes() / 1024
        timeout = job_timeout or Duration.days(1)
        roles = list(model_roles) or _roles_of(endpoint)

        problems = Problems()
        problems.unless(
            instances.is_instance_type(instance_type),
            f"instance_type is '{instance_type}': must be one of SageMaker's, such as ml.m5.xlarge",
        )
        problems.between("instance_count", instance_count, 1, 100)
        problems.between("max_concurrent_transforms", max_concurrent_transforms, 1, 100)
        problems.extend(_payload_problems(payload_mb, max_concurrent_transforms))
        problems.between("max_attempts", max_attempts, 1, 10)
        problems.between("job_timeout", timeout.to_seconds(integral=False), 600, 5 * 86_400, "seconds")
        problems.unless(
            bool(roles),
            "model_roles is missing: an endpoint that was made elsewhere, or has inference components, does not tell "
            "which role its models have",
        )
        problems.extend(f"lambda_platform: {problem}" for problem in platform.problems())
        problems.raise_for(self)

        self._prefix = artifacts.transform
        self._job_prefix = unique_name(self)
        self.topic: sns.Topic = job_topic(self, encryption_key=encryption_key)
        self.log_group: logs.LogGroup = log_group(
            self,
            "LogGroup",
            retention=log_retention,
            removal_policy=removal_policy,
            encryption_key=encryption_key,
        )

        settings = FunctionSettings(
            memory_size_mb=_MEMORY_MB,
            log_retention=log_retention,
            removal_policy=removal_policy,
            vpc=vpc,
            encryption_key=encryption_key,
            lambda_platform=platform,
        )
        environment = {
            "BUCKET_NAME": artifacts.bucket.bucket_name,
            "ENDPOINT_NAME": endpoint.endpoint_name,
            "JOB_PREFIX": self._job_prefix,
            "MAX_LINE_BYTES": str(int(payload_mb) * _MEBIBYTE),
        }
        self.functions: Mapping[str, lambda_.Function] = {
            name: settings.function(
                self,
                name.capitalize(),
                handler=f"transform_files.{name}",
                environment=environment,
                timeout=_FUNCTION_TIMEOUT,
            )
            for name in ("plan", "deliver", "explain")
        }
        self._grant_functions(endpoint)
        for role in roles:
            self._grant_model(role)
        volume_key = None if instances.has_local_storage(instance_type) else encryption_key
        states = TransformStates(
            functions={name: each.function_arn for name, each in self.functions.items()},
            topic_arn=self.topic.topic_arn,
            instance_type=instance_type,
            instance_count=instance_count,
            max_concurrent_transforms=max_concurrent_transforms,
            max_payload_mb=int(payload_mb),
            output_key_arn=artifacts.encryption_key.key_arn if artifacts.encryption_key else None,
            volume_key_arn=volume_key.key_arn if volume_key else None,
            max_attempts=max_attempts,
            job_timeout_seconds=int(timeout.to_seconds()),
        )
        self.state_machine: stepfunctions.StateMachine = state_machine(
            self, "StateMachine", states.definition(), log_group=self.log_group
        )
        self._grant_state_machine(volume_key, encryption_key)
        inputs = self._prefix.under("input/")
        if start_on_upload:
            starts.start_on_upload(self, self.state_machine, uploads=inputs, field="input")
        if schedule is not None:
            starts.start_by_schedule(self, self.state_machine, schedule=schedule, request={"input": inputs.prefix})

    @property
    def environment(self) -> dict[str, str]:
        """What a function has to know to start transforms or look at them, when :meth:`grant_start` or such lets it."""
        return {
            "BUCKET_NAME": self._prefix.bucket.bucket_name,
            "STATE_MACHINE_ARN": self.state_machine.state_machine_arn,
            "STATES_AFTER_FAILURES": ",".join(STATES_AFTER_FAILURES),
        }

    def grant_start(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow to start transforms, and to see whether one was started before."""
        start = self.state_machine.grant_start_execution(grantee)
        return start.combine(self.state_machine.grant_execution(grantee, "states:DescribeExecution"))

    def grant_look(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow to see how far transforms are, and why they have failed."""
        look = self.state_machine.grant_execution(grantee, "states:DescribeExecution", "states:GetExecutionHistory")
        return look.combine(self._prefix.under("work/").grant_read(grantee))

    def _grant_functions(self, endpoint: sagemaker.IEndpoint) -> None:
        inputs, outputs, work = (self._prefix.under(name) for name in ("input/", "output/", "work/"))
        plan, deliver = self.functions["plan"], self.functions["deliver"]
        for function in (plan, deliver):
            inputs.grant_read(function)
            work.grant_read_write(function)
            outputs.grant_write(function)
        outputs.grant_read(plan)
        iam.Grant.add_to_principal(
            grantee=deliver,
            actions=["s3:DeleteObject"],
            resource_arns=[self._prefix.bucket.arn_for_objects(f"{work.prefix}*")],
        )
        iam.Grant.add_to_principal(
            grantee=plan, actions=["sagemaker:DescribeEndpoint"], resource_arns=[endpoint.endpoint_arn]
        )
        # Whichever configuration the endpoint has by then: a deployment or a promotion gives it a new one.
        iam.Grant.add_to_principal(
            grantee=plan,
            actions=["sagemaker:DescribeEndpointConfig"],
            resource_arns=[
                Stack.of(self).format_arn(service="sagemaker", resource="endpoint-config", resource_name="*")
            ],
        )

    def _grant_model(self, role: iam.IGrantable) -> None:
        """Let the model's role, by which the job works, read what it is given and write what it makes of it."""
        self._prefix.under("input/").grant_read(role)
        self._prefix.under("work/").grant_read_write(role)

    def _grant_state_machine(self, volume_key: kms.IKey | None, topic_key: kms.IKey | None) -> None:
        machine = self.state_machine
        for function in self.functions.values():
            grant_invoke(function, machine)
        allow_jobs(machine, "Transform", self._job_prefix)
        allow(machine, ["sns:Publish"], [self.topic.topic_arn])
        if topic_key:
            topic_key.grant(machine, "kms:Decrypt", "kms:GenerateDataKey*")
        if volume_key:
            allow_volume_key(machine, volume_key)


def _payload_problems(megabytes: float, concurrency: int) -> Iterator[str]:
    if megabytes != int(megabytes) or megabytes < 1:
        yield f"max_payload is {megabytes:g} MiB: must be whole MiB, at least 1"
    elif megabytes * concurrency > _MOST_MEGABYTES:
        yield (
            f"max_payload is {megabytes:g} MiB with {concurrency} max_concurrent_transforms: together at most "
            f"{_MOST_MEGABYTES} MiB"
        )


def _roles_of(endpoint: sagemaker.IEndpoint) -> list[iam.IGrantable]:
    """Return the roles of an endpoint's models, each once; none of an endpoint that was made elsewhere."""
    if not isinstance(endpoint, Endpoint):
        return []
    models = [variant.model or endpoint.model for variant in endpoint.variants]
    return list(dict.fromkeys(model.role for model in models if model))
