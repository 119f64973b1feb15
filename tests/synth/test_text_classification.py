"""TextClassification and its stack: the parts are there, know each other, and follow the stage."""

from __future__ import annotations

import inspect
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_events as events
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk.assertions import Template

from sm_constructs import (
    DEV,
    PROD,
    BatchTransform,
    Framework,
    InvalidPropsError,
    LambdaPlatform,
    ModelData,
    RealTime,
    Serverless,
    StageConfig,
    TextClassification,
    TextClassificationStack,
    TrainingOptions,
    TrainingWorkflow,
    TransformOptions,
)
from sm_constructs.monitoring import ApiThresholds, EndpointThresholds
from tests.synth.templates import all_of, only, resources_of, statements, text_of

pytestmark = pytest.mark.usefixtures("bundles")

STAGING = replace(
    PROD,
    name="staging",
    variant=RealTime(instance_type="ml.c6i.xlarge", instance_count=1),
    log_retention=logs.RetentionDays.TWO_WEEKS,
    termination_protection=False,
)


@pytest.fixture
def model_data(model_directory: Path) -> ModelData:
    return ModelData.from_directory(model_directory)


def properties(stack: cdk.Stack, resource_type: str) -> list[dict[str, Any]]:
    return [resource.get("Properties", {}) for resource in all_of(stack, resource_type)]


def key_arns(value: object) -> list[object]:
    """Everything in a template that a key is named by."""
    names = {"KmsKeyId", "KmsKeyArn", "KMSMasterKeyID", "KMSMasterKeyId", "KmsMasterKeyId"}
    if isinstance(value, dict):
        here = [each for name, each in value.items() if name in names]
        return here + [found for each in value.values() for found in key_arns(each)]
    if isinstance(value, list):
        return [found for each in value for found in key_arns(each)]
    return []


@pytest.mark.parametrize("stage", [DEV, PROD, STAGING], ids=lambda stage: stage.name)
def test_the_stack_has_exactly_the_outputs_that_clients_find_it_by(
    app: cdk.App, model_data: ModelData, stage: StageConfig
) -> None:
    stack = TextClassificationStack(app, "Stack", model_data=model_data, stage=stage)

    outputs = Template.from_stack(stack).to_json()["Outputs"]
    system = stack.text_classification
    assert system.training
    assert system.transform

    assert {name: output["Value"] for name, output in outputs.items()} == {
        "ApiUrl": stack.resolve(system.api.api_url),
        "EndpointName": stack.resolve(system.endpoint.endpoint_name),
        "ArtifactBucketName": stack.resolve(system.artifacts.bucket.bucket_name),
        "AlarmTopicArn": stack.resolve(system.monitoring.topic.topic_arn),
        "DashboardName": stack.resolve(system.monitoring.dashboard.dashboard_name),
        "ClassifyFunctionName": stack.resolve(system.api.classify_function.function_name),
        "DatasetAnnotationStateMachineArn": stack.resolve(system.dataset_annotation.state_machine.state_machine_arn),
        "JobQueueUrl": stack.resolve(system.queue.queue.queue_url),
        "DeadLetterQueueArn": stack.resolve(system.queue.dead_letter_queue.queue_arn),
        "FailedFilesQueueUrl": stack.resolve(system.queue.failed_files_queue.queue_url),
        "SubmitFunctionName": stack.resolve(system.queue.functions["submit"].function_name),
        "JobTopicArn": stack.resolve(system.queue.topic.topic_arn),
        "ModelPackageGroupName": system.training.model_package_group_name,
        "PromotionStateMachineArn": stack.resolve(system.training.promotion.state_machine.state_machine_arn),
        "TrainingStateMachineArn": stack.resolve(system.training.state_machine.state_machine_arn),
        "TrainingTopicArn": stack.resolve(system.training.topic.topic_arn),
        "TransformStateMachineArn": stack.resolve(system.transform.state_machine.state_machine_arn),
        **(
            {
                "ResultDatabaseArn": stack.resolve(system.database.cluster.cluster_arn),
                "ResultDatabaseSecretArn": stack.resolve(system.database.secret.secret_arn),
                "ResultDatabaseName": system.database.database_name,
            }
            if system.database
            else {}
        ),
    }
    assert (system.database is not None) == stage.result_database


