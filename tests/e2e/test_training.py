"""Trainings: from a data set, over the API, to another model that answers the API."""

from __future__ import annotations

import json
import re
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import psutil
import pytest

from sm_client import ApiError, Training
from sm_local import process
from tests.local_aws import LocalAws
from tests.permissions import resource_of, role_of_function, without
from tests.sagemaker_account import eventually
from tests.schedules import each_minute
from tests.trainings.data import real_rows
from tests.trainings.stack import TrainingStack

SMALL = {"ngram_max": 2, "max_features": 4_000, "regularization": 1.0}


def train(trainings: TrainingStack, dataset: str, **request: Any) -> Training:
    """Start a training over the API and wait until GET says that it has ended."""
    client = trainings.client
    training = client.train(dataset, **{"hyperparameters": SMALL, "feedback": False, **request})
    *_, ended = client.watch_training(training, timeout_s=240)
    return ended


@pytest.fixture(scope="module")
def reviews(trainings: TrainingStack) -> str:
    trainings.put("datasets/real/rows.jsonl", real_rows(1_200))
    return "datasets/real/"


def in_cloudwatch(metric: str, training_job: str) -> float:
    """Return what a training job has printed of a metric, as CloudWatch has it."""
    now = datetime.now(UTC)
    (point,) = boto3.client("cloudwatch").get_metric_statistics(
        Namespace="/aws/sagemaker/TrainingJobs",
        MetricName=metric,
        Dimensions=[{"Name": "TrainingJobName", "Value": training_job}],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(hours=1),
        Period=7200,
        Statistics=["Maximum"],
    )["Datapoints"]
    return float(point["Maximum"])


def test_a_data_set_becomes_another_model_that_answers(trainings: TrainingStack, reviews: str) -> None:
    assert trainings.version() == trainings.own_version

    with trainings.calling() as calls:
        training = train(trainings, reviews)

    assert (training.status, training.outcome) == ("succeeded", "promoted"), training
    assert calls.failures == []
    assert set(calls.versions) == {trainings.own_version, training.model_version}
    assert trainings.version() == training.model_version
    assert training.metrics is not None
    assert training.in_service is not None
    assert training.metrics["macro_f1"] > training.in_service["macro_f1"]
    assert training.in_service["model_version"] == trainings.own_version
    assert training.dataset is not None
    assert training.dataset["rows"] == 1_200

    package = boto3.client("sagemaker").describe_model_package(ModelPackageName=training.model_package_arn)
    facts = package["CustomerMetadataProperties"]
    assert package["ModelApprovalStatus"] == "Approved"
    assert facts["dataset_hash"] == training.dataset["dataset_hash"]
    assert facts["hyperparameter:max_features"] == "4000"
    assert float(facts["macro_f1"]) == pytest.approx(training.metrics["macro_f1"])

    assert re.fullmatch("[0-9a-f]{64}", facts["code_hash"])
    (trial,) = training.trials or ()
    for name, value in trial["metrics"].items():
        assert value == pytest.approx(in_cloudwatch(name, trial["name"]))

    s3, bucket = boto3.client("s3"), trainings.outputs["ArtifactBucketName"]
    names = ("evaluation.json", "model-card.json", "confusion-matrix.svg", "metrics.json")
    for name in names:
        found = s3.get_object(Bucket=bucket, Key=f"{training.report}evaluation/{name}")["Body"].read()
        assert found, name


def test_a_model_that_is_not_better_is_not_promoted(trainings: TrainingStack, reviews: str) -> None:
    before = trainings.version()

    training = train(trainings, reviews, hyperparameters={**SMALL, "max_features": 20}, margin=0.01)

    assert (training.status, training.outcome) == ("succeeded", "not_promoted"), (training.reason, training.in_service)
    assert "macro-F1" in (training.reason or "")
    assert trainings.version() == before
    package = boto3.client("sagemaker").describe_model_package(ModelPackageName=training.model_package_arn)
    assert package["ModelApprovalStatus"] == "Rejected"


