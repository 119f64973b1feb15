"""Ends of trainings that take days, or that something has to break for: entered in the middle."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import boto3
import pytest

from tests.trainings.states import System, ended, states_of

pytestmark = pytest.mark.e2e


def moving(system: System, config: str) -> dict[str, object]:
    """Return a task that begins to move the endpoint: within the execution, for it does not take long."""
    arguments = {"EndpointName": system.stack.outputs["EndpointName"], "EndpointConfigName": config}
    return {"Resource": "arn:aws:states:::aws-sdk:sagemaker:updateEndpoint", "Arguments": arguments}


def better(system: System) -> dict[str, Any]:
    """Return the variables of a training whose model is better, and registered."""
    variables = system.training()
    client = boto3.client("sagemaker")
    package = client.create_model_package(
        ModelPackageGroupName=system.stack.outputs["ModelPackageGroupName"],
        ModelApprovalStatus="PendingManualApproval",
        InferenceSpecification={
            "Containers": [{"Image": "image", "ModelDataUrl": variables["selection"]["best"]["model_artifacts"]}],
            "SupportedContentTypes": ["application/json"],
            "SupportedResponseMIMETypes": ["application/json"],
        },
    )
    judgement = {**variables["judgement"], "promote": True, "reason": "better"}
    return {**variables, "package_arn": package["ModelPackageArn"], "judgement": judgement, "verdict": "better"}


def approval(variables: Mapping[str, Any]) -> str:
    package = boto3.client("sagemaker").describe_model_package(ModelPackageName=variables["package_arn"])
    return str(package["ModelApprovalStatus"])


def test_a_model_that_nobody_approves_in_time_is_rejected(system: System) -> None:
    variables = better(system)
    with system.going_on("Training", "AskForApproval", variables, TimeoutSeconds=2) as execution:
        outcome = json.loads(ended(execution)["output"])

    assert outcome["outcome"] == "rejected"
    assert outcome["reason"] == "better; nobody approved it in time"
    assert approval(variables) == "Rejected"


def test_a_promotion_that_fails_fails_its_training_and_rejects_the_model(system: System) -> None:
    variables = better(system)
    before = system.call("TrainingPromotionInService", {})
    variables["in_service"] = {**before, "model_data": "s3://another/model.tar.gz"}  # a faster training's
    with system.going_on("Training", "PromoteModel", variables) as execution:
        failed = ended(execution)

    assert failed["status"] == "FAILED"
    assert failed["cause"].startswith("the model was compared with s3://another/model.tar.gz, and meanwhile"), failed
    assert approval(variables) == "Rejected"
    assert system.call("TrainingPromotionInService", {}) == before


def test_a_promotion_that_finds_the_endpoint_moving_gives_way_and_plans_anew(system: System) -> None:
    client = boto3.client("sagemaker")
    with promotion_of_what_serves(system) as variables, promotion_of_what_serves(system) as others:
        busy = moving(system, others["plan"]["name"])
        with system.going_on("Promotion", "UpdateEndpoint", variables, before=busy, Retry=[]) as execution:
            ended(execution)  # by this other state machine, whose executions the function may not list
            states = states_of(execution)

        expected = ["UpdateEndpoint", "FindMove", "IsOwnMove", "IsEndpointBusy", "GiveWay", "PlanPromotion"]
        assert states[2 : 2 + len(expected)] == expected
        assert client.list_models(NameContains=variables["plan"]["name"])["Models"] == []


@contextmanager
def promotion_of_what_serves(system: System) -> Iterator[dict[str, Any]]:
    """Yield the variables of a promotion of the archive in service, whose model and configuration are made.

    Afterwards the endpoint is as it was.
    """
    client, name = boto3.client("sagemaker"), system.stack.outputs["EndpointName"]
    config = client.describe_endpoint(EndpointName=name)["EndpointConfigName"]
    variables = system.promotion()
    plan = variables["plan"]
    plan["create_model"]["PrimaryContainer"]["ModelDataUrl"] = system.call("TrainingPromotionInService", {})[
        "model_data"
    ]
    plan["remember"]["Value"] = json.dumps({"current": None, "previous": None})
    client.create_model(**plan["create_model"])
    client.create_endpoint_config(**plan["create_endpoint_config"])
    try:
        yield variables
    finally:
        client.update_endpoint(EndpointName=name, EndpointConfigName=config)
        client.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig={"Delay": 1})
        with suppress(client.exceptions.ClientError):  # what gave way is gone
            client.delete_endpoint_config(EndpointConfigName=plan["name"])
            client.delete_model(ModelName=plan["name"])


HASTY: dict[str, dict[str, object]] = {"CreateEndpointConfig": {"Retry": []}, "WaitForEndpoint": {"Seconds": 1}}
PROMOTED = ["RememberModel", "AwaitDeployments", "IsStillInService", "DeleteOldModels", "Promoted"]


def test_a_promotion_goes_on_with_what_was_made_though_the_answers_got_lost(system: System) -> None:
    with (
        promotion_of_what_serves(system) as variables,
        system.going_on("Promotion", "CreateModel", variables, others=HASTY, Retry=[]) as execution,
    ):
        found = ended(execution)
        states = states_of(execution)

    assert found["status"] == "SUCCEEDED", found["cause"]
    assert states[1:5] == ["CreateModel", "IsModelMade", "CreateEndpointConfig", "IsEndpointConfigMade"]
    assert states[-5:] == PROMOTED


def test_a_promotion_does_not_give_way_to_itself_when_the_answer_got_lost(system: System) -> None:
    with promotion_of_what_serves(system) as variables:
        busy = moving(system, variables["plan"]["name"])
        with system.going_on(
            "Promotion", "UpdateEndpoint", variables, before=busy, others=HASTY, Retry=[]
        ) as execution:
            found = ended(execution)
            states = states_of(execution)

    assert found["status"] == "SUCCEEDED", found["cause"]
    assert states[2:6] == ["UpdateEndpoint", "FindMove", "IsOwnMove", "WaitForEndpoint"]
    assert states[-5:] == PROMOTED


def test_a_promotion_that_fails_when_it_moves_the_endpoint_again_is_not_remembered(system: System) -> None:
    variables, ssm = system.promotion(), boto3.client("ssm")
    forget = variables["plan"]["forget"]
    before = json.loads(forget["Value"])
    ssm.put_parameter(**variables["plan"]["remember"])

    with system.going_on("Promotion", "AwaitDeployments", variables) as execution:
        ended(execution)  # as this other state machine is none whose executions the function may list
        states = states_of(execution)

    assert states[1:5] == ["AwaitDeployments", "IsStillInService", "GiveWay", "PlanPromotion"]
    assert states[5:] == ["IsRemembered", "ForgetModel", "TellFailure", "NotPromoted"]
    assert json.loads(ssm.get_parameter(Name=forget["Name"])["Parameter"]["Value"]) == before