def test_dev_is_the_default_and_serves_on_demand(app: cdk.App, model_data: ModelData) -> None:
    stack = TextClassificationStack(app, "Stack", model_data=model_data)

    (variant,) = only(stack, "AWS::SageMaker::EndpointConfig")["ProductionVariants"]

    assert "ServerlessConfig" in variant
    assert stack.termination_protection is False
    assert {resource.get("DeletionPolicy", "Delete") for resource in resources_of(stack).values()} == {"Delete"}


def test_prod_serves_on_two_instances_and_keeps_what_holds_data(app: cdk.App, model_data: ModelData) -> None:
    stack = TextClassificationStack(app, "Stack", model_data=model_data, stage=PROD)

    (variant,) = only(stack, "AWS::SageMaker::EndpointConfig")["ProductionVariants"]
    kept = {resource["Type"] for resource in resources_of(stack).values() if resource.get("DeletionPolicy") == "Retain"}
    deleted = {
        resource["Type"] for resource in resources_of(stack).values() if resource.get("DeletionPolicy") != "Retain"
    }

    assert variant["InitialInstanceCount"] == 2
    assert stack.termination_protection is True
    assert {"AWS::DynamoDB::Table", "AWS::KMS::Key", "AWS::RDS::DBCluster", "AWS::S3::Bucket"} <= kept
    assert deleted.isdisjoint({"AWS::DynamoDB::Table", "AWS::KMS::Key", "AWS::RDS::DBCluster", "AWS::S3::Bucket"})
    assert deleted.isdisjoint({"AWS::Logs::LogGroup"})


def test_prod_encrypts_everything_that_takes_a_key_with_one_that_is_rotated(
    app: cdk.App, model_data: ModelData
) -> None:
    stack = TextClassificationStack(app, "Stack", model_data=model_data, stage=PROD)

    key = only(stack, "AWS::KMS::Key")
    (key_id,) = (name for name, each in resources_of(stack).items() if each["Type"] == "AWS::KMS::Key")
    encrypted = [name for name, each in resources_of(stack).items() if key_arns(each)]

    assert key["EnableKeyRotation"] is True
    assert {str(arn) for arn in key_arns(resources_of(stack))} == {str({"Fn::GetAtt": [key_id, "Arn"]})}
    assert Counter(resources_of(stack)[name]["Type"] for name in encrypted) == {
        "AWS::DynamoDB::Table": 1,
        "AWS::Lambda::Function": 32,
        "AWS::Logs::LogGroup": 40,
        "AWS::RDS::DBCluster": 1,
        "AWS::S3::Bucket": 1,  # the other one is for access logs, which S3 does not deliver under a KMS key
        "AWS::SNS::Topic": 4,
        "AWS::SQS::Queue": len(all_of(stack, "AWS::SQS::Queue")),
        "AWS::SageMaker::EndpointConfig": 1,
    }


def test_where_the_stage_says_so_the_endpoint_moves_guarded_by_its_alarms(app: cdk.App, model_data: ModelData) -> None:
    stack = TextClassificationStack(app, "Stack", model_data=model_data, stage=PROD)

    endpoint, alarms = (
        only(stack, "AWS::SageMaker::Endpoint"),
        stack.text_classification.monitoring.segments["Endpoint"],
    )
    deployment = endpoint["DeploymentConfig"]
    routing = deployment["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
    assert (routing["Type"], routing["WaitIntervalInSeconds"]) == ("CANARY", 600)
    names = [stack.resolve(alarm.alarm_name) for alarm in alarms.alarms.values()]
    assert [each["AlarmName"] for each in deployment["AutoRollbackConfiguration"]["Alarms"]] == names
    watched = {
        dimension["Value"]
        for each in all_of(stack, "AWS::CloudWatch::Alarm")
        for dimension in each["Properties"]["Dimensions"]
        if dimension["Name"] == "EndpointName"
    }
    assert watched == {endpoint["EndpointName"]}


def test_a_stage_without_guardrails_has_an_endpoint_without_a_name(app: cdk.App, model_data: ModelData) -> None:
    stack = TextClassificationStack(app, "Stack", model_data=model_data)

    endpoint = only(stack, "AWS::SageMaker::Endpoint")
    assert {"EndpointName", "DeploymentConfig"} & endpoint.keys() == set()


def test_guardrails_that_the_variant_cannot_have_are_refused(app: cdk.App, model_data: ModelData) -> None:
    stage = replace(DEV, deployment=PROD.deployment)
    with pytest.raises(InvalidPropsError, match="deployment is Canary with Serverless"):
        TextClassificationStack(app, "Stack", model_data=model_data, stage=stage)


def test_the_keys_policy_allows_each_service_what_it_needs_and_no_more(app: cdk.App, model_data: ModelData) -> None:
    stack = TextClassificationStack(app, "Stack", model_data=model_data, stage=PROD)

    root, *services = only(stack, "AWS::KMS::Key")["KeyPolicy"]["Statement"]
    logs_actions = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]

    assert root["Principal"]["AWS"]["Fn::Join"][1][-1] == ":root"
    assert [(each["Action"], *each["Condition"]) for each in services] == [
        (logs_actions, "ArnLike"),  # of functions and state machines
        (["kms:Decrypt", "kms:GenerateDataKey*"], "StringEquals"),  # of alarms
        (logs_actions, "ArnLike"),  # of the database
        (logs_actions, "ArnLike"),  # of the API
    ]


