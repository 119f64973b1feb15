"""The whole system: a model, served and watched behind an API."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, TypedDict, assert_never

from aws_cdk import CfnOutput, Duration, Environment, RemovalPolicy, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from sm_constructs._names import unique_name
from sm_constructs._validation import Problems
from sm_constructs.api import ClassificationApi
from sm_constructs.batch_transform import BatchTransform
from sm_constructs.dataset_annotation import DatasetAnnotation
from sm_constructs.endpoint import Endpoint, RealTime, Serverless
from sm_constructs.endpoint.refusals import Plan
from sm_constructs.lambda_platform import LambdaPlatform
from sm_constructs.model import Framework, Model, ModelData
from sm_constructs.model.container import Container
from sm_constructs.monitoring import Monitoring
from sm_constructs.options import TrainingOptions, TransformOptions, unknown_options
from sm_constructs.preprocessing import TextPreprocessor
from sm_constructs.queue import ClassificationQueue
from sm_constructs.stages import DEV, StageConfig
from sm_constructs.storage import ArtifactStore
from sm_constructs.training import PromotedModel, TrainingScript, TrainingWorkflow

if TYPE_CHECKING:
    from sm_constructs.database import ResultDatabase


class _Functions(TypedDict):
    """What everything with functions in it has in common."""

    log_retention: logs.RetentionDays
    removal_policy: RemovalPolicy
    vpc: ec2.IVpc | None
    encryption_key: kms.IKey | None
    lambda_platform: LambdaPlatform


class TextClassification(Construct):
    """Define everything that classifies texts: artifacts, model, endpoint, preprocessing, API and monitoring.

    It is more than half of the 500 resources that CloudFormation takes in a stack: give each its own.

    Args:
        scope: The parent construct.
        construct_id: The id within the parent.
        model_data: The model's archive.
        framework: The container that serves it. When omitted: AWS's scikit-learn image, or what a model package says.
        stage: What differs between stages. When omitted: :data:`~sm_constructs.DEV`.
        vpc: The VPC that functions and model containers run in, in its private subnets; ``docs/vpc.md`` lists the VPC
            endpoints that functions need there, and containers reach S3, ECR and CloudWatch Logs. A serverless
            endpoint runs in none and refuses it. When omitted: the networks of AWS's services.
        encryption_key: The KMS key for artifacts, endpoint volumes, function environments, logs and alarm
            notifications. When omitted: one that is rotated yearly, where the stage says so, else keys that AWS
            manages.
        training_script: What trains better models. When omitted: :meth:`TrainingScript.scikit_learn`, where the model
            is an archive and runs on AWS's scikit-learn image as that script's models do; nothing else is trained.
        training_options: What else is told :class:`TrainingWorkflow`, such as ``{"start_on_upload": True}``. When
            omitted: nothing.
        transform_options: What else is told :class:`BatchTransform`. When omitted: nothing.
        feedback: Whether labels can be corrected, for the next training; the texts of requests are kept for that, for
            30 days. When omitted: they can, where there is training.
        lambda_platform: Python version and architecture of the functions. When omitted: Python 3.13 on arm64.

    Attributes:
        encryption_key: The key that was handed in or made; None where AWS's own keys are used.
        artifacts: The store of data sets, models and results.
        model: The model.
        endpoint: The endpoint that serves it.
        preprocessor: The functions that annotate texts.
        dataset_annotation: The state machine that annotates data sets.
        database: The rows of jobs' results; None in a stage without it.
        queue: The queue of jobs, and what works on them.
        training: What trains and promotes better models; None where nothing does.
        transform: What labels files in bulk; None where SageMaker cannot: of many models, and of files without an
            archive.
        api: The API.
        monitoring: Alarms on all of them, their topic and the dashboard.

    Raises:
        InvalidPropsError: Arguments that AWS would refuse, all of them at once; or something that has to be built
            before synth is missing, with the command that does it.

    Example: ``docs/examples/text_classification.py``.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        model_data: ModelData,
        framework: Framework | None = None,
        stage: StageConfig = DEV,
        vpc: ec2.IVpc | None = None,
        encryption_key: kms.IKey | None = None,
        training_script: TrainingScript | None = None,
        training_options: TrainingOptions | None = None,
        transform_options: TransformOptions | None = None,
        feedback: bool = True,
        lambda_platform: LambdaPlatform | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        platform = lambda_platform or LambdaPlatform()
        if framework is None and not model_data.is_package:
            framework = Framework.scikit_learn()
            if not (model_data.is_multi_model or model_data.is_uncompressed):
                training_script = training_script or TrainingScript.scikit_learn()
        problems = Problems()
        problems.extend(f"stage: {problem}" for problem in stage.problems())
        problems.extend(f"lambda_platform: {problem}" for problem in platform.problems())
        problems.extend(unknown_options("training_options", training_options, TrainingOptions))
        problems.extend(unknown_options("transform_options", transform_options, TransformOptions))
        problems.unless(
            bool(training_script) or not training_options,
            "training_options: nothing is trained: pass a training_script, and an archive that it can replace",
        )
        transformable = not (model_data.is_uncompressed or model_data.is_multi_model)
        problems.unless(
            transformable or not transform_options,
            "transform_options: SageMaker labels no files by many models, nor by files without an archive",
        )
        model_problems = list(Container(data=model_data, framework=framework).problems(self))
        problems.extend(model_problems)
        if list(problems) and not model_problems:  # to say with the rest what does not go together
            problems.extend(_together(stage, Model(self, "Model", data=model_data, framework=framework, vpc=vpc)))
        problems.raise_for(self)

        self.encryption_key: kms.IKey | None = encryption_key or self._own_key(stage)
        self.artifacts = ArtifactStore(
            self,
            "Artifacts",
            encryption_key=self.encryption_key,
            removal_policy=stage.removal_policy,
            noncurrent_version_expiration=Duration.days(stage.noncurrent_version_days),
            access_log_expiration=Duration.days(stage.access_log_days),
        )
        functions = _Functions(
            log_retention=stage.log_retention,
            removal_policy=stage.removal_policy,
            vpc=vpc,
            encryption_key=self.encryption_key,
            lambda_platform=platform,
        )
        promoted_model = None
        if training_script:
            promoted_model = PromotedModel(
                self,
                "PromotedModel",
                initial=model_data,
                artifacts=self.artifacts,
                **functions,
            )
            model_data = promoted_model.data
        self.model = Model(self, "Model", data=model_data, framework=framework, vpc=vpc)
        problems.extend(_together(stage, self.model))
        problems.raise_for(self)

        self.monitoring = Monitoring(self, "Monitoring", encryption_key=self.encryption_key)
        self.endpoint = self._endpoint(stage)
        self.preprocessor = TextPreprocessor(
            self,
            "Preprocessor",
            **functions,
        )
        self.dataset_annotation = DatasetAnnotation(
            self,
            "DatasetAnnotation",
            preprocessor=self.preprocessor,
            artifacts=self.artifacts,
            **functions,
        )
        self.database: ResultDatabase | None = self._database(stage, vpc, platform) if stage.result_database else None
        self.queue = ClassificationQueue(
            self,
            "Queue",
            endpoint=self.endpoint,
            artifacts=self.artifacts,
            preprocessor=self.preprocessor,
            database=self.database,
            **functions,
        )
        self.training: TrainingWorkflow | None = None
        if training_script and promoted_model:
            self.training = TrainingWorkflow(
                self,
                "Training",
                artifacts=self.artifacts,
                promoted_model=promoted_model,
                endpoint=self.endpoint,
                script=training_script,
                **(training_options or {}),
                **functions,
            )
        self.transform: BatchTransform | None = None
        if transformable:
            self.transform = BatchTransform(
                self,
                "Transform",
                artifacts=self.artifacts,
                endpoint=self.endpoint,
                **(transform_options or {}),
                **functions,
            )
        self.api = ClassificationApi(
            self,
            "Api",
            endpoint=self.endpoint,
            preprocessor=self.preprocessor,
            queue=self.queue,
            training=self.training,
            feedback=feedback,
            transform=self.transform,
            stage_name=stage.name,
            throttling_rate_limit=stage.throttling_rate_limit,
            throttling_burst_limit=stage.throttling_burst_limit,
            **functions,
        )
        self._monitor(stage)

    def _endpoint(self, stage: StageConfig) -> Endpoint:
        """Define the endpoint and its alarms, which guard how it moves where the stage says so."""
        name, deployment = None, stage.deployment
        if deployment:
            # The alarms know it by its name: they and what they stop would wait for each other otherwise.
            name = unique_name(self, 63)
            watched = Endpoint.from_endpoint_name(
                self, "WatchedEndpoint", name, variant_names=[stage.variant.variant_name]
            )
            alarms = self.monitoring.monitor_endpoint(watched, thresholds=stage.endpoint_thresholds).alarms
            deployment = replace(deployment, alarms=[*deployment.alarms, *alarms.values()])
        endpoint = Endpoint(
            self,
            "Endpoint",
            model=self.model,
            variant=stage.variant,
            deployment=deployment,
            encryption_key=_volume_key(stage.variant, self.encryption_key),
            endpoint_name=name,
        )
        if not deployment:
            self.monitoring.monitor_endpoint(endpoint, thresholds=stage.endpoint_thresholds)
        return endpoint

    def _own_key(self, stage: StageConfig) -> kms.Key | None:
        if not stage.customer_managed_key:
            return None
        return kms.Key(
            self,
            "Key",
            description=f"Encrypts the data of {self.node.path}",
            enable_key_rotation=True,
            removal_policy=stage.removal_policy,
        )

    def _database(self, stage: StageConfig, vpc: ec2.IVpc | None, platform: LambdaPlatform) -> ResultDatabase:
        from sm_constructs.database import ResultDatabase  # only stages that have one pay for its import

        return ResultDatabase(
            self,
            "Database",
            endpoint=self.endpoint,
            vpc=vpc,
            deletion_protection=stage.termination_protection,
            removal_policy=stage.removal_policy,
            encryption_key=self.encryption_key,
            log_retention=stage.log_retention,
            lambda_platform=platform,
        )

    def _monitor(self, stage: StageConfig) -> None:
        monitoring = self.monitoring
        monitoring.monitor_api(self.api.rest_api, thresholds=stage.api_thresholds)
        monitoring.monitor_function(self.api.classify_function, name="Classify")
        for language, function in self.preprocessor.functions.items():
            monitoring.monitor_function(function, name=f"Annotate{language.capitalize()}")
        for name, function in self.dataset_annotation.functions.items():
            monitoring.monitor_function(function, name=f"Dataset{name}")
        monitoring.monitor_queue(self.queue, thresholds=stage.queue_thresholds)
        for name, function in {
            "SubmitJob": self.api.job_functions["submit"],
            "ReadJob": self.api.job_functions["look"],
        }.items():
            monitoring.monitor_function(function, name=name)
        for name, function in self.api.transform_functions.items():
            monitoring.monitor_function(function, name=f"Transform{name.capitalize()}")
        if self.transform:
            monitoring.monitor_state_machine(self.transform.state_machine, name="Transform")
        if self.training:
            for name, function in self.api.training_functions.items():
                monitoring.monitor_function(function, name=f"Training{name.capitalize()}")
            monitoring.monitor_state_machine(self.training.state_machine, name="Training")
            monitoring.monitor_state_machine(self.training.promotion.state_machine, name="Promotion")


