"""The state machine that turns a data set into a better model in service."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from aws_cdk import ArnFormat, Duration, RemovalPolicy, Stack, Token
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3_assets as s3_assets
from aws_cdk import aws_sagemaker as sagemaker
from aws_cdk import aws_sns as sns
from aws_cdk import aws_stepfunctions as stepfunctions
from constructs import Construct

from sm_constructs import _starts as starts
from sm_constructs._function_settings import FunctionSettings
from sm_constructs._job_store import job_topic
from sm_constructs._log_groups import log_group
from sm_constructs._names import unique_name
from sm_constructs._sources import source_directory
from sm_constructs._states import allow, allow_jobs, allow_volume_key, allow_waiting, state_machine
from sm_constructs._validation import Problems
from sm_constructs.endpoint import Endpoint, instances
from sm_constructs.lambda_platform import LambdaPlatform
from sm_constructs.storage import ArtifactStore
from sm_constructs.training.jobs import JobSettings
from sm_constructs.training.promoted_model import PromotedModel
from sm_constructs.training.promotion import ModelPromotion, promotion_problems
from sm_constructs.training.role import job_role
from sm_constructs.training.script import TrainingScript
from sm_constructs.training.states import STATES_AFTER_FAILURES, Workflow

_DATA_TIMEOUT = Duration.minutes(15)  # Lambda's longest
_TIMEOUT = Duration.minutes(1)
_DATA_MEMORY_MB = 3008
_LONGEST_JOB = Duration.days(28)
_LONGEST_APPROVAL_DAYS = 330  # an execution lives a year, its training included
_LONGEST_KEEP_ALIVE_SECONDS = 3600
_SHORTEST_KEEP_ALIVE_SECONDS = 1
_MOST_TAGS = 48  # of 50, less those that the workflow sets


class TrainingWorkflow(Construct):
    """Define a state machine that checks a data set, trains, measures, registers and promotes a model.

    It is started with ``{"dataset": "datasets/reviews/"}``, to which hyperparameters, trials and more may be added:
    ``docs/training.md`` has all of it. A data set is JSON lines or CSV. It is checked in parallel, before anything is
    trained, and split. The trials are trained in parallel; the one with the best macro-F1 on validation data is
    packaged, measured on test data beside the model in service, and becomes a version in the Model Registry. When it
    is better by the margin that was asked for, and approved where that was asked for, it is promoted
    (:class:`ModelPromotion`).

    Each state repeats what may pass, with jitter. Whatever fails in the end, is told to ``topic`` with its cause, and
    is the cause of the execution. All that an execution made is under ``trainings/<its name>/``.

    Args:
        scope: The parent construct.
        construct_id: The id within the parent.
        artifacts: Data sets are read from ``datasets/``; ``trainings/`` has what executions make, ``models/`` the
            models.
        promoted_model: What remembers the model in service, and what the endpoint's model is made of.
        endpoint: The endpoint that gets better models.
        script: What trains. When omitted: :meth:`TrainingScript.scikit_learn`.
        instance_type: What training runs on. When omitted: ``"ml.m5.xlarge"``.
        evaluation_instance_type: What packaging and measuring run on. When omitted: ``"ml.m5.xlarge"``.
        max_instance_count: The most instances that an execution may ask for to train one model, 1 to 100. When omitted:
            4.
        volume_size_gb: The volume of each instance in GB, 1 to 16,384. When omitted: 30 GB.
        max_runtime: How long a job may run, 1 minute to 28 days. When omitted: 4 hours.
        max_spot_wait: How long a job may wait for spot instances and run on them, at least ``max_runtime``: they cost
            up to 90 % less, and may be taken away. Then both scripts go on from their checkpoints: PyTorch's after its
            last epoch, scikit-learn's with what cross-validation has found. When omitted: on-demand instances.
        keep_alive: How long instances are kept for the next job (a warm pool), up to an hour; they cost as long. Not
            with spot instances. When omitted: they are not kept.
        network_isolation: Whether the containers are cut off from every network. When omitted: they are.
        inter_container_encryption: Whether the instances of a job talk encrypted. When omitted: they do.
        max_concurrent_trials: How many trials are trained at the same time, 1 to 40. When omitted: 3.
        max_trials: How many trials an execution may ask for, 1 to 100. When omitted: 20.
        max_concurrent_parts: How many parts of a data set are checked at the same time, 1 to 1,000. When omitted: 10.
        margin: By how much macro-F1 has to be better, where an execution does not say, 0 to 1. When omitted: 0, which
            means better at all.
        approval: Whether somebody has to approve, where an execution does not say. When omitted: nobody.
        approval_timeout: How long an approval is waited for, 1 minute to 330 days; then the model is rejected. When
            omitted: 7 days.
        start_on_upload: Whether a ``*.jsonl`` or ``*.csv`` that lands under ``datasets/incoming/`` starts an
            execution. When omitted: it does not.
        schedule: When executions start by themselves, with ``schedule_input``. When omitted: they do not.
        schedule_input: What they start with, as the body of ``POST /v1/trainings``.
        poll_interval: How often the endpoint is looked at while it moves. When omitted: 15 seconds.
        tags: Of all jobs; at most 48. When omitted: only what names the execution.
        log_retention: How long logs are kept. When omitted: one month.
        removal_policy: What happens to logs and the model package group when the stack is deleted. When omitted: they
            are kept. A group with versions in it cannot be deleted.
        vpc: The VPC that functions and containers run in, in its private subnets. When omitted: the networks of AWS's
            services.
        encryption_key: The KMS key for volumes, topic, environment variables and logs; what jobs write has the key of
            ``artifacts``. When omitted: keys that AWS manages.
        lambda_platform: Python version and architecture of the functions. When omitted: Python 3.13 on arm64.

    Attributes:
        state_machine: The state machine.
        promotion: The state machine that promotes and rolls back.
        topic: Tells of trainings that ended or wait for approval; the attribute ``event`` is ``promoted``,
            ``not_promoted``, ``rejected``, ``failed``, ``approval_requested`` or ``promotion_failed``.
        model_package_group_name: The group in the Model Registry.
        functions: The Lambda functions, by what they do.
        role: What the jobs may do.
        rules: What functions that accept executions have to know of them, as JSON.

    Raises:
        InvalidPropsError: Anything that is wrong with the arguments, all at once.

    Example: ``docs/examples/training_workflow.py``.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        artifacts: ArtifactStore,
        promoted_model: PromotedModel,
        endpoint: Endpoint,
        script: TrainingScript | None = None,
        instance_type: str = "ml.m5.xlarge",
        evaluation_instance_type: str = "ml.m5.xlarge",
        max_instance_count: int = 4,
        volume_size_gb: int = 30,
        max_runtime: Duration | None = None,
        max_spot_wait: Duration | None = None,
        keep_alive: Duration | None = None,
        network_isolation: bool = True,
        inter_container_encryption: bool = True,
        max_concurrent_trials: int = 3,
        max_trials: int = 20,
        max_concurrent_parts: int = 10,
        margin: float = 0.0,
        approval: bool = False,
        approval_timeout: Duration | None = None,
        start_on_upload: bool = False,
        schedule: events.Schedule | None = None,
        schedule_input: Mapping[str, Any] | None = None,
        poll_interval: Duration | None = None,
        tags: Mapping[str, str] | None = None,
        log_retention: logs.RetentionDays = logs.RetentionDays.ONE_MONTH,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
        vpc: ec2.IVpc | None = None,
        encryption_key: kms.IKey | None = None,
        lambda_platform: LambdaPlatform | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        script = script or TrainingScript.scikit_learn()
        platform = lambda_platform or LambdaPlatform()
        max_runtime = max_runtime or Duration.hours(4)
        approval_timeout = approval_timeout or Duration.days(7)

        problems = Problems()
        problems.extend(promotion_problems(promoted_model, endpoint))
        problems.extend(script.problems())
        problems.extend(script.framework.image.problems(self))
        problems.extend(_image_problems(endpoint, script))
        for name, value in (
            ("instance_type", instance_type),
            ("evaluation_instance_type", evaluation_instance_type),
        ):
            problems.unless(
                instances.is_instance_type(value),
                f"{name} is '{value}': must be one of SageMaker's, such as ml.m5.xlarge",
            )
        problems.between("max_instance_count", max_instance_count, 1, 100)
        problems.between("volume_size_gb", volume_size_gb, 1, 16_384, "GB")
        problems.extend(_time_problems(max_runtime, max_spot_wait, keep_alive, approval_timeout))
        problems.between("max_concurrent_trials", max_concurrent_trials, 1, 40)
        problems.between("max_trials", max_trials, 1, 100)
        problems.between("max_concurrent_parts", max_concurrent_parts, 1, 1_000)
        problems.between("margin", margin, 0, 1)
        problems.unless(
            (schedule is None) == (schedule_input is None), "schedule and schedule_input: pass both, or none of them"
        )
        problems.extend(_input_problems(schedule_input, script))
        if tags and len(tags) > _MOST_TAGS:
            problems.add(f"tags are {len(tags)}: must be at most {_MOST_TAGS}")
        problems.extend(f"lambda_platform: {problem}" for problem in platform.problems())
        problems.raise_for(self)

        self.artifacts = artifacts
        self._job_prefix = unique_name(self)
        self._encryption_key = encryption_key
        self.rules: str = json.dumps(
            {
                "hyperparameters": {
                    name: {field: value for field, value in schema.items() if field != "description"}
                    for name, schema in script.hyperparameters.items()
                },
                "max_trials": max_trials,
                "max_instance_count": max_instance_count,
                "margin": margin,
                "approval": approval,
            },
            separators=(",", ":"),
        )
        self.topic: sns.Topic = job_topic(self, encryption_key=encryption_key)
        self.promotion = ModelPromotion(
            self,
            "Promotion",
            promoted_model=promoted_model,
            endpoint=endpoint,
            poll_interval=poll_interval,
            topic=self.topic,
            log_retention=log_retention,
            removal_policy=removal_policy,
            vpc=vpc,
            encryption_key=encryption_key,
            lambda_platform=platform,
        )
        self.functions: dict[str, lambda_.Function] = self._define_functions(
            FunctionSettings(
                memory_size_mb=_DATA_MEMORY_MB,
                log_retention=log_retention,
                removal_policy=removal_policy,
                vpc=vpc,
                encryption_key=encryption_key,
                lambda_platform=platform,
            )
        )
        security_groups = [ec2.SecurityGroup(self, "SecurityGroup", vpc=vpc)] if vpc else []
        for group in security_groups:
            group.add_ingress_rule(group, ec2.Port.all_traffic(), "instances of the same job")
        subnet_ids = vpc.select_subnets().subnet_ids if vpc else []
        code = script.asset(self)
        self.role: iam.Role = job_role(
            self,
            artifacts=artifacts,
            script=script,
            code=code,
            initial_model=promoted_model.initial_location,
            encryption_key=encryption_key,
            subnet_ids=subnet_ids,
            security_groups=security_groups,
        )
        self.model_package_group_name: str = unique_name(self, 63)
        sagemaker.CfnModelPackageGroup(
            self,
            "Models",
            model_package_group_name=self.model_package_group_name,
            model_package_group_description=f"Models that {self.node.path} has trained",
        ).apply_removal_policy(removal_policy)
        key_arn = encryption_key.key_arn if encryption_key else None
        # What a job writes is read by who may read the bucket, so it has the bucket's key.
        output_key = artifacts.encryption_key
        jobs = JobSettings(
            script=script,
            image=script.framework.image.uri(self),
            code_url=code.s3_object_url,
            code_name=_object_name(code),
            role_arn=self.role.role_arn,
            bucket=artifacts.bucket.bucket_name,
            instance_type=instance_type,
            evaluation_instance_type=evaluation_instance_type,
            volume_size_gb=volume_size_gb,
            max_runtime=max_runtime,
            max_wait=max_spot_wait,
            keep_alive=keep_alive,
            network_isolation=network_isolation,
            inter_container_encryption=inter_container_encryption,
            output_key_arn=output_key.key_arn if output_key else None,
            volume_key_arn=None if instances.has_local_storage(instance_type) else key_arn,
            evaluation_volume_key_arn=None if instances.has_local_storage(evaluation_instance_type) else key_arn,
            vpc_config={
                "SecurityGroupIds": [group.security_group_id for group in security_groups],
                "Subnets": subnet_ids,
            }
            if vpc
            else None,
            tags=tags or {},
        )
        workflow = Workflow(
            functions={**self.functions, "in_service": self.promotion.in_service_function},
            jobs=jobs,
            package_group=self.model_package_group_name,
            serving_image=script.serving.image.uri(self),
            serving_environment=script.serving.environment,
            promotion=self.promotion.state_machine.state_machine_arn,
            topic=self.topic.topic_arn,
            max_concurrent_parts=max_concurrent_parts,
            max_concurrent_trials=max_concurrent_trials,
            approval_timeout=approval_timeout,
            code_hash=code.asset_hash,
        )
        self.state_machine: stepfunctions.StateMachine = state_machine(
            self,
            "StateMachine",
            {"StartAt": "Begin", "States": workflow.states()},
            log_group=log_group(
                self,
                "StateMachineLogs",
                retention=log_retention,
                removal_policy=removal_policy,
                encryption_key=encryption_key,
            ),
        )
        self._allow_state_machine(workflow)
        if start_on_upload:
            uploads = artifacts.datasets.under("incoming/")
            starts.start_on_upload(self, self.state_machine, uploads=uploads, field="dataset")
        if schedule is not None:
            starts.start_by_schedule(self, self.state_machine, schedule=schedule, request=schedule_input or {})

    @property
    def environment(self) -> dict[str, str]:
        """What a function has to know to start executions, when :meth:`grant_start_execution` lets it."""
        return {
            "STATE_MACHINE_ARN": self.state_machine.state_machine_arn,
            "STATES_AFTER_FAILURES": ",".join(STATES_AFTER_FAILURES),
            "TRAINING_RULES": self.rules,
            "JOB_PREFIX": self._job_prefix,
            "BUCKET_NAME": self.artifacts.bucket.bucket_name,
        }

    def grant_start_execution(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow to start executions, and to see whether one has started already."""
        start = allow(grantee, ["states:StartExecution"], [self.state_machine.state_machine_arn])
        executions = _executions(Stack.of(self), self.state_machine)
        return start.combine(allow(grantee, ["states:DescribeExecution"], [executions]))

    def grant_read(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow to look at executions."""
        executions = _executions(Stack.of(self), self.state_machine)
        return allow(grantee, ["states:DescribeExecution", "states:GetExecutionHistory"], [executions])

    def _define_functions(self, settings: FunctionSettings) -> dict[str, lambda_.Function]:
        def function(construct_id: str, handler: str, timeout: Duration, **environment: str) -> lambda_.Function:
            bucket = {"BUCKET_NAME": self.artifacts.bucket.bucket_name}
            return settings.function(
                self, construct_id, handler=handler, environment={**bucket, **environment}, timeout=timeout
            )

        functions = {
            "plan": function("Plan", "plan_training", _TIMEOUT, JOB_PREFIX=self._job_prefix, TRAINING_RULES=self.rules),
            "check_part": function("CheckPart", "check_dataset.check_part", _DATA_TIMEOUT),
            "combine": function("Combine", "check_dataset.combine", _DATA_TIMEOUT),
            "select": function("Select", "select_trial", _TIMEOUT),
            "judge": function("Judge", "judge_model", _TIMEOUT),
            "explain": function("Explain", "explain_failure", _TIMEOUT),
        }
        datasets, trainings = self.artifacts.datasets, self.artifacts.trainings
        work = trainings.under("work/")
        datasets.grant_list(functions["plan"])
        work.grant_put(functions["plan"])
        datasets.grant_get(functions["check_part"])
        work.grant_write(functions["check_part"])  # rows of any size, in parts that a failure takes back
        work.grant_get(functions["combine"])
        trainings.grant_write(functions["combine"])
        trainings.grant_read(functions["judge"])  # so that a missing object is told as missing
        return functions

    def _allow_state_machine(self, workflow: Workflow) -> None:
        """Allow what the definition does, as AWS documents it for each integration.

        https://docs.aws.amazon.com/step-functions/latest/dg/connect-sagemaker.html
        """
        stack, machine = Stack.of(self), self.state_machine
        allow(machine, ["lambda:InvokeFunction"], [function.function_arn for function in workflow.functions.values()])
        self.artifacts.trainings.under("work/").grant_get(machine)  # the list of parts
        allow(machine, ["states:StartExecution"], [self.promotion.state_machine.state_machine_arn])
        allow(
            machine,
            ["states:DescribeExecution", "states:StopExecution"],
            [_executions(stack, self.promotion.state_machine)],
        )
        self._allow_distributed_map(stack, machine)
        for kind in ("Training", "Processing"):
            allow_jobs(machine, kind, self._job_prefix)
        allow_waiting(machine, "StepFunctionsExecution")
        allow(
            machine,
            ["iam:PassRole"],
            [self.role.role_arn],
            StringEquals={"iam:PassedToService": "sagemaker.amazonaws.com"},
        )
        group, versions = (
            stack.format_arn(service="sagemaker", resource=kind, resource_name=name)
            for kind, name in (
                ("model-package-group", self.model_package_group_name),
                ("model-package", f"{self.model_package_group_name}/*"),
            )
        )
        allow(machine, ["sagemaker:CreateModelPackage"], [group, versions])
        allow(machine, ["sagemaker:UpdateModelPackage"], [versions])
        archives = self.artifacts.models.key("*/model.tar.gz")
        allow(machine, ["s3:DeleteObject"], [self.artifacts.bucket.arn_for_objects(archives)])
        allow(machine, ["sns:Publish"], [self.topic.topic_arn])
        if self._encryption_key:
            allow(machine, ["kms:Decrypt", "kms:GenerateDataKey*"], [self._encryption_key.key_arn])
            allow_volume_key(machine, self._encryption_key)

    def _allow_distributed_map(self, stack: Stack, machine: stepfunctions.StateMachine) -> None:
        """Let the state machine start itself, for each part: in a policy of its own, which may name the machine.

        https://docs.aws.amazon.com/step-functions/latest/dg/iam-policies-eg-dist-map.html
        """
        iam.Policy(
            self,
            "PartsPolicy",
            roles=[machine.role],
            statements=[
                iam.PolicyStatement(actions=["states:StartExecution"], resources=[machine.state_machine_arn]),
                iam.PolicyStatement(
                    actions=["states:DescribeExecution", "states:StopExecution"],
                    resources=[_executions(stack, machine)],
                ),
            ],
        )


def _image_problems(endpoint: Endpoint, script: TrainingScript) -> Iterator[str]:
    served_by = {image.identity for image in endpoint.model.images} if endpoint.model else set()
    if served_by and script.serving.image.identity not in served_by:
        yield (
            f"script makes models for {script.serving.image.identity}, and the endpoint's model runs on "
            f"{', '.join(sorted(served_by))}: a promotion replaces the archive, not the image"
        )


def _executions(stack: Stack, machine: stepfunctions.StateMachine) -> str:
    return stack.format_arn(
        service="states",
        resource="execution",
        resource_name=f"{machine.state_machine_name}:*",
        arn_format=ArnFormat.COLON_RESOURCE_NAME,
    )


def _object_name(asset: s3_assets.Asset) -> str:
    """Return what the archive is called in its channel: the last part of its key."""
    return asset.s3_object_key.rpartition("/")[2]


def _input_problems(schedule_input: Mapping[str, Any] | None, script: TrainingScript) -> Iterator[str]:
    """Yield for which names every scheduled execution would be refused; what is wrong with values it says itself."""
    if schedule_input is None:
        return
    schema = json.loads(
        (source_directory("lambda_src") / "text_classification/schemas/training_request.json").read_text(
            encoding="utf-8"
        )
    )
    for name in sorted(schedule_input.keys() - schema["properties"].keys()):
        yield f"schedule_input.{name} is not known: it has {', '.join(sorted(schema['properties']))}"
    dataset = schedule_input.get("dataset")
    if not (Token.is_unresolved(dataset) or re.fullmatch(schema["properties"]["dataset"]["pattern"], str(dataset))):
        yield f"schedule_input.dataset is {dataset!r}: must be a *.jsonl, a *.csv or a prefix/ under datasets/"
    hyperparameters = schedule_input.get("hyperparameters", {})
    if not isinstance(hyperparameters, Mapping):
        yield f"schedule_input.hyperparameters is {hyperparameters!r}: must be a mapping"
        return
    for name in sorted(hyperparameters.keys() - script.hyperparameters.keys()):
        known = ", ".join(sorted(script.hyperparameters))
        yield f"schedule_input.hyperparameters.{name} is not known: the training script knows {known}"


def _time_problems(
    max_runtime: Duration, max_spot_wait: Duration | None, keep_alive: Duration | None, approval_timeout: Duration
) -> Iterator[str]:
    def seconds(duration: Duration | None) -> float | None:
        return None if duration is None or duration.is_unresolved() else duration.to_seconds(integral=False)

    runtime, wait, kept, patience = map(seconds, (max_runtime, max_spot_wait, keep_alive, approval_timeout))
    if runtime is not None and not 60 <= runtime <= _LONGEST_JOB.to_seconds():
        yield f"max_runtime is {runtime:g} s: must be from 60 s to 28 days"
    if wait is not None and runtime is not None and wait < runtime:
        yield f"max_spot_wait is {wait:g} s: must be at least max_runtime, which is {runtime:g} s"
    if kept is not None and not _SHORTEST_KEEP_ALIVE_SECONDS <= kept <= _LONGEST_KEEP_ALIVE_SECONDS:
        yield f"keep_alive is {kept:g} s: must be from 1 to {_LONGEST_KEEP_ALIVE_SECONDS} s"
    if keep_alive is not None and max_spot_wait is not None:
        yield "keep_alive and max_spot_wait: spot instances are not kept: pass one of the two"
    if patience is not None and not 60 <= patience <= _LONGEST_APPROVAL_DAYS * 86_400:
        yield f"approval_timeout is {patience:g} s: must be from 60 s to {_LONGEST_APPROVAL_DAYS} days"