def test_broken_rows_are_refused_by_their_numbers(trainings: TrainingStack) -> None:
    rows: list[dict[str, str]] = real_rows(60)
    rows[6] = {"text": "no label"}
    rows[40] = {"text": "  ", "label": "spam"}
    trainings.put("datasets/broken/rows.jsonl", rows)

    with trainings.messages() as messages:
        training = train(trainings, "datasets/broken/")
        told = messages.next("failed", training_id=training.training_id)

    assert (training.status, training.state) == ("failed", "CombineParts"), training
    assert training.error is not None
    for words in ("datasets/broken/rows.jsonl", "7", "41"):
        assert words in training.error.detail
    assert (told["state"], told["cause"]) == ("CombineParts", training.error.detail)
    assert boto3.client("sagemaker").list_training_jobs(NameContains=training.training_id)["TrainingJobSummaries"] == []


def test_one_of_three_trials_is_killed_and_the_best_of_the_others_wins(
    trainings: TrainingStack, reviews: str, local_aws: LocalAws
) -> None:
    client = trainings.client
    slow = {"ngram_max": 10, "max_features": 2_000_000, "regularization": 0.0}
    training = client.train(
        reviews, hyperparameters=SMALL, trials=[{"max_features": 50}, slow, {}], feedback=False, margin=1.0
    )

    name = kill_training_job(local_aws, f"{training.training_id}-2")
    *_, ended = client.watch_training(training, timeout_s=240)

    assert (ended.status, ended.outcome) == ("succeeded", "not_promoted"), ended
    assert ended.trials is not None
    assert ["cause" in trial for trial in ended.trials] == [False, True, False]
    jobs = boto3.client("sagemaker")
    assert jobs.describe_training_job(TrainingJobName=name)["TrainingJobStatus"] == "Failed"
    package = jobs.describe_model_package(ModelPackageName=ended.model_package_arn)
    assert package["CustomerMetadataProperties"]["training_job"].endswith("-3")


def test_when_all_trials_fail_it_is_said_why(trainings: TrainingStack, reviews: str, local_aws: LocalAws) -> None:
    training = trainings.client.train(reviews, hyperparameters=SMALL, feedback=False)

    name = kill_training_job(local_aws, f"{training.training_id}-1")
    *_, ended = trainings.client.watch_training(training, timeout_s=240)

    assert (ended.status, ended.state) == ("failed", "SelectTrial"), ended
    assert ended.error is not None
    assert name in ended.error.detail
    reason = boto3.client("sagemaker").describe_training_job(TrainingJobName=name)["FailureReason"]
    assert reason in ended.error.detail


def test_a_model_that_was_packaged_and_could_not_be_judged_is_removed(trainings: TrainingStack, reviews: str) -> None:
    judge = role_of_function(resource_of("Trainings", "AWS::Lambda::Function", "TrainingJudge"))
    with without(judge, "s3:GetObject"):
        training = train(trainings, reviews)

    def objects(prefix: str) -> list[str]:
        listed = boto3.client("s3").list_objects_v2(Bucket=trainings.outputs["ArtifactBucketName"], Prefix=prefix)
        return [found["Key"] for found in listed.get("Contents", [])]

    assert (training.status, training.state) == ("failed", "JudgeModel"), training
    assert objects(f"trainings/{training.training_id}/evaluation/evaluation.json")
    assert objects(f"models/{training.training_id}/") == []


def test_two_instances_train_one_model(trainings: TrainingStack, reviews: str) -> None:
    training = train(trainings, reviews, instance_count=2, margin=1.0)

    assert training.status == "succeeded", training
    single = train(trainings, reviews, margin=1.0)
    assert training.metrics is not None
    assert single.metrics is not None
    assert training.metrics["macro_f1"] == pytest.approx(single.metrics["macro_f1"], abs=0.005)


def test_corrected_labels_are_trained_on(trainings: TrainingStack, reviews: str) -> None:
    answer = trainings.client.classify(["明天再来看看这家店的新衣服"])
    trainings.client.correct(answer.request_id, 0, "good")

    training = train(trainings, reviews, feedback=True, margin=1.0)

    assert training.dataset is not None
    assert training.dataset["rows"] == 1_201