def test_dev_has_a_key_for_notifications_only_which_cloudwatch_cannot_send_without(
    app: cdk.App, model_data: ModelData
) -> None:
    stack = TextClassificationStack(app, "Stack", model_data=model_data)

    encrypted = [each["Type"] for each in resources_of(stack).values() if key_arns(each)]

    assert encrypted == ["AWS::SNS::Topic"] * 4
    assert stack.text_classification.encryption_key is None


@pytest.mark.parametrize("stage", [DEV, PROD], ids=lambda stage: stage.name)
def test_a_key_that_is_handed_in_is_used_instead(app: cdk.App, model_data: ModelData, stage: StageConfig) -> None:
    arn = "arn:aws:kms:us-east-1:111122223333:key/1"
    stack = cdk.Stack(app, "Stack")
    key = kms.Key.from_key_arn(stack, "Key", arn)

    system = TextClassification(stack, "System", model_data=model_data, stage=stage, encryption_key=key)

    assert system.encryption_key is key
    assert all_of(stack, "AWS::KMS::Key") == []
    assert set(key_arns(resources_of(stack))) == {arn}


@pytest.mark.parametrize("instance_type", ["ml.g5.xlarge", "ml.m5d.large"])
def test_instances_that_encrypt_their_own_storage_get_no_volume_key(
    app: cdk.App, model_data: ModelData, instance_type: str
) -> None:
    stage = replace(PROD, variant=RealTime(instance_type=instance_type, instance_count=2))
    stack = TextClassificationStack(app, "Stack", model_data=model_data, stage=stage)

    assert "KmsKeyId" not in only(stack, "AWS::SageMaker::EndpointConfig")


def test_a_third_stage_reaches_every_part(app: cdk.App, model_data: ModelData) -> None:
    stage = replace(STAGING, throttling_rate_limit=7, throttling_burst_limit=9, noncurrent_version_days=3)
    stack = TextClassificationStack(app, "Stack", model_data=model_data, stage=stage)

    (variant,) = only(stack, "AWS::SageMaker::EndpointConfig")["ProductionVariants"]
    api_stage = only(stack, "AWS::ApiGateway::Stage")
    rules = [bucket["LifecycleConfiguration"]["Rules"][0] for bucket in properties(stack, "AWS::S3::Bucket")]

    assert (variant["InstanceType"], variant["InitialInstanceCount"]) == ("ml.c6i.xlarge", 1)
    assert api_stage["StageName"] == "staging"
    assert api_stage["MethodSettings"][0]["ThrottlingRateLimit"] == 7
    assert api_stage["MethodSettings"][0]["ThrottlingBurstLimit"] == 9
    assert {group["RetentionInDays"] for group in properties(stack, "AWS::Logs::LogGroup")} == {14}
    assert sorted(rule["NoncurrentVersionExpiration"]["NoncurrentDays"] for rule in rules) == [1, 3]
    assert [rule["ExpirationInDays"] for rule in rules if "ExpirationInDays" in rule] == [365]
    assert stack.termination_protection is False


