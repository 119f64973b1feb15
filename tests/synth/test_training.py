"""The training workflow and what remembers the model in service, in the template."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_events as events
from aws_cdk import aws_kms as kms

from sm_constructs import (
    ArtifactStore,
    Endpoint,
    Framework,
    InvalidPropsError,
    Model,
    ModelData,
    ModelPromotion,
    Monitoring,
    PromotedModel,
    RealTime,
    Serverless,
    TrainingScript,
    TrainingWorkflow,
)
from sm_constructs.endpoint import Canary, CapacitySize
from sm_constructs.monitoring import StateMachineThresholds
from sm_constructs.training.states import STATES_AFTER_FAILURES
from tests.synth.templates import all_of, only, resources_of, statements

pytestmark = pytest.mark.usefixtures("bundles")
DOCS = Path(__file__).parents[2] / "docs"
MODEL = DOCS / "examples/model"


def trained(stack: cdk.Stack, **arguments: Any) -> TrainingWorkflow:
    artifacts = arguments.pop("artifacts", None) or ArtifactStore(
        stack, "Artifacts", encryption_key=arguments.get("encryption_key")
    )
    promoted = PromotedModel(stack, "Promoted", initial=ModelData.from_directory(MODEL), artifacts=artifacts)
    model = Model(stack, "Model", data=promoted.data, framework=arguments.pop("framework", Framework.scikit_learn()))
    endpoint = Endpoint(
        stack,
        "Endpoint",
        model=model,
        variant=arguments.pop("variant", RealTime(instance_type="ml.m5.large", instance_count=2)),
        deployment=arguments.pop("deployment", None),
        encryption_key=arguments.pop("endpoint_key", None),
    )
    return TrainingWorkflow(
        stack, "Training", artifacts=artifacts, promoted_model=promoted, endpoint=endpoint, **arguments
    )


def definition(stack: cdk.Stack, *, promotion: bool = False) -> dict[str, Any]:
    """Return a state machine's definition, its references by logical ids."""
    (machine,) = [
        resource
        for name, resource in resources_of(stack).items()
        if resource["Type"] == "AWS::StepFunctions::StateMachine" and ("Promotion" in name) is promotion
    ]
    parts = machine["Properties"]["DefinitionString"]["Fn::Join"][1]
    text = "".join(part if isinstance(part, str) else _name(part) for part in parts)
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def _name(reference: dict[str, Any]) -> str:
    value = next(iter(reference.values()))
    return value if isinstance(value, str) else str(value[0])


def training_job(stack: cdk.Stack) -> dict[str, Any]:
    states = definition(stack)["States"]["Trials"]["ItemProcessor"]["States"]
    arguments: dict[str, Any] = states["TrainModel"]["Arguments"]
    return arguments


def evaluation_job(stack: cdk.Stack) -> dict[str, Any]:
    arguments: dict[str, Any] = definition(stack)["States"]["PackageAndEvaluate"]["Arguments"]
    return arguments


def serves(stack: cdk.Stack) -> str:
    return str(only(stack, "Custom::ModelInService")["Serves"])


def test_jobs_are_isolated_and_talk_encrypted(stack: cdk.Stack) -> None:
    trained(stack)

    job = training_job(stack)
    assert (job["EnableNetworkIsolation"], job["EnableInterContainerTrafficEncryption"]) == (True, True)
    assert job["EnableManagedSpotTraining"] is False
    assert job["StoppingCondition"] == {"MaxRuntimeInSeconds": 4 * 3600}
    assert "VpcConfig" not in job
    assert evaluation_job(stack)["NetworkConfig"] == {
        "EnableNetworkIsolation": True,
        "EnableInterContainerTrafficEncryption": True,
    }


