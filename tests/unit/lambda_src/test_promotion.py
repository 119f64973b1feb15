"""What is asked of SageMaker when a model is put into service or taken out of it."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any

import pytest
from text_classification.logic.promotion import (
    EndpointBusyError,
    Memory,
    PromotionError,
    Version,
    as_request,
    check_replaced,
    check_turn,
    config_request,
    configs_in_use,
    model_in_service,
    model_request,
    target,
)

FIRST = Version(model_data="s3://bucket/models/1/model.tar.gz", model_version="one", training_id="1")
SECOND = Version(model_data="s3://bucket/models/2/model.tar.gz", model_version="two", training_id="2")

MODEL: dict[str, Any] = {
    "ModelName": "Model-1",
    "ModelArn": "arn:aws:sagemaker:eu-west-1:111122223333:model/model-1",
    "CreationTime": "2026-01-01",
    "DeploymentRecommendation": {},
    "PrimaryContainer": {
        "Image": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3",
        "Mode": "SingleModel",
        "ModelDataUrl": FIRST.model_data,
        "ModelDataSource": {"S3DataSource": {"S3Uri": FIRST.model_data}},
        "Environment": {"SAGEMAKER_PROGRAM": "inference.py"},
    },
    "ExecutionRoleArn": "arn:aws:iam::111122223333:role/model",
    "EnableNetworkIsolation": False,
    "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]},
}
CONFIG: dict[str, Any] = {
    "EndpointConfigName": "Config-1",
    "EndpointConfigArn": "arn:aws:sagemaker:eu-west-1:111122223333:endpoint-config/config-1",
    "CreationTime": "2026-01-01",
    "ProductionVariants": [
        {"VariantName": "AllTraffic", "ModelName": "Model-1", "InitialInstanceCount": 2, "InstanceType": "ml.m5.large"}
    ],
    "ShadowProductionVariants": [{"VariantName": "Shadow", "ModelName": "Model-0", "InitialInstanceCount": 1}],
    "KmsKeyId": "arn:aws:kms:eu-west-1:111122223333:key/1",
    "ResponseMetadata": {},
}


def test_memory_survives_being_written() -> None:
    memory = Memory().promoted(FIRST).promoted(SECOND)

    assert Memory.read(memory.write()) == memory == Memory(current=SECOND, previous=FIRST)


def test_what_the_stack_brought_is_what_the_first_promotion_replaces() -> None:
    memory = Memory().promoted(FIRST)

    back = memory.promoted(memory.back())
    assert back == Memory(current=None, previous=FIRST)  # no version: the stack's own
    assert back.back() == FIRST  # and a rollback can be taken back


def test_a_model_that_is_promoted_again_does_not_take_the_place_of_what_it_replaced() -> None:
    memory = Memory().promoted(FIRST).promoted(SECOND)
    assert memory.promoted(SECOND) == memory
    assert Memory().promoted(Version(model_data="")) == Memory()


@pytest.mark.parametrize(
    ("running", "status", "problem"),
    [
        ({"mine": 2}, "InService", None),
        ({"mine": 2, "later": 3}, "InService", None),
        ({"mine": 2, "earlier": 1}, "InService", "the promotion earlier began earlier"),
        ({"mine": 2, "alike": 2}, "InService", "the promotion alike began earlier"),
        ({"mine": 2, "same": 2}, "InService", None),
        ({"later": 3}, "InService", "the promotion later began earlier"),  # as long as mine is not listed
        ({"mine": 2}, "Updating", "the endpoint is Updating"),
        ({"mine": 2}, "Failed", None),  # a promotion may mend it
    ],
)
def test_promotions_take_turns(running: dict[str, int], status: str, problem: str | None) -> None:
    began = {name: datetime.fromtimestamp(at, UTC) for name, at in running.items()}
    with pytest.raises(EndpointBusyError, match=problem) if problem else nullcontext():
        check_turn("mine", began, status)


def test_there_is_nothing_to_roll_back_to_before_a_promotion() -> None:
    with pytest.raises(PromotionError, match="no model was promoted yet"):
        target({"rollback": True}, Memory())


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        ({}, "model_data is None"),
        ({"model_data": 7}, "model_data is 7"),
        ({"model_data": "https://bucket/model.tar.gz"}, "must be the s3:// URL"),
        ({"model_data": "s3://bucket/model.zip"}, "must be the s3:// URL"),
        ({"model_data": FIRST.model_data, "colour": "red"}, "unknown: colour"),
        ({"rollback": False}, "unknown: rollback"),
        ({"initial": False}, "unknown: initial"),
        ({"rollback": 1}, "unknown: rollback"),
        ([], r"the input is '\[\]': must be an object with model_data"),
        (None, "the input is 'None': must be an object"),
        ({"rollback": True, "model_data": FIRST.model_data}, "unknown: rollback"),
    ],
)
def test_a_request_that_is_none_is_refused(request_: object, problem: str) -> None:
    with pytest.raises(PromotionError, match=problem):
        target(request_, Memory(current=SECOND, previous=FIRST))


def test_the_stacks_own_model_comes_back_however_many_were_promoted() -> None:
    memory = Memory(current=SECOND, previous=FIRST)

    own = target({"initial": True}, memory)

    assert own.model_data == ""
    assert memory.promoted(own) == Memory(current=None, previous=SECOND)


def test_the_model_is_like_the_one_in_service_but_for_its_data() -> None:
    request = model_request(MODEL, name="Promoted-7", model_data=SECOND.model_data)

    assert request == {
        "ModelName": "Promoted-7",
        "PrimaryContainer": {
            "Image": MODEL["PrimaryContainer"]["Image"],
            "ModelDataUrl": SECOND.model_data,
            "Environment": {"SAGEMAKER_PROGRAM": "inference.py"},
        },
        "ExecutionRoleArn": MODEL["ExecutionRoleArn"],
        "VpcConfig": MODEL["VpcConfig"],
    }


def test_a_model_is_not_put_over_one_that_it_was_not_compared_with() -> None:
    request = {"model_data": SECOND.model_data, "replaces": FIRST.model_data}

    assert target(request, Memory()) == Version(model_data=SECOND.model_data)
    check_replaced(request, FIRST.model_data)
    check_replaced({"model_data": SECOND.model_data}, "s3://bucket/any.tar.gz")
    with pytest.raises(PromotionError, match=r"meanwhile s3:.* has come into service"):
        check_replaced(request, "s3://bucket/models/3/model.tar.gz")


def test_a_rollback_that_has_to_be_made_again_asks_for_the_same_version() -> None:
    memory = Memory().promoted(SECOND)
    version = target({"rollback": True}, memory)
    after = memory.promoted(version)

    again = target(as_request(version), after)

    assert again == version
    assert after.promoted(again) == after
    assert target(as_request(SECOND), after) == SECOND


def test_network_isolation_is_kept() -> None:
    assert model_request({**MODEL, "EnableNetworkIsolation": True}, name="n", model_data="d")["EnableNetworkIsolation"]


@pytest.mark.parametrize("model", [{}, {"Containers": [{}, {}]}, {"PrimaryContainer": {"ModelPackageName": "arn"}}])
def test_a_model_without_one_archive_cannot_be_replaced(model: dict[str, Any]) -> None:
    with pytest.raises(PromotionError, match="not one container with an archive"):
        model_request(model, name="n", model_data="d")


def test_the_configuration_is_like_the_one_in_service_but_for_the_model() -> None:
    request = config_request(CONFIG, name="Promoted-7", old_model="Model-1")

    assert request == {
        "EndpointConfigName": "Promoted-7",
        "ProductionVariants": [
            {
                "VariantName": "AllTraffic",
                "ModelName": "Promoted-7",
                "InitialInstanceCount": 2,
                "InstanceType": "ml.m5.large",
            }
        ],
        "ShadowProductionVariants": CONFIG["ShadowProductionVariants"],  # of another model
        "KmsKeyId": CONFIG["KmsKeyId"],
    }
    assert CONFIG["ProductionVariants"][0]["ModelName"] == "Model-1"


def test_inference_components_have_no_model_to_replace() -> None:
    assert model_in_service(CONFIG) == "Model-1"
    with pytest.raises(PromotionError, match="inference components"):
        model_in_service({"ProductionVariants": [{"VariantName": "AllTraffic"}]})


def test_what_an_endpoint_is_moving_to_is_in_use() -> None:
    assert configs_in_use({"EndpointConfigName": "a", "PendingDeploymentSummary": {"EndpointConfigName": "b"}}) == {
        "a",
        "b",
    }
    assert configs_in_use({"EndpointConfigName": "a"}) == {"a"}