def test_the_stages_thresholds_are_those_of_the_alarms(app: cdk.App, model_data: ModelData) -> None:
    stacks = [
        TextClassificationStack(app, f"Stack-{stage.name}", model_data=model_data, stage=stage) for stage in (DEV, PROD)
    ]

    dev, prod = (
        {alarm["MetricName"]: alarm["Threshold"] for alarm in properties(stack, "AWS::CloudWatch::Alarm")}
        for stack in stacks
    )

    assert (dev["Latency"], prod["Latency"]) == (20_000, 2_000)
    assert (dev["5XXError"], prod["5XXError"]) == (0.05, 0.01)
    assert (dev["ModelLatency"], prod["ModelLatency"]) == (2_000_000, 1_000_000)


def test_every_part_is_watched(app: cdk.App, model_data: ModelData) -> None:
    stack = TextClassificationStack(app, "Stack", model_data=model_data)

    assert list(stack.text_classification.monitoring.segments) == [
        "Endpoint",
        "Api",
        "Classify",
        "AnnotateEn",
        "AnnotateZh",
        "DatasetPlan",
        "DatasetAnnotatePart",
        "Jobs",
        "SubmitJob",
        "ReadJob",
        "TransformStart",
        "TransformLook",
        "Transform",
        "TrainingTrain",
        "TrainingWatch",
        "TrainingCorrect",
        "Training",
        "Promotion",
    ]


def test_a_variant_of_another_name_is_the_one_that_is_watched(app: cdk.App, model_data: ModelData) -> None:
    stage = replace(PROD, variant=RealTime(instance_type="ml.m5.large", instance_count=2, variant_name="Blue"))
    stack = TextClassificationStack(app, "Stack", model_data=model_data, stage=stage)

    watched = {
        dimension["Value"]
        for alarm in properties(stack, "AWS::CloudWatch::Alarm")
        for dimension in alarm["Dimensions"]
        if dimension["Name"] == "VariantName"
    }

    assert watched == {"Blue"}


def test_the_function_calls_this_endpoint_and_may_call_no_other(app: cdk.App, model_data: ModelData) -> None:
    stack = TextClassificationStack(app, "Stack", model_data=model_data)

    (endpoint_id,) = (name for name, each in resources_of(stack).items() if each["Type"] == "AWS::SageMaker::Endpoint")
    (classify,) = (
        function
        for function in properties(stack, "AWS::Lambda::Function")
        if function["Handler"].endswith("classify.handler")
    )
    allowed = [each["Resource"] for each in statements(stack) if each["Action"] == "sagemaker:InvokeEndpoint"]

    assert classify["Environment"]["Variables"]["ENDPOINT_NAME"] == {"Fn::GetAtt": [endpoint_id, "EndpointName"]}
    assert allowed == [{"Ref": endpoint_id}] * 2  # classify and consumer; the ARN as SageMaker writes it, in lower case
    assert "undefined" not in text_of(stack)


def test_functions_and_model_run_in_the_vpc_that_is_handed_in(app: cdk.App, model_data: ModelData) -> None:
    stack = cdk.Stack(app, "Stack")
    TextClassification(stack, "System", model_data=model_data, stage=PROD, vpc=vpc_of(stack))

    # The database's functions call AWS's interfaces only, and prepare the network itself.
    functions = [
        function
        for function in properties(stack, "AWS::Lambda::Function")
        if not function["Handler"].endswith(("migrate.handler", "close_security_group.handler"))
    ]

    assert [function["VpcConfig"]["SubnetIds"] for function in functions] == [["subnet-1", "subnet-2"]] * 30
    assert only(stack, "AWS::SageMaker::Model")["VpcConfig"]["Subnets"] == ["subnet-1", "subnet-2"]


def test_a_serverless_endpoint_in_a_vpc_is_refused(app: cdk.App, model_data: ModelData) -> None:
    stack = cdk.Stack(app, "Stack")

    with pytest.raises(InvalidPropsError, match="Serverless with a model in a VPC"):
        TextClassification(stack, "System", model_data=model_data, stage=DEV, vpc=vpc_of(stack))


def test_framework_and_platform_can_be_handed_in(app: cdk.App) -> None:
    stack = cdk.Stack(app, "Stack")
    image = "111122223333.dkr.ecr.us-east-1.amazonaws.com/classifier:1"
    TextClassification(
        stack,
        "System",
        model_data=ModelData.from_bucket(s3.Bucket.from_bucket_name(stack, "Models", "models"), "1/model.tar.gz"),
        framework=Framework.custom(image),
        lambda_platform=LambdaPlatform(python="3.12", architecture="x86_64"),
    )

    assert only(stack, "AWS::SageMaker::Model")["PrimaryContainer"]["Image"] == image
    assert {
        (function["Runtime"], *function["Architectures"]) for function in properties(stack, "AWS::Lambda::Function")
    } == {("python3.12", "x86_64")}