class TextClassificationStack(Stack):
    """Define a stack with one :class:`TextClassification`, and with outputs that its clients find it by.

    The outputs are ``ApiUrl``, ``EndpointName``, ``ArtifactBucketName``, ``AlarmTopicArn``, ``DashboardName``,
    ``ClassifyFunctionName``, ``DatasetAnnotationStateMachineArn``, ``JobQueueUrl``, ``DeadLetterQueueArn``,
    ``JobTopicArn``, ``FailedFilesQueueUrl`` and ``SubmitFunctionName``; where files can be labelled in bulk
    ``TransformStateMachineArn``; where models are trained ``TrainingStateMachineArn``,
    ``PromotionStateMachineArn``, ``TrainingTopicArn`` and ``ModelPackageGroupName``; with a result database
    ``ResultDatabaseArn``, ``ResultDatabaseSecretArn`` and ``ResultDatabaseName``.

    Args:
        scope: The app, or a stage of it.
        construct_id: The id, and the stack's name.
        model_data: The model's archive.
        framework: The container that serves it. When omitted: AWS's scikit-learn image, or what a model package says.
        stage: What differs between stages. When omitted: :data:`~sm_constructs.DEV`.
        vpc: As for :class:`TextClassification`.
        encryption_key: As for :class:`TextClassification`.
        training_script: As for :class:`TextClassification`.
        training_options: As for :class:`TextClassification`.
        transform_options: As for :class:`TextClassification`.
        feedback: As for :class:`TextClassification`.
        lambda_platform: As for :class:`TextClassification`.
        env: Account and region. When omitted: those that the template is deployed to.

    Attributes:
        text_classification: What the stack holds.

    Raises:
        InvalidPropsError: As for :class:`TextClassification`.

    Example: ``docs/examples/third_stage.py``.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        model_data: ModelData,
        framework: Framework | None = None,
        stage: StageConfig = DEV,
        vpc: ec2.IVpc | None = None,
        encryption_key: kms.IKey | None = None,
        training_script: TrainingScript | None = None,
        training_options: TrainingOptions | None = None,
        transform_options: TransformOptions | None = None,
        feedback: bool = True,
        lambda_platform: LambdaPlatform | None = None,
        env: Environment | None = None,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            description=f"Text classification, stage {stage.name}",
            env=env,
            termination_protection=stage.termination_protection,
        )
        self.text_classification = TextClassification(
            self,
            "TextClassification",
            model_data=model_data,
            framework=framework,
            stage=stage,
            vpc=vpc,
            encryption_key=encryption_key,
            training_script=training_script,
            training_options=training_options,
            transform_options=transform_options,
            feedback=feedback,
            lambda_platform=lambda_platform,
        )
        system = self.text_classification
        database, training = system.database, system.training
        for output, value in {
            "ApiUrl": system.api.api_url,
            "EndpointName": system.endpoint.endpoint_name,
            "ArtifactBucketName": system.artifacts.bucket.bucket_name,
            "AlarmTopicArn": system.monitoring.topic.topic_arn,
            "DashboardName": system.monitoring.dashboard.dashboard_name,
            "ClassifyFunctionName": system.api.classify_function.function_name,
            "DatasetAnnotationStateMachineArn": system.dataset_annotation.state_machine.state_machine_arn,
            "JobQueueUrl": system.queue.queue.queue_url,
            "DeadLetterQueueArn": system.queue.dead_letter_queue.queue_arn,
            "FailedFilesQueueUrl": system.queue.failed_files_queue.queue_url,
            "SubmitFunctionName": system.queue.functions["submit"].function_name,
            "JobTopicArn": system.queue.topic.topic_arn,
            **(
                {"TransformStateMachineArn": system.transform.state_machine.state_machine_arn}
                if system.transform
                else {}
            ),
            **(
                {
                    "TrainingStateMachineArn": training.state_machine.state_machine_arn,
                    "PromotionStateMachineArn": training.promotion.state_machine.state_machine_arn,
                    "TrainingTopicArn": training.topic.topic_arn,
                    "ModelPackageGroupName": training.model_package_group_name,
                }
                if training
                else {}
            ),
            **(
                {
                    "ResultDatabaseArn": database.cluster.cluster_arn,
                    "ResultDatabaseSecretArn": database.secret.secret_arn,
                    "ResultDatabaseName": database.database_name,
                }
                if database
                else {}
            ),
        }.items():
            CfnOutput(self, output, value=value)


def _together(stage: StageConfig, model: Model) -> Iterator[str]:
    """Yield what SageMaker would refuse of the stage's endpoint for this model, though each is right by itself."""
    plan = Plan(
        variants=[stage.variant],
        shadow=None,
        model=model,
        data_capture=None,
        deployment=stage.deployment,
        encryption_key=None,
    )
    by_itself = stage.variant.problems()
    yield from (problem for problem in plan.problems() if problem not in by_itself)


def _volume_key(variant: RealTime | Serverless, key: kms.IKey | None) -> kms.IKey | None:
    """Return the key for the endpoint's volumes, where it has volumes that take one."""
    match variant:
        case RealTime():
            return None if variant.has_local_storage else key
        case Serverless():
            return None
        case _:
            assert_never(variant)
