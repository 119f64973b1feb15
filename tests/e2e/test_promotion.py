"""Models are put into service by a state machine, and stay there whatever is deployed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from hyperparameters import Hyperparameters

from tests.local_aws import LocalAws
from tests.permissions import resource_of
from tests.sagemaker_account import eventually
from tests.tiny_model import train_tiny_model
from tests.trainings.stack import TrainingStack, deploy_trainings
from tests.trainings.states import states_of


def made_by_promotions(trainings: TrainingStack) -> set[str]:
    sagemaker, prefix = boto3.client("sagemaker"), trainings.outputs["NamePrefix"]
    configs = sagemaker.list_endpoint_configs(NameContains=prefix)["EndpointConfigs"]
    models = sagemaker.list_models(NameContains=prefix)["Models"]
    return {each["EndpointConfigName"] for each in configs} | {each["ModelName"] for each in models}


def archive_in_service(trainings: TrainingStack) -> str:
    client = boto3.client("sagemaker")
    config = client.describe_endpoint(EndpointName=trainings.outputs["EndpointName"])["EndpointConfigName"]
    variant = client.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"][0]
    model = client.describe_model(ModelName=variant["ModelName"])
    return str(model["PrimaryContainer"]["ModelDataUrl"])


def test_a_model_is_promoted_kept_by_deployments_and_taken_back(
    local_aws: LocalAws, trainings: TrainingStack, tmp_path: Path
) -> None:
    first = trainings.own_version
    assert trainings.version() == first
    second = train_tiny_model(tmp_path, hyperparameters=Hyperparameters(ngram_max=2, max_features=500))
    url = trainings.put_model(tmp_path)

    with trainings.calling() as calls:
        promotion = trainings.run("Promotion", {"model_data": url, "model_version": second})

    assert promotion["status"] == "SUCCEEDED", promotion["cause"]
    assert calls.failures == []
    assert set(calls.versions) <= {first, second}
    assert trainings.version() == second
    assert len(made_by_promotions(trainings)) == 1  # a model and a configuration of the same name

    # A deployment that changes nothing of the endpoint, and one that does: another configuration of the same model,
    # with another tag on everything.
    deploy_trainings(local_aws, trainings.model)
    assert trainings.version() == second
    with trainings.calling() as calls:
        deploy_trainings(local_aws, trainings.model, instance_type="ml.c5.large", owner="somebody")
    assert (calls.failures, set(calls.versions), trainings.version()) == ([], {second}, second)

    rollback = trainings.run("Promotion", {"rollback": True})
    assert rollback["status"] == "SUCCEEDED", rollback["cause"]
    assert trainings.version() == first
    value = boto3.client("ssm").get_parameter(Name=trainings.outputs["ParameterName"])["Parameter"]["Value"]
    assert json.loads(value)["current"] is None
    assert len(made_by_promotions(trainings)) == 1  # the second model's were deleted: they are not in use


@contextmanager
def changed_promotions(trainings: TrainingStack, change: Callable[[dict[str, Any]], None]) -> Iterator[None]:
    """Let the promotions that are started have other states, which a function changes."""
    client, arn = boto3.client("stepfunctions"), trainings.outputs["PromotionStateMachineArn"]
    definition = client.describe_state_machine(stateMachineArn=arn)["definition"]
    changed = json.loads(definition)
    change(changed["States"])
    client.update_state_machine(stateMachineArn=arn, definition=json.dumps(changed))
    try:
        yield
    finally:
        client.update_state_machine(stateMachineArn=arn, definition=definition)


def pause_when_remembered(states: dict[str, Any]) -> None:
    states["Pause"] = {"Type": "Wait", "Seconds": 30, "Next": states["RememberModel"]["Next"]}
    states["RememberModel"]["Next"] = "Pause"


def have_no_time(states: dict[str, Any]) -> None:
    """Take no longer than until the first look at the endpoint, which is at once."""
    (late,) = [each for each in states["HasMoved"]["Choices"] if "> 64800000" in each["Condition"]]
    late["Condition"] = late["Condition"].replace("> 64800000", "> 0")
    states["WaitForEndpoint"]["Seconds"] = 0


def test_a_rollback_that_a_deployment_has_undone_is_made_again(trainings: TrainingStack, tmp_path: Path) -> None:
    sagemaker, endpoint = boto3.client("sagemaker"), trainings.outputs["EndpointName"]
    train_tiny_model(tmp_path, hyperparameters=Hyperparameters(max_features=350))
    assert trainings.run("Promotion", {"model_data": trainings.put_model(tmp_path)})["status"] == "SUCCEEDED"
    promoted = sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]

    with changed_promotions(trainings, pause_when_remembered):
        rollback = trainings.start("Promotion", {"rollback": True})
        eventually(lambda: "Pause" in states_of(rollback))
        # As a deployment does that has asked before which model is in service.
        sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=promoted)
        sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=endpoint, WaiterConfig={"Delay": 1})
        states = states_of(rollback)
        ended = trainings.wait(rollback)

    assert states[-1] == "Pause", "the endpoint has moved too slowly for this test"
    assert ended["status"] == "SUCCEEDED", ended["cause"]
    assert states_of(rollback).count("IsStillInService") == 2
    assert trainings.version() == trainings.own_version


def test_what_a_promotion_asks_before_it_ends_waits_for_a_deployment(
    local_aws: LocalAws, trainings: TrainingStack
) -> None:
    client, stack = boto3.client("lambda"), boto3.client("cloudformation").describe_stacks(StackName="Trainings")
    function = resource_of("Trainings", "AWS::Lambda::Function", "InService")

    def asked() -> dict[str, str]:
        event = {"after_deployments_of": stack["Stacks"][0]["StackId"]}
        return dict(json.loads(client.invoke(FunctionName=function, Payload=json.dumps(event))["Payload"].read()))

    assert asked() == {"model_data": archive_in_service(trainings)}
    with ThreadPoolExecutor(1) as threads:
        deployment = threads.submit(deploy_trainings, local_aws, trainings.model, instance_type="ml.c5.xlarge")
        said = eventually(lambda: answer if "errorType" in (answer := asked()) else None)
        assert (said["errorType"], said["errorMessage"]) == (
            "DeploymentRunningError",
            "the stack is UPDATE_IN_PROGRESS",
        )
        deployment.result()

    assert asked() == {"model_data": archive_in_service(trainings)}


def test_promotions_take_turns(trainings: TrainingStack, tmp_path: Path) -> None:
    urls = {}
    for features in (300, 400):
        version = train_tiny_model(tmp_path / str(features), hyperparameters=Hyperparameters(max_features=features))
        urls[version] = trainings.put_model(tmp_path / str(features))
    before = archive_in_service(trainings)

    # Both were compared with the same model: what comes second was not compared with what is in service by then.
    started = [
        trainings.start("Promotion", {"model_data": url, "model_version": version, "replaces": before})
        for version, url in urls.items()
    ]
    ended = [trainings.wait(each) for each in started]
    assert sorted(each["status"] for each in ended) == ["FAILED", "SUCCEEDED"], ended
    (refused,) = [each for each in ended if each["status"] == "FAILED"]
    (promoted,) = [each for each in ended if each["status"] == "SUCCEEDED"]
    assert refused["error"] == "PromotionError"
    assert refused["cause"].startswith(f"the model was compared with {before}, and meanwhile ")
    assert trainings.version() == promoted["output"]["model_version"]
    refused_url = json.loads(refused["input"])["model_data"]

    # Whoever does not mind comes after it, and remembers it.
    own = trainings.put_model(trainings.model)
    started = [trainings.start("Promotion", {"model_data": url}) for url in (refused_url, own)]
    ended = [trainings.wait(each) for each in started]
    assert [each["status"] for each in ended] == ["SUCCEEDED"] * 2, ended
    order = [each["output"]["model_data"] for each in sorted(ended, key=lambda each: each["stopDate"])]
    assert archive_in_service(trainings) == order[-1]
    value = json.loads(boto3.client("ssm").get_parameter(Name=trainings.outputs["ParameterName"])["Parameter"]["Value"])
    assert [value["previous"]["model_data"], value["current"]["model_data"]] == order[-2:]
    assert len(made_by_promotions(trainings)) == 1

    # The stack's own model comes back, whatever was promoted since.
    initial = trainings.run("Promotion", {"initial": True})
    assert initial["status"] == "SUCCEEDED", initial["cause"]
    assert archive_in_service(trainings) not in urls.values()
    assert trainings.version() == trainings.own_version
    value = json.loads(boto3.client("ssm").get_parameter(Name=trainings.outputs["ParameterName"])["Parameter"]["Value"])
    assert (value["current"], value["previous"]["model_data"]) == (None, order[-1])


def test_a_model_that_cannot_be_loaded_does_not_get_into_service(trainings: TrainingStack, tmp_path: Path) -> None:
    before, made = trainings.version(), made_by_promotions(trainings)
    (tmp_path / "metadata.json").write_text("{}")

    with trainings.calling() as calls, trainings.messages() as messages:
        promotion = trainings.run("Promotion", {"model_data": trainings.put_model(tmp_path)})
        told = messages.next("promotion_failed", promotion=promotion["name"])

    assert (promotion["status"], promotion["error"]) == ("FAILED", "EndpointNotMoved")
    assert told["cause"] == promotion["cause"]
    assert (calls.failures, trainings.version()) == ([], before)
    assert made_by_promotions(trainings) == made  # what it made is gone again


def test_a_promotion_during_which_an_alarm_goes_off_is_taken_back(trainings: TrainingStack, tmp_path: Path) -> None:
    before, made = trainings.version(), made_by_promotions(trainings)
    cloudwatch, alarm = boto3.client("cloudwatch"), trainings.outputs["AlarmName"]
    train_tiny_model(tmp_path, hyperparameters=Hyperparameters(max_features=200))
    url = trainings.put_model(tmp_path)

    cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="to try it")
    try:
        with trainings.calling() as calls:
            promotion = trainings.run("Promotion", {"model_data": url})
    finally:
        cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="OK", StateReason="tried")

    assert promotion["status"] == "FAILED", promotion
    assert (promotion["status"], promotion["error"]) == ("FAILED", "EndpointNotMoved")
    assert alarm in promotion["cause"]
    assert (calls.failures, trainings.version()) == ([], before)
    assert made_by_promotions(trainings) == made  # what it made is gone again


def test_a_promotion_that_takes_too_long_says_so_and_leaves_what_the_endpoint_is_moving_to(
    trainings: TrainingStack, tmp_path: Path
) -> None:
    version = train_tiny_model(tmp_path, hyperparameters=Hyperparameters(max_features=250))
    url = trainings.put_model(tmp_path)

    with changed_promotions(trainings, have_no_time), trainings.calling() as calls, trainings.messages() as messages:
        promotion = trainings.run("Promotion", {"model_data": url})
        assert (promotion["status"], promotion.get("error")) == ("FAILED", "PromotionTimeout"), promotion
        told = messages.next("promotion_failed", promotion=promotion["name"])
        eventually(lambda: trainings.version() == version)

    assert "the endpoint is Updating after 18 hours" in promotion["cause"]
    assert told["cause"] == promotion["cause"]
    assert calls.failures == []
    again = trainings.run("Promotion", {"model_data": url})
    assert again["status"] == "SUCCEEDED", again["cause"]
    assert len(made_by_promotions(trainings)) == 1


@pytest.mark.parametrize(
    "request_", [{}, {"model_data": "model.tar.gz"}, {"rollback": True, "model_data": "s3://b/m.tar.gz"}]
)
def test_a_request_that_is_none_is_refused(trainings: TrainingStack, request_: dict[str, object]) -> None:
    with trainings.messages() as messages:
        promotion = trainings.run("Promotion", request_)
        told = messages.next("promotion_failed", promotion=promotion["name"])

    assert (promotion["status"], promotion["error"]) == ("FAILED", "PromotionError")
    assert "model_data" in promotion["cause"]
    assert "errorMessage" not in promotion["cause"]
    assert (told["error"], told["cause"], told["request"]) == (promotion["error"], promotion["cause"], request_)