@pytest.mark.parametrize("feedback", [True, False])
def test_texts_are_kept_where_labels_can_be_corrected_and_only_there(
    app: cdk.App, model_data: ModelData, feedback: bool
) -> None:
    stack = TextClassificationStack(app, "Stack", model_data=model_data, feedback=feedback)

    paths = {resource["PathPart"] for resource in properties(stack, "AWS::ApiGateway::Resource")}
    environments = [function["Environment"]["Variables"] for function in properties(stack, "AWS::Lambda::Function")]
    writers = [
        statement for statement in statements(stack) if "results/requests/*" in json.dumps(statement["Resource"])
    ]
    assert ("feedback" in paths) is feedback
    assert any("REQUESTS_BUCKET" in variables for variables in environments) is feedback
    assert bool(writers) is feedback


ALL_WRONG = replace(
    DEV,
    name="a/b",
    variant=Serverless(memory_size_mb=1000),
    noncurrent_version_days=0,
    access_log_days=-1,
    throttling_rate_limit=0,
    throttling_burst_limit=0,
    api_thresholds=ApiThresholds(server_error_rate=5),
    endpoint_thresholds=EndpointThresholds(model_latency=cdk.Duration.seconds(90)),
)
STAGE_PROBLEMS = [
    "stage: name is 'a/b': must be 1 to 128 letters, digits, hyphens or underscores",
    "stage: throttling_rate_limit is 0 requests per second: must be at least 1",
    "stage: throttling_burst_limit is 0 requests: must be at least 1",
    "stage: variant: memory_size_mb is 1000: must be one of 1024, 2048, 3072, 4096, 5120, 6144",
    "stage: noncurrent_version_days is 0 days: must be at least 1",
    "stage: access_log_days is -1 days: must be at least 1",
    "stage: api_thresholds.server_error_rate is 5: must be above 0 and at most 1, as a share of requests",
    "stage: endpoint_thresholds.model_latency is 90000 ms: must be from 1 to 60000 ms",
]
PLATFORM_PROBLEM = "lambda_platform: python is '2.7': must be one of '3.11', '3.12', '3.13', '3.14'"


@pytest.mark.parametrize("construct", [TextClassification, TextClassificationStack])
def test_everything_wrong_is_said_at_once_in_the_words_of_the_stage(
    stack: cdk.Stack, construct: type[TextClassification | TextClassificationStack]
) -> None:
    with pytest.raises(InvalidPropsError) as caught:
        construct(
            stack,
            "System",
            model_data=ModelData.from_directory("nowhere"),
            framework=Framework.scikit_learn("9.9"),
            stage=ALL_WRONG,
            lambda_platform=LambdaPlatform(python="2.7"),
        )

    *found, directory, version = caught.value.problems
    assert caught.value.subject.startswith("TextClassification 'Stack/System")
    assert found == [*STAGE_PROBLEMS, PLATFORM_PROBLEM]
    assert directory.startswith("model directory 'nowhere' does not exist")
    assert version.startswith("version is '9.9'")


def test_what_does_not_go_together_is_said_with_what_is_wrong_by_itself(app: cdk.App, model_data: ModelData) -> None:
    stack = cdk.Stack(app, "Stack")

    with pytest.raises(InvalidPropsError) as caught:
        TextClassification(
            stack,
            "System",
            model_data=model_data,
            framework=Framework.pytorch(processor="gpu"),
            stage=ALL_WRONG,
            vpc=vpc_of(stack),
            lambda_platform=LambdaPlatform(python="2.7"),
        )

    assert list(caught.value.problems) == [
        *STAGE_PROBLEMS,
        PLATFORM_PROBLEM,
        "Serverless with a model in a VPC: leave the model's vpc out, or use RealTime",
        "Serverless with an image for GPUs: take the image for cpu, or use RealTime",
    ]


def test_a_model_package_brings_its_own_image(app: cdk.App) -> None:
    package = "arn:aws:sagemaker:us-east-1:111122223333:model-package/reviews/7"
    stack = TextClassificationStack(app, "Stack", model_data=ModelData.from_model_package(package))

    assert only(stack, "AWS::SageMaker::Model")["PrimaryContainer"] == {"ModelPackageName": package}


