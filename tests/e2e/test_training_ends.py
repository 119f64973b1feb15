"""Ends of trainings that take days, or that something has to break for: entered in the middle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import boto3
import pytest

from tests.trainings.states import System, ended, states_of

pytestmark = pytest.mark.e2e


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
    client, name = boto3.client("sagemaker"), system.stack.outputs["EndpointName"]
    variables = system.promotion()
    plan = variables["plan"]
    in_service = system.call("TrainingPromotionInService", {})["model_data"]
    container = {**plan["create_model"]["PrimaryContainer"], "ModelDataUrl": in_service}
    client.create_model(**{**plan["create_model"], "PrimaryContainer": container})
    client.create_endpoint_config(**plan["create_endpoint_config"])
    config = client.describe_endpoint(EndpointName=name)["EndpointConfigName"]

    client.update_endpoint(EndpointName=name, EndpointConfigName=config)
    with system.going_on("Promotion", "UpdateEndpoint", variables, Retry=[]) as execution:
        ended(execution)  # by this other state machine, whose executions the function may not list
        states = states_of(execution)

    assert states[:5] == ["Given", "UpdateEndpoint", "IsEndpointBusy", "GiveWay", "PlanPromotion"]
    assert client.list_models(NameContains=plan["name"])["Models"] == []
    client.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig={"Delay": 1})
