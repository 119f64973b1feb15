"""Ends of trainings that take days, or that something has to break for: entered in the middle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import boto3
import pytest

from tests.local_aws import Stack
from tests.trainings.states import System, ended

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def system(dev_stack: Stack) -> System:
    return System(dev_stack)


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