def test_two_systems_do_not_meet(model_data: ModelData) -> None:
    # More than CloudFormation's 500 resources together, so each has a stack; but an account has both.
    stack = cdk.Stack(cdk.App(context={"@aws-cdk/core:stackResourceLimit": 0}), "Stack")
    TextClassification(stack, "Reviews", model_data=model_data)
    TextClassification(stack, "Mail", model_data=model_data, stage=PROD)

    assert len(all_of(stack, "AWS::SageMaker::Endpoint")) == 2
    assert len({api["Name"] for api in properties(stack, "AWS::ApiGateway::RestApi")}) == 2
    groups = properties(stack, "AWS::SageMaker::ModelPackageGroup")
    assert len({group["ModelPackageGroupName"] for group in groups}) == 2
    told = [each["Properties"]["NamePrefix"] for each in all_of(stack, "Custom::ModelInService")]
    assert len(set(told)) == 2


def test_a_missing_model_is_an_error_that_names_the_directory(app: cdk.App) -> None:
    with pytest.raises(InvalidPropsError, match="nowhere"):
        TextClassificationStack(app, "Stack", model_data=ModelData.from_directory("nowhere"))


def vpc_of(stack: cdk.Stack) -> ec2.IVpc:
    return ec2.Vpc.from_vpc_attributes(
        stack,
        "Vpc",
        vpc_id="vpc-1",
        vpc_cidr_block="10.0.0.0/16",
        availability_zones=["us-east-1a", "us-east-1b"],
        private_subnet_ids=["subnet-1", "subnet-2"],
        private_subnet_route_table_ids=["table-1", "table-2"],
    )


def test_training_and_transforms_of_the_whole_system_are_told_what_they_would_be_told_alone(
    app: cdk.App, model_data: ModelData
) -> None:
    stack = TextClassificationStack(
        app,
        "Stack",
        model_data=model_data,
        training_options={
            "max_spot_wait": cdk.Duration.hours(8),
            "schedule": events.Schedule.rate(cdk.Duration.days(7)),
            "schedule_input": {"dataset": "datasets/reviews/"},
        },
        transform_options={"instance_count": 3, "start_on_upload": True},
    )

    definitions = [
        json.dumps(machine["DefinitionString"]) for machine in properties(stack, "AWS::StepFunctions::StateMachine")
    ]
    assert any('\\"EnableManagedSpotTraining\\":true' in each for each in definitions)
    assert any('\\"InstanceCount\\":3' in each for each in definitions)
    rules = [rule for rule in properties(stack, "AWS::Events::Rule") if "StateMachine" in json.dumps(rule["Targets"])]
    assert {rule.get("ScheduleExpression") for rule in rules} == {"rate(7 days)", None}


@pytest.mark.parametrize(
    ("options", "construct", "own"),
    [
        (TrainingOptions, TrainingWorkflow, {"artifacts", "promoted_model", "endpoint", "script"}),
        (TransformOptions, BatchTransform, {"artifacts", "endpoint", "model_roles"}),
    ],
)
def test_options_are_all_arguments_that_the_system_does_not_give_itself(
    options: type, construct: type, own: set[str]
) -> None:
    common = {"log_retention", "removal_policy", "vpc", "encryption_key", "lambda_platform"}
    arguments = set(inspect.signature(vars(construct)["__init__"]).parameters) - {"self", "scope", "construct_id"}

    assert set(options.__annotations__) == arguments - own - common


def test_options_of_what_there_is_not_are_refused(app: cdk.App) -> None:
    stack = cdk.Stack(app, "Stack")
    many = ModelData.multi_model(s3.Bucket.from_bucket_name(stack, "Models", "models"), "many/")
    with pytest.raises(InvalidPropsError) as refusal:
        TextClassification(
            stack,
            "System",
            model_data=many,
            training_options={"approval": True, "vpc": None},  # type: ignore[arg-type]
            transform_options={"instance_count": 3},
        )

    assert "training_options: nothing is trained" in str(refusal.value)
    assert "training_options.vpc is not known: it has approval, " in str(refusal.value)
    assert "transform_options: SageMaker labels no files by many models" in str(refusal.value)