def test_what_jobs_run_on_is_what_was_asked_for(stack: cdk.Stack) -> None:
    vpc = ec2.Vpc(stack, "Vpc")
    trained(
        stack,
        encryption_key=kms.Key(stack, "Key"),
        evaluation_instance_type="ml.c5.large",
        instance_type="ml.m5.2xlarge",
        max_runtime=cdk.Duration.hours(1),
        max_spot_wait=cdk.Duration.hours(2),
        network_isolation=False,
        tags={"team": "reviews"},
        volume_size_gb=50,
        vpc=vpc,
    )

    job = training_job(stack)
    key = {"VolumeKmsKeyId": job["OutputDataConfig"]["KmsKeyId"]}
    assert key["VolumeKmsKeyId"].startswith("Key")
    assert job["ResourceConfig"] == {
        "InstanceType": "ml.m5.2xlarge",
        "InstanceCount": "{% $states.input.plan.instance_count %}",
        "VolumeSizeInGB": 50,
        **key,
    }
    assert job["StoppingCondition"] == {"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 7200}
    assert (job["EnableManagedSpotTraining"], job["EnableNetworkIsolation"]) == (True, False)
    assert "checkpoints/" in job["CheckpointConfig"]["S3Uri"]
    assert len(job["VpcConfig"]["Subnets"]) == 2
    assert {"Key": "team", "Value": "reviews"} in job["Tags"]
    cluster = evaluation_job(stack)["ProcessingResources"]["ClusterConfig"]
    assert cluster == {"InstanceCount": 1, "InstanceType": "ml.c5.large", "VolumeSizeInGB": 50, **key}


def test_what_jobs_write_has_the_key_of_the_bucket_and_evaluation_ends_within_nine_days(stack: cdk.Stack) -> None:
    artifacts = ArtifactStore(stack, "Store")
    trained(
        stack,
        artifacts=artifacts,
        encryption_key=kms.Key(stack, "Key"),
        evaluation_instance_type="ml.g5.xlarge",
        max_runtime=cdk.Duration.days(20),
    )

    assert "KmsKeyId" not in training_job(stack)["OutputDataConfig"]
    job = evaluation_job(stack)
    assert "KmsKeyId" not in job["ProcessingOutputConfig"]
    assert "VolumeKmsKeyId" not in job["ProcessingResources"]["ClusterConfig"]  # its storage encrypts itself
    assert "VolumeKmsKeyId" in training_job(stack)["ResourceConfig"]
    assert job["StoppingCondition"] == {"MaxRuntimeInSeconds": 9 * 86_400}


def test_an_endpoint_with_a_key_of_its_own_is_updated_with_a_grant(stack: cdk.Stack) -> None:
    trained(stack, endpoint_key=kms.Key(stack, "VolumeKey"))

    (granting,) = [each for each in statements(stack) if each["Action"] == "kms:CreateGrant"]
    assert granting["Condition"] == {"Bool": {"kms:GrantIsForAWSResource": "true"}}
    assert granting["Resource"]["Fn::GetAtt"][0].startswith("VolumeKey")


def test_warm_pools_are_kept_as_long_as_asked_for(stack: cdk.Stack) -> None:
    trained(stack, keep_alive=cdk.Duration.minutes(20))

    assert training_job(stack)["ResourceConfig"]["KeepAlivePeriodInSeconds"] == 1200


def test_several_instances_get_shards(stack: cdk.Stack) -> None:
    trained(stack)

    train, *others = training_job(stack)["InputDataConfig"]
    assert "ShardedByS3Key" in train["DataSource"]["S3DataSource"]["S3DataDistributionType"]
    assert {each["DataSource"]["S3DataSource"]["S3DataDistributionType"] for each in others} == {"FullyReplicated"}


def test_metrics_get_into_cloudwatch(stack: cdk.Stack) -> None:
    trained(stack)

    names = [each["Name"] for each in training_job(stack)["AlgorithmSpecification"]["MetricDefinitions"]]
    assert names == ["validation:macro_f1", "validation:accuracy"]


def test_pytorch_is_another_script_on_other_images(stack: cdk.Stack) -> None:
    trained(stack, script=TrainingScript.pytorch(), framework=Framework.pytorch("2.6.0"))

    job = training_job(stack)
    assert "pytorch-training:2.6.0-cpu" in job["AlgorithmSpecification"]["TrainingImage"]
    assert "'sagemaker_program': 'torch_train.py'" in job["HyperParameters"]
    register = definition(stack)["States"]["RegisterModel"]["Arguments"]
    (container,) = register["InferenceSpecification"]["Containers"]
    assert "pytorch-inference:2.6.0-cpu" in container["Image"]


def test_models_of_another_image_are_refused(stack: cdk.Stack) -> None:
    with pytest.raises(InvalidPropsError, match="a promotion replaces the archive, not the image"):
        trained(stack, script=TrainingScript.pytorch())


def _all_states(states: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for name, state in states.items():
        found.append((name, state))
        if "ItemProcessor" in state:
            found += _all_states(state["ItemProcessor"]["States"])
    return found


@pytest.mark.parametrize("promotion", [False, True])
def test_whatever_calls_a_service_is_repeated_with_jitter_and_has_a_catch(stack: cdk.Stack, promotion: bool) -> None:
    trained(stack)

    states = _all_states(definition(stack, promotion=promotion)["States"])
    for name, state in states:
        if state["Type"] == "Task":
            assert all(each["JitterStrategy"] == "FULL" for each in state["Retry"]), name
            assert all(each["MaxAttempts"] > 0 for each in state["Retry"]), name
    assert not {name for name, state in states if state["Type"] in ("Task", "Map") and "Catch" not in state}


def test_every_failure_ends_in_one_place(stack: cdk.Stack) -> None:
    trained(stack)

    states = definition(stack)["States"]
    after_the_model_is_judged = {"Announce"}
    handled = set(STATES_AFTER_FAILURES)
    for name, state in states.items():
        if name in handled | after_the_model_is_judged:
            continue
        for catcher in state.get("Catch", []):
            if catcher["ErrorEquals"] == ["States.ALL"]:
                assert catcher["Next"] == "ExplainFailure", name
                assert catcher["Assign"]["failed_state"] == name
    assert [name for name, state in states.items() if state["Type"] == "Fail"] == ["Failed"]


def test_nothing_is_allowed_on_everything(stack: cdk.Stack) -> None:
    trained(stack, encryption_key=kms.Key(stack, "Key"))

    without_resources = {
        "cloudwatch:PutMetricData",
        "ecr:GetAuthorizationToken",
        "sagemaker:ListEndpointConfigs",
        "sagemaker:ListModels",
    }
    for statement in statements(stack):
        if statement["Resource"] == "*":
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            assert all(action in without_resources or action.startswith(("xray:", "logs:")) for action in actions), (
                statement
            )


def test_roles_are_passed_to_sagemaker_alone(stack: cdk.Stack) -> None:
    trained(stack)

    passing = [each for each in statements(stack) if each["Action"] == "iam:PassRole"]
    assert len(passing) == 2  # of jobs, and of the model that is promoted
    for statement in passing:
        assert statement["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
        assert "Fn::GetAtt" in statement["Resource"]


def test_grants_of_keys_are_for_awss_own_services_alone(stack: cdk.Stack) -> None:
    trained(stack, encryption_key=kms.Key(stack, "Key"))

    granting = [each for each in statements(stack) if "kms:CreateGrant" in each["Action"]]
    assert len(granting) == 2  # of who makes jobs, and of jobs
    for statement in granting:
        assert statement["Action"] == "kms:CreateGrant"
        assert statement["Condition"] == {"Bool": {"kms:GrantIsForAWSResource": "true"}}


def test_versions_of_models_are_updated_and_not_their_group(stack: cdk.Stack) -> None:
    trained(stack)

    (updating,) = [each for each in statements(stack) if "sagemaker:UpdateModelPackage" in each["Action"]]
    assert updating["Action"] == "sagemaker:UpdateModelPackage"
    assert "model-package/" in json.dumps(updating["Resource"])
    assert "model-package-group/" not in json.dumps(updating["Resource"])


def test_what_writes_in_parts_may_take_them_back(stack: cdk.Stack) -> None:
    trained(stack)

    for statement in statements(stack):
        if "s3:PutObject" in statement["Action"] and statement["Action"] != "s3:PutObject":
            assert "s3:AbortMultipartUpload" in statement["Action"]
    (plan,) = [each for each in statements(stack) if each["Action"] == "s3:PutObject"]
    assert plan["Resource"]["Fn::Join"][1][1] == "/trainings/work/*"


def test_a_promotion_moves_as_a_deployment_would(stack: cdk.Stack) -> None:
    trained(stack, deployment=Canary(canary_size=CapacitySize.percent(50), bake_time=cdk.Duration.minutes(1)))

    (plan,) = [
        resource["Properties"]["Environment"]["Variables"]
        for resource in all_of(stack, "AWS::Lambda::Function")
        if resource["Properties"]["Handler"].endswith("promote.plan")
    ]
    request = json.loads(plan["UPDATE_ENDPOINT"])
    policy = request["DeploymentConfig"]["BlueGreenUpdatePolicy"]
    assert policy["TrafficRoutingConfiguration"] == {
        "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 50},
        "Type": "CANARY",
        "WaitIntervalInSeconds": 60,
    }
    assert request["RetainAllVariantProperties"] is True
    assert "ExcludeRetainedVariantProperties" not in request


def test_the_alarms_of_the_endpoint_watch_its_promotions_too(stack: cdk.Stack) -> None:
    metric = cloudwatch.Metric(namespace="Reviews", metric_name="Refused")
    alarm = cloudwatch.Alarm(stack, "Refused", metric=metric, threshold=1, evaluation_periods=1)
    trained(stack, deployment=Canary(canary_size=CapacitySize.percent(50), alarms=[alarm]))

    environments = [each["Properties"]["Environment"]["Variables"] for each in all_of(stack, "AWS::Lambda::Function")]
    (request,) = [each["UPDATE_ENDPOINT"] for each in environments if "UPDATE_ENDPOINT" in each]
    name = "Stack-Refused"
    told = "".join(part if isinstance(part, str) else name for part in request["Fn::Join"][1])
    rollback = json.loads(told)["DeploymentConfig"]["AutoRollbackConfiguration"]
    assert rollback == {"Alarms": [{"AlarmName": name}]}
    assert stack.resolve(alarm.alarm_name) in request["Fn::Join"][1]


def test_a_serverless_endpoint_has_nothing_to_retain(stack: cdk.Stack) -> None:
    trained(stack, variant=Serverless())

    environments = [each["Properties"]["Environment"]["Variables"] for each in all_of(stack, "AWS::Lambda::Function")]
    (request,) = [each["UPDATE_ENDPOINT"] for each in environments if "UPDATE_ENDPOINT" in each]
    assert json.loads(request) == {}


def test_the_model_is_made_of_what_the_deployment_is_told(stack: cdk.Stack) -> None:
    trained(stack)

    (told,) = [name for name, each in resources_of(stack).items() if each["Type"] == "Custom::ModelInService"]
    container = only(stack, "AWS::SageMaker::Model")["PrimaryContainer"]
    assert container["ModelDataUrl"] == {"Fn::GetAtt": [told, "ModelDataUrl"]}


def test_a_deployment_asks_again_when_it_would_change_the_endpoint_and_only_then() -> None:
    def deployed(**arguments: Any) -> str:
        stack = cdk.Stack(cdk.App(), "Stack")
        workflow = trained(stack, **arguments)
        if arguments.get("max_trials"):
            stack.tags.set_tag("x", "y")
        assert workflow
        return serves(stack)

    before = deployed()
    assert deployed(max_trials=7) == before
    assert deployed(variant=RealTime(instance_type="ml.m5.large", instance_count=3)) != before
    assert deployed(deployment=Canary()) != before


def test_scaling_that_is_added_later_counts_too() -> None:
    def deployed(*, scaled: bool) -> str:
        stack = cdk.Stack(cdk.App(), "Stack")
        trained(stack)
        endpoint = stack.node.find_child("Endpoint")
        assert isinstance(endpoint, Endpoint)
        if scaled:
            endpoint.auto_scale_instance_count(min_capacity=2, max_capacity=4)
        return serves(stack)

    assert deployed(scaled=True) != deployed(scaled=False)


def test_nothing_starts_by_itself_unless_asked_to(stack: cdk.Stack) -> None:
    trained(stack)

    assert all_of(stack, "AWS::Events::Rule") == []


def test_uploads_and_schedules_start_executions(stack: cdk.Stack) -> None:
    trained(
        stack,
        start_on_upload=True,
        schedule=events.Schedule.rate(cdk.Duration.days(7)),
        schedule_input={"dataset": "datasets/reviews/"},
    )

    rules = {str(each["Properties"].get("ScheduleExpression")): each for each in all_of(stack, "AWS::Events::Rule")}
    assert rules["None"]["Properties"]["EventPattern"]["detail"]["object"] == {
        "key": [{"wildcard": "datasets/incoming/*.jsonl"}, {"wildcard": "datasets/incoming/*.csv"}]
    }
    (target,) = rules["rate(7 days)"]["Properties"]["Targets"]
    assert json.loads(target["Input"]) == {"dataset": "datasets/reviews/"}


def test_a_time_that_step_functions_does_not_know_is_refused_for_promotions(stack: cdk.Stack) -> None:
    promoted = PromotedModel(
        stack, "Promoted", initial=ModelData.from_directory(MODEL), artifacts=ArtifactStore(stack, "Artifacts")
    )
    model = Model(stack, "Model", data=promoted.data, framework=Framework.scikit_learn())
    endpoint = Endpoint(stack, "Endpoint", model=model, variant=Serverless())

    with pytest.raises(InvalidPropsError, match=r"timeout is 1\.5 seconds: must be whole seconds from 1 to 5256000"):
        ModelPromotion(
            stack, "Promotion", promoted_model=promoted, endpoint=endpoint, timeout=cdk.Duration.millis(1_500)
        )


def test_a_model_is_promoted_at_one_endpoint_alone(stack: cdk.Stack) -> None:
    artifacts = ArtifactStore(stack, "Artifacts")
    promoted = PromotedModel(stack, "Promoted", initial=ModelData.from_directory(MODEL), artifacts=artifacts)
    model = Model(stack, "Model", data=promoted.data, framework=Framework.scikit_learn())
    first, second = [Endpoint(stack, name, model=model, variant=Serverless()) for name in ("First", "Second")]
    ModelPromotion(stack, "Promotion", promoted_model=promoted, endpoint=first)

    with pytest.raises(
        InvalidPropsError, match=r"promoted_model 'Stack/Promoted' is promoted already, at 'Stack/First'"
    ):
        ModelPromotion(stack, "Another", promoted_model=promoted, endpoint=second)


def test_what_a_schedule_would_be_refused_for_is_said_before(stack: cdk.Stack) -> None:
    schedule = events.Schedule.rate(cdk.Duration.days(1))
    wrong = {"dataset": "reviews/", "hyperparameters": {"ngrams": 3}, "trails": {}}
    with pytest.raises(InvalidPropsError) as refusal:
        trained(stack, schedule=schedule, schedule_input=wrong)

    assert "schedule_input.trails is not known: it has approval, dataset," in str(refusal.value)
    assert "schedule_input.dataset is 'reviews/': must be a *.jsonl" in str(refusal.value)
    assert "schedule_input.hyperparameters.ngrams is not known: the training script knows" in str(refusal.value)


def test_a_data_set_that_only_the_deployment_knows_is_let_through_to_a_schedule(stack: cdk.Stack) -> None:
    dataset = cdk.CfnParameter(stack, "Dataset").value_as_string
    trained(stack, schedule=events.Schedule.rate(cdk.Duration.days(1)), schedule_input={"dataset": dataset})

    assert '{"Ref": "Dataset"}' in json.dumps(all_of(stack, "AWS::Events::Rule"))


def test_all_that_is_wrong_is_said_at_once(stack: cdk.Stack) -> None:
    with pytest.raises(InvalidPropsError) as refusal:
        trained(
            stack,
            approval_timeout=cdk.Duration.seconds(5),
            instance_type="m5.xlarge",
            keep_alive=cdk.Duration.hours(2),
            margin=2,
            max_concurrent_parts=0,
            max_concurrent_trials=0,
            max_instance_count=0,
            max_runtime=cdk.Duration.seconds(5),
            max_spot_wait=cdk.Duration.seconds(1),
            max_trials=0,
            schedule=events.Schedule.rate(cdk.Duration.days(1)),
            tags={f"tag{number}": "" for number in range(49)},
            volume_size_gb=0,
        )

    for words in (
        "approval_timeout is 5 s: must be from 60 s",
        "instance_type is 'm5.xlarge'",
        "keep_alive is 7200 s",
        "keep_alive and max_spot_wait",
        "margin is 2: must be from 0 to 1",
        "max_concurrent_parts is 0",
        "max_concurrent_trials is 0",
        "max_instance_count is 0",
        "max_runtime is 5 s",
        "max_spot_wait is 1 s: must be at least max_runtime",
        "max_trials is 0",
        "schedule and schedule_input",
        "tags are 49",
        "volume_size_gb is 0",
    ):
        assert words in str(refusal.value)


def test_a_model_that_is_no_single_archive_cannot_be_promoted(stack: cdk.Stack) -> None:
    artifacts = ArtifactStore(stack, "Artifacts")
    data = ModelData.multi_model(artifacts.bucket, "models/")

    with pytest.raises(InvalidPropsError, match="initial is no single archive"):
        PromotedModel(stack, "Promoted", initial=data, artifacts=artifacts)


def test_a_script_says_what_it_lacks(tmp_path: Path, stack: cdk.Stack) -> None:
    script = TrainingScript(
        framework=Framework.scikit_learn(),
        serving=Framework.scikit_learn(),
        directory=tmp_path,
        entry_point="mine.py",
        hyperparameters={},
        metrics={"loss": "loss=(", "two": "(a)(b)"},
        model_format="pickle",
        distributed="somehow",
    )

    with pytest.raises(InvalidPropsError) as refusal:
        trained(stack, script=script)

    for words in (
        f"script has no mine.py in '{tmp_path}'",
        "script has no evaluate.py",
        "no 'validation:macro_f1'",
        "script.metrics['loss'] is no regular expression",
        "script.metrics['two'] must have one group",
        "script.model_format is 'pickle'",
        "script.distributed is 'somehow'",
    ):
        assert words in str(refusal.value)


def test_executions_that_fail_or_take_too_long_are_alarming(stack: cdk.Stack) -> None:
    workflow = trained(stack)

    segment = Monitoring(stack, "Monitoring").monitor_state_machine(workflow.state_machine, name="Training")

    assert set(segment.alarms) == {"Failed", "TimedOut"}
    alarms = {each["Properties"]["MetricName"]: each["Properties"] for each in all_of(stack, "AWS::CloudWatch::Alarm")}
    assert set(alarms) == {"ExecutionsFailed", "ExecutionsTimedOut"}
    for alarm in alarms.values():
        assert (alarm["Threshold"], alarm["EvaluationPeriods"], alarm["Period"]) == (1, 1, 300)
        (dimension,) = alarm["Dimensions"]
        assert dimension["Name"] == "StateMachineArn"


def test_thresholds_that_make_no_sense_are_refused(stack: cdk.Stack) -> None:
    with pytest.raises(InvalidPropsError, match=r"thresholds.failed is 0(.|\n)*thresholds.timed_out is 0"):
        Monitoring(stack, "Monitoring").monitor_state_machine(
            trained(stack).state_machine, name="T", thresholds=StateMachineThresholds(failed=0, timed_out=0)
        )


@pytest.mark.parametrize(
    ("picture", "promotion"), [("training", False), ("training-execution", False), ("promotion", True)]
)
def test_pictures_in_the_docs_have_the_states_that_there_are(stack: cdk.Stack, picture: str, promotion: bool) -> None:
    trained(stack)

    drawn = set(re.findall(r"<title>(\w+)</title>", (DOCS / f"{picture}.svg").read_text()))
    assert {name for name, _ in _all_states(definition(stack, promotion=promotion)["States"])} == drawn


@pytest.mark.parametrize(
    ("timeout", "pause"),
    [
        (cdk.Duration.minutes(30), 15),
        (None, "{% $looks < 200 ? 15 : 36 %}"),
        (cdk.Duration.days(60), "{% $looks < 200 ? 15 : 2880 %}"),
    ],
)
def test_a_promotion_has_looks_enough_for_its_timeout(
    stack: cdk.Stack, timeout: cdk.Duration | None, pause: int | str
) -> None:
    artifacts = ArtifactStore(stack, "Artifacts")
    promoted = PromotedModel(stack, "Promoted", initial=ModelData.from_directory(MODEL), artifacts=artifacts)
    model = Model(stack, "Model", data=promoted.data, framework=Framework.scikit_learn())
    endpoint = Endpoint(stack, "Endpoint", model=model, variant=Serverless())
    ModelPromotion(stack, "Promotion", promoted_model=promoted, endpoint=endpoint, timeout=timeout)

    waiting = definition(stack, promotion=True)["States"]["WaitForEndpoint"]["Seconds"]

    assert waiting == pause
    seldom = int(str(waiting).split()[-2]) if isinstance(waiting, str) else waiting
    looks = 200 + (timeout or cdk.Duration.hours(18)).to_seconds() / seldom
    assert looks * 9 < 20_000, "Step Functions ends an execution of 25,000 events"


def test_a_model_that_is_in_service_and_not_remembered_is_told_so_and_not_rejected(stack: cdk.Stack) -> None:
    trained(stack)

    (catcher,) = definition(stack, promotion=True)["States"]["RememberModel"]["Catch"]
    assert "ModelNotRemembered" in catcher["Assign"]["failure"]
    assert catcher["Next"] == "TellFailure"  # and not where a configuration in service would be removed
    rejecting, removing = definition(stack)["States"]["WhatIsHalfMade"]["Choices"]
    assert "/ModelNotRemembered|PromotionTimeout/" in rejecting["Condition"]
    assert "$package_arn = ''" in removing["Condition"]
