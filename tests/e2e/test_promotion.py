"""Models are put into service by a state machine, and stay there whatever is deployed."""

from __future__ import annotations

import json
from pathlib import Path

import boto3
import pytest
from hyperparameters import Hyperparameters

from sm_constructs import _archive
from tests.local_aws import LocalAws
from tests.tiny_model import train_tiny_model
from tests.trainings.stack import TrainingStack, deploy_trainings


@pytest.fixture(scope="module")
def first_model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    directory = tmp_path_factory.mktemp("first-model")
    return directory, train_tiny_model(directory)


@pytest.fixture(scope="module")
def stack(local_aws: LocalAws, first_model: tuple[Path, str]) -> TrainingStack:
    return deploy_trainings(local_aws, first_model[0])


def uploaded_model(stack: TrainingStack, directory: Path, hyperparameters: Hyperparameters) -> tuple[str, str]:
    """Train another model, put it where promotions look for models, and return its URL and version."""
    version = train_tiny_model(directory / "model", hyperparameters=hyperparameters)
    archive = directory / "model.tar.gz"
    _archive.write_tar_gz(_archive.collect(directory / "model"), archive)
    bucket, key = stack.outputs["ArtifactBucketName"], f"models/{version}/model.tar.gz"
    boto3.client("s3").upload_file(str(archive), bucket, key)
    return f"s3://{bucket}/{key}", version


def made_by_promotions(stack: TrainingStack) -> set[str]:
    sagemaker, prefix = boto3.client("sagemaker"), stack.outputs["NamePrefix"]
    configs = sagemaker.list_endpoint_configs(NameContains=prefix)["EndpointConfigs"]
    models = sagemaker.list_models(NameContains=prefix)["Models"]
    return {each["EndpointConfigName"] for each in configs} | {each["ModelName"] for each in models}


def test_a_model_is_promoted_kept_by_deployments_and_taken_back(
    local_aws: LocalAws, stack: TrainingStack, first_model: tuple[Path, str], tmp_path: Path
) -> None:
    directory, first = first_model
    assert stack.version() == first
    url, second = uploaded_model(stack, tmp_path, Hyperparameters(ngram_max=2, max_features=500))

    with stack.calling() as calls:
        promotion = stack.run("Promotion", {"model_data": url, "model_version": second})

    assert promotion["status"] == "SUCCEEDED", promotion["cause"]
    assert calls.failures == []
    assert set(calls.versions) <= {first, second}
    assert stack.version() == second
    assert len(made_by_promotions(stack)) == 1  # a model and a configuration of the same name

    # A deployment that changes nothing of the endpoint, and one that does: another configuration of the same model.
    deploy_trainings(local_aws, directory)
    assert stack.version() == second
    with stack.calling() as calls:
        deploy_trainings(local_aws, directory, instance_type="ml.c5.large")
    assert (calls.failures, set(calls.versions), stack.version()) == ([], {second}, second)

    rollback = stack.run("Promotion", {"rollback": True})
    assert rollback["status"] == "SUCCEEDED", rollback["cause"]
    assert stack.version() == first
    value = boto3.client("ssm").get_parameter(Name=stack.outputs["ParameterName"])["Parameter"]["Value"]
    assert json.loads(value)["current"] is None
    assert len(made_by_promotions(stack)) == 1  # the second model's were deleted: they are not in use


def test_a_model_that_cannot_be_loaded_does_not_get_into_service(stack: TrainingStack, tmp_path: Path) -> None:
    before, made = stack.version(), made_by_promotions(stack)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "metadata.json").write_text("{}")
    archive = tmp_path / "model.tar.gz"
    _archive.write_tar_gz(_archive.collect(tmp_path / "broken"), archive)
    bucket = stack.outputs["ArtifactBucketName"]
    boto3.client("s3").upload_file(str(archive), bucket, "models/broken/model.tar.gz")

    with stack.calling() as calls:
        promotion = stack.run("Promotion", {"model_data": f"s3://{bucket}/models/broken/model.tar.gz"})

    assert (promotion["status"], promotion["error"]) == ("FAILED", "EndpointNotMoved")
    assert (calls.failures, stack.version()) == ([], before)
    assert made_by_promotions(stack) == made  # what it made is gone again


@pytest.mark.parametrize(
    "request_", [{}, {"model_data": "model.tar.gz"}, {"rollback": True, "model_data": "s3://b/m.tar.gz"}]
)
def test_a_request_that_is_none_is_refused(stack: TrainingStack, request_: dict[str, object]) -> None:
    promotion = stack.run("Promotion", request_)

    assert promotion["status"] == "FAILED"
    assert "model_data" in promotion["cause"]
