"""Trainings by the client and its command line, against a real HTTP server that answers as told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from sm_client import (
    Client,
    ConflictError,
    Failure,
    NotFoundError,
    OutputMissingError,
    Polling,
    PromotionFailedError,
    PromotionRunningError,
    Training,
    TrainingFailedError,
    TrainingRunningError,
)
from tests.unit.aws_answers import Aws, stack_answer
from tests.unit.recording_api import API_URL, Api, serving
from tests.unit.test_client_cli import run

ARN = "arn:aws:states:eu-west-1:123456789012:stateMachine:Promotion"
STACK = (200, stack_answer(ApiUrl=API_URL, ArtifactBucketName="artifacts", PromotionStateMachineArn=ARN).encode())
PROBLEM = {"type": "about:blank", "title": "Bad Request", "status": 400, "detail": "hyperparameters.epoch is not known"}
STARTED = {"training_id": "t1", "status": "running", "request_id": "r-1"}
RUNNING = {**STARTED, "started_at": "2026-01-02T03:04:05.678Z", "state": "Train"}
SUCCEEDED = {
    **STARTED,
    "status": "succeeded",
    "started_at": "2026-01-02T03:04:05.678Z",
    "ended_at": "2026-01-02T03:14:05.678Z",
    "outcome": "promoted",
    "reason": "macro-F1 0.9100 on 1,200 test texts, the model in service 0.9000: better by 0.0100",
    "model_version": "2-b",
    "model_data": "s3://artifacts/models/t1/model.tar.gz",
    "metrics": {"macro_f1": 0.91},
    "in_service": None,
    "dataset": {"rows": 12_000, "train": 9_600, "validation": 1_200, "test": 1_200, "labels": {"good": 12_000}},
    "trials": [
        {"name": "p-t1-1", "hyperparameters": {"ngram_max": "3"}, "metrics": {"validation:macro_f1": 0.9}},
        {"name": "p-t1-2", "hyperparameters": {"ngram_max": "4"}, "cause": "it took longer than it may"},
    ],
    "report": "trainings/t1/",
}
FAILED: dict[str, Any] = {
    **STARTED,
    "status": "failed",
    "state": "CheckDataset",
    "error": {"code": "DatasetError", "detail": "3 rows broken: datasets/d.csv row 4 (text is empty)"},
}


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with serving() as api:
        yield api


@pytest.fixture
def client(api: Api) -> Client:
    return api.client()


def test_a_training_is_asked_for_with_what_is_given_alone(client: Client, api: Api) -> None:
    api.answers = [(202, STARTED)]
    started = client.train("datasets/d/")
    client.train(
        "datasets/d/",
        hyperparameters={"ngram_max": 3},
        trials={"loss": ("log_loss", "hinge")},
        margin=0,
        feedback=False,
        idempotency_key="k",
    )

    assert started == Training(training_id="t1", status="running", request_id="r-1")
    assert not started.has_ended
    first, second = api.requests
    assert (first.method, first.path, json.loads(first.body)) == (
        "POST",
        "/dev/v1/trainings",
        {"dataset": "datasets/d/"},
    )
    assert len(first.headers["idempotency-key"]) == 32
    assert second.headers["idempotency-key"] == "k"
    assert json.loads(second.body) == {
        "dataset": "datasets/d/",
        "hyperparameters": {"ngram_max": 3},
        "trials": {"loss": ["log_loss", "hinge"]},
        "margin": 0,
        "feedback": False,
    }


def test_what_the_api_refuses_is_told(client: Client, api: Api) -> None:
    api.answers = [(409, PROBLEM), (404, PROBLEM)]
    with pytest.raises(ConflictError, match=r"hyperparameters\.epoch is not known"):
        client.train("datasets/d/", trials=[{"epoch": 3}])
    with pytest.raises(NotFoundError):
        client.training("t/1")
    assert api.requests[1].path == "/dev/v1/trainings/t%2F1"


def test_a_training_tells_what_came_of_it(client: Client, api: Api) -> None:
    api.answers = [(200, {**SUCCEEDED, "new_field": 1})]
    training = client.training("t1")

    assert training.has_ended
    assert (training.outcome, training.model_version, training.in_service) == ("promoted", "2-b", None)
    assert training.ended_at == datetime(2026, 1, 2, 3, 14, 5, 678_000, tzinfo=UTC)


def test_watching_yields_each_state_once_and_ends_with_the_training(client: Client, api: Api) -> None:
    api.answers = [
        (200, {**RUNNING, "state": "CheckDataset"}),
        (200, {**RUNNING, "state": "CheckDataset"}),
        (200, RUNNING),
        (200, SUCCEEDED),
    ]

    assert [each.state or each.status for each in client.watch_training("t1")] == [
        "CheckDataset",
        "Train",
        "succeeded",
    ]


def test_waiting_returns_a_training_that_succeeded_and_raises_for_others(client: Client, api: Api) -> None:
    api.answers = [(200, RUNNING), (200, SUCCEEDED)]
    assert client.wait_training("t1").outcome == "promoted"
    api.answers = [(200, FAILED)]
    with pytest.raises(TrainingFailedError, match="training t1 failed: DatasetError: 3 rows broken") as failed:
        client.wait_training(Training(training_id="t1", status="running", request_id="r"))
    assert failed.value.training.error == Failure(code="DatasetError", detail=FAILED["error"]["detail"])
    api.answers = [(200, RUNNING)]
    with pytest.raises(TrainingRunningError, match=r"training t1 is still running \(Train\)"):
        client.wait_training("t1", timeout_s=0)


def test_a_corrected_label_is_sent(client: Client, api: Api) -> None:
    api.answers = [(202, {"status": "accepted", "request_id": "r-2"})]
    client.correct("r-1", 3, "spam")

    assert api.requests[0].path == "/dev/v1/feedback"
    assert json.loads(api.requests[0].body) == {"request_id": "r-1", "index": 3, "label": "spam"}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    directory = tmp_path / "reviews"
    (directory / "test").mkdir(parents=True)
    for name in ("a.jsonl", "test/b.csv", "notes.txt"):
        (directory / name).write_text(name)
    return directory


def test_data_sets_are_uploaded_as_files_or_directories(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        session = boto3.Session("AKIATEST", "secret", region_name="us-east-1")
        s3 = session.client("s3")
        s3.create_bucket(Bucket="artifacts")
        client = Client(API_URL, session=session, outputs={"ArtifactBucketName": "artifacts"})

        assert client.upload_dataset(files) == "datasets/reviews/"
        assert client.upload_dataset(files / "a.jsonl", "other") == "datasets/other.jsonl"
        assert client.upload_dataset(str(files / "test/b.csv")) == "datasets/b.csv"
        keys = [each["Key"] for each in s3.list_objects_v2(Bucket="artifacts")["Contents"]]
        body = s3.get_object(Bucket="artifacts", Key="datasets/reviews/test/b.csv")["Body"].read()
    assert keys == [
        "datasets/b.csv",
        "datasets/other.jsonl",
        "datasets/reviews/a.jsonl",
        "datasets/reviews/test/b.csv",
    ]
    assert body == b"test/b.csv"


def test_what_is_no_data_set_is_not_uploaded(client: Client, files: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no "):
        client.upload_dataset(files / "missing.csv")
    with pytest.raises(ValueError, match=r"notes\.txt: neither a \*\.jsonl nor a \*\.csv"):
        client.upload_dataset(files / "notes.txt")
    with pytest.raises(OutputMissingError, match="the stack has no output ArtifactBucketName"):
        client.upload_dataset(files)


@pytest.fixture
def aws() -> Aws:
    return Aws()


@pytest.fixture
def stack(aws: Aws) -> Client:
    aws.say("StartExecution", {"executionArn": f"{ARN}:x", "startDate": 1})
    return Client(
        API_URL,
        session=aws.session,
        outputs={"PromotionStateMachineArn": ARN},
        polling=Polling(first_s=0.001, cap_s=0.001),
    )


def execution(status: str, **fields: Any) -> dict[str, Any]:
    return {"executionArn": f"{ARN}:x", "stateMachineArn": ARN, "status": status, "startDate": 1, **fields}


def test_rolling_back_waits_and_returns_what_came_of_it(stack: Client, aws: Aws) -> None:
    aws.say("DescribeExecution", execution("RUNNING"), execution("SUCCEEDED", output='{"model_version": "1-a"}'))

    assert stack.rollback() == {"model_version": "1-a"}
    assert aws.calls == ["StartExecution", "DescribeExecution", "DescribeExecution"]


def test_a_rollback_that_fails_says_why(stack: Client, aws: Aws) -> None:
    cause = '{"errorMessage": "there is no model before it", "errorType": "NothingBeforeError"}'
    aws.say("DescribeExecution", execution("FAILED", error="NothingBeforeError", cause=cause))
    with pytest.raises(PromotionFailedError, match="failed: NothingBeforeError: there is no model before it"):
        stack.rollback()
    aws.say("DescribeExecution", execution("RUNNING"))
    with pytest.raises(PromotionRunningError, match="is still running"):
        stack.rollback(timeout_s=0)
    aws.deny("StartExecution")
    with pytest.raises(ClientError, match="no StartExecution"):
        stack.rollback()


def test_a_stack_that_does_not_train_cannot_be_rolled_back(client: Client) -> None:
    with pytest.raises(OutputMissingError, match="the stack has no output PromotionStateMachineArn"):
        client.rollback()


def test_the_command_line_trains_and_prints_the_training(api: Api) -> None:
    api.answers = [STACK, (202, STARTED)]
    arguments = [
        "-p",
        "ngram_max=3",
        "-p",
        "text_features=true",
        "-p",
        "loss=hinge",
        "--no-feedback",
        "--margin",
        "0.01",
    ]
    done = run(api, "train", "datasets/d/", *arguments, "--grid", "loss=log_loss,hinge", "--grid", "seed=1,2")

    assert (done.returncode, done.stdout, done.stderr) == (0, "t1 running\n", "")
    assert json.loads(api.requests[-1].body) == {
        "dataset": "datasets/d/",
        "hyperparameters": {"ngram_max": 3, "text_features": True, "loss": "hinge"},
        "trials": {"loss": ["log_loss", "hinge"], "seed": [1, 2]},
        "margin": 0.01,
        "feedback": False,
    }


def test_a_list_of_trials_is_one_option_each(api: Api) -> None:
    api.answers = [STACK, (202, STARTED)]
    run(api, "train", "datasets/d/", "--trial", "loss=hinge ngram_max=3", "--trial", "loss=log_loss")

    assert json.loads(api.requests[-1].body)["trials"] == [{"loss": "hinge", "ngram_max": 3}, {"loss": "log_loss"}]


def test_waiting_shows_states_on_stderr_and_the_result_on_stdout(api: Api) -> None:
    api.answers = [STACK, (202, STARTED), (200, RUNNING), (200, SUCCEEDED)]
    done = run(api, "train", "datasets/d/", "--wait")

    assert done.returncode == 0
    assert done.stderr == "training t1 is running\ntraining t1: Train\n"
    assert done.stdout.splitlines() == [
        "t1 succeeded promoted",
        "  macro-F1 0.9100 on 1,200 test texts, the model in service 0.9000: better by 0.0100",
        "  model 2-b s3://artifacts/models/t1/model.tar.gz",
        "  data set: rows 12,000, train 9,600, validation 1,200, test 1,200",
        "  trial p-t1-1 ngram_max=3 macro-F1 0.9000",
        "  trial p-t1-2 ngram_max=4 failed: it took longer than it may",
        "  report: trainings/t1/",
    ]


def test_a_failed_training_is_explained_and_has_an_exit_status_of_its_own(api: Api) -> None:
    api.answers = [STACK, (200, FAILED)]
    done = run(api, "training", "t1")

    assert (done.returncode, done.stdout) == (3, "t1 failed CheckDataset\n")
    assert done.stderr == (
        "Error: training t1 failed: DatasetError: 3 rows broken: datasets/d.csv row 4 (text is empty)\n"
    )


def test_a_training_that_still_runs_at_the_time_out_has_one_too(api: Api) -> None:
    api.answers = [STACK, (200, RUNNING)]
    done = run(api, "training", "t1", "--wait", "--timeout", "0")

    assert done.returncode == 4
    assert done.stderr.endswith("Error: training t1 is still running (Train)\n")


def test_a_training_can_be_read_by_programs(api: Api) -> None:
    api.answers = [STACK, (200, SUCCEEDED)]
    document = json.loads(run(api, "training", "t1", "--json").stdout)

    assert (document["outcome"], document["ended_at"]) == ("promoted", "2026-01-02T03:14:05.678000+00:00")


def test_a_label_is_corrected_in_silence(api: Api) -> None:
    api.answers = [STACK, (202, {"status": "accepted"})]
    done = run(api, "feedback", "r-1", "0", "spam")

    assert (done.returncode, done.stdout) == (0, "")
    assert json.loads(api.requests[-1].body) == {"request_id": "r-1", "index": 0, "label": "spam"}


def test_rolling_back_prints_the_version(api: Api) -> None:
    api.answers = [
        STACK,
        (200, {"executionArn": f"{ARN}:x", "startDate": 1}),
        (200, execution("SUCCEEDED", output='{"model_version": "1-a"}')),
    ]
    done = run(api, "rollback")

    assert (done.returncode, done.stdout) == (0, "rolled back to 1-a\n")
    assert json.loads(json.loads(api.requests[1].body)["input"]) == {"rollback": True}


def test_uploading_prints_what_training_reads(api: Api, tmp_path: Path) -> None:
    file = tmp_path / "reviews.csv"
    file.write_text("text,label\n")
    api.answers = [STACK, (200, b"")]
    done = run(api, "upload", str(file))

    assert (done.returncode, done.stdout) == (0, "datasets/reviews.csv\n"), done.stderr
    assert api.requests[-1].path.startswith("/artifacts/datasets/reviews.csv")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "datasets/d/", "-p", "ngram_max"], "'ngram_max' is no NAME=VALUE"),
        (["train", "datasets/d/", "--grid", "loss="], "'loss=' is no NAME=VALUE"),
        (["train", "datasets/d/", "--grid", "a=1", "--trial", "a=1"], "trials are a list or a grid, not both"),
        (["upload", "no-such-file"], "there is no no-such-file"),
        (["feedback", "r-1", "-1", "spam"], "-1"),
    ],
)
def test_wrong_usage_is_told(api: Api, arguments: list[str], said: str) -> None:
    api.answers = [STACK]
    done = run(api, *arguments)

    assert done.returncode == 2
    assert said in " ".join(done.stderr.replace("│", " ").split())
    assert not any("/v1/" in request.path for request in api.requests)