def test_somebody_has_to_approve_where_that_is_asked_for(trainings: TrainingStack, reviews: str) -> None:
    trainings.start_over()  # so that there is something better
    in_service, client, sagemaker = trainings.version(), trainings.client, boto3.client("sagemaker")
    outcomes = {}
    with trainings.messages() as messages:
        for approved in (False, True):
            training = client.train(reviews, hyperparameters=SMALL, approval=True, margin=0.0, feedback=False)
            asked = messages.next("approval_requested", training_id=training.training_id)
            waiting = sagemaker.describe_model_package(ModelPackageName=asked["model_package_arn"])
            assert waiting["ModelApprovalStatus"] == "PendingManualApproval"
            boto3.client("stepfunctions").send_task_success(
                taskToken=asked["task_token"], output=json.dumps({"approved": approved})
            )
            *_, ended = client.watch_training(training, timeout_s=120)
            told = messages.next(ended.outcome or "", training_id=training.training_id)
            package = sagemaker.describe_model_package(ModelPackageName=told["model_package_arn"])
            outcomes[approved] = (ended.outcome, package["ModelApprovalStatus"], trainings.version())
            assert ("not approved" in (ended.reason or "")) is not approved

    assert outcomes[False] == ("rejected", "Rejected", in_service)
    assert outcomes[True] == ("promoted", "Approved", ended.model_version)


def test_an_upload_starts_a_training(trainings: TrainingStack) -> None:
    trainings.put("datasets/incoming/few.jsonl", [{"text": "only one", "label": "good"}])

    arn = trainings.outputs["TrainingStateMachineArn"]
    deadline, states = time.monotonic() + 60, boto3.client("stepfunctions")
    started: list[dict[str, Any]] = []
    while not started:
        assert time.monotonic() < deadline
        executions = [
            dict(states.describe_execution(executionArn=each["executionArn"]))
            for each in states.list_executions(stateMachineArn=arn)["executions"]
        ]
        started = [each for each in executions if "datasets/incoming/few.jsonl" in each["input"]]
    ended = trainings.wait(started[0]["executionArn"])
    assert json.loads(ended["input"]) == {"dataset": "datasets/incoming/few.jsonl"}
    assert ended["error"] == "DatasetError"
    looked_at = trainings.client.training(ended["name"])
    assert (looked_at.status, looked_at.state) == ("failed", "CombineParts")


def test_a_schedule_starts_a_training(trainings: TrainingStack) -> None:
    trainings.put("datasets/scheduled/few.jsonl", [{"text": "only one", "label": "good"}])

    arn, states = trainings.outputs["TrainingStateMachineArn"], boto3.client("stepfunctions")
    started = {each["executionArn"] for each in states.list_executions(stateMachineArn=arn)["executions"]}
    with each_minute("Trainings"):
        new = eventually(
            lambda: (
                {each["executionArn"] for each in states.list_executions(stateMachineArn=arn)["executions"]} - started
            )
        )
    ended = trainings.wait(new.pop())

    assert json.loads(ended["input"]) == {"dataset": "datasets/scheduled/"}
    assert ended["error"] == "DatasetError"


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"hyperparameters": {"ngrams": 3}}, ["ngrams", "ngram_max", "loss"]),
        ({"hyperparameters": {"ngram_max": 99}}, ["ngram_max", "10"]),
        ({"instance_count": 9}, ["instance_count", "4"]),
        ({"instance_count": 2, "hyperparameters": {"loss": "hinge"}}, ["loss", "hinge", "instance_count"]),
    ],
)
def test_a_wrong_request_is_refused_with_what_is_allowed(
    trainings: TrainingStack, reviews: str, request_: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(ApiError) as refusal:
        trainings.client.train(reviews, **request_)

    assert refusal.value.status == 400
    for word in words:
        assert word in str(refusal.value)


def kill_training_job(aws: LocalAws, suffix: str) -> str:
    """Kill the process of the training job whose name ends so, as soon as there is one; return the job's name."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for running in process.owned_processes(aws.state):
            with suppress(psutil.Error):
                name = running.environ().get("TRAINING_JOB_NAME", "")
                if name.endswith(suffix):
                    running.kill()
                    return name
        time.sleep(0.05)
    raise AssertionError(f"no process of a job {suffix}")
