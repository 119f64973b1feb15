"""Corrected labels, from the answer to a classification to the next training, in a bucket and a table in memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import boto3
import pytest
from moto import mock_aws
from text_classification.gateways.calls import TimeBudget
from text_classification.gateways.datasets import S3Datasets
from text_classification.gateways.job_objects import JobObjects
from text_classification.gateways.job_table import JobTable
from text_classification.logic.feedback import KnownText, remember
from text_classification.logic.jobs import Submission, submit
from text_classification.logic.requests import ClassificationRequest

from tests.unit.lambda_src.stand_in import Handler, Reply, StandIn
from tests.unit.lambda_src.test_classify import REQUEST_ID, Event, problem_of, results_of

BUDGET = TimeBudget(total_seconds=10)


@pytest.fixture
def datasets(aws: StandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Datasets]:
    _ = aws
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket="artifacts")
        boto3.client("dynamodb").create_table(
            TableName="jobs",
            KeySchema=[{"AttributeName": "job_id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "job_id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield S3Datasets(client=client, bucket="artifacts", budget=BUDGET)


@pytest.fixture
def feedback(datasets: S3Datasets, load: Callable[..., Handler], event: Event) -> Callable[..., dict[str, Any]]:
    handler = load("submit_feedback", BUCKET_NAME=datasets.bucket, JOB_TABLE_NAME="jobs")

    def feedback(**body: Any) -> dict[str, Any]:
        return handler(event(body=body))

    return feedback


def key_of(text: str) -> str:
    return f"datasets/feedback/{hashlib.sha256(text.encode()).hexdigest()}.jsonl"


def test_a_corrected_label_becomes_a_row_of_the_next_training(
    feedback: Callable[..., dict[str, Any]], datasets: S3Datasets
) -> None:
    remember("r-1", [KnownText(text="a", language="en"), KnownText(text="物流很快", language="zh")], datasets)
    response = feedback(request_id="r-1", index=1, label=" good ")

    assert response["statusCode"] == 202
    assert json.loads(response["body"]) == {
        "status": "accepted",
        "corrected_request_id": "r-1",
        "request_id": REQUEST_ID,
    }
    assert json.loads(datasets.content(key_of("物流很快")) or b"") == {
        "text": "物流很快",
        "label": "good",
        "language": "zh",
        "source": "feedback",
    }


def test_a_second_correction_takes_the_place_of_the_first(
    feedback: Callable[..., dict[str, Any]], datasets: S3Datasets
) -> None:
    remember("r-1", [KnownText(text="a", language="en")], datasets)
    remember("r-2", [KnownText(text="b", language="en"), KnownText(text=" a", language="en")], datasets)
    feedback(request_id="r-2", index=1, label="bad")
    feedback(request_id="r-1", index=0, label="good")

    assert json.loads(datasets.content(key_of("a")) or b"")["label"] == "good"
    assert list(datasets.sizes("datasets/feedback/")) == [(key_of("a"), mock.ANY)]


@pytest.mark.parametrize("text", ["物流很快", "物流很快" * 10_000])
def test_the_texts_of_a_job_can_be_corrected_also_of_a_large_one(
    feedback: Callable[..., dict[str, Any]], datasets: S3Datasets, text: str
) -> None:
    texts = [text[:10_000]] * (len(text) // 10_000 or 1)
    job = submit(
        Submission(request=ClassificationRequest(texts=["first", *texts]), submitted_by="api", retention_seconds=3_600),
        table=JobTable(client=boto3.client("dynamodb"), table_name="jobs", budget=BUDGET),
        objects=JobObjects(client=datasets.client, bucket=datasets.bucket, budget=BUDGET),
    )
    response = feedback(request_id=job.job_id, index=1, label="good")

    assert response["statusCode"] == 202
    kept = json.loads(datasets.content(key_of(texts[0])) or b"")
    assert (kept["text"], kept["language"]) == (texts[0], "zh")


@pytest.mark.parametrize("request_id", ["r-2", "a" * 32, "../r-1", ""])
def test_a_request_that_there_is_not_is_not_found(feedback: Callable[..., dict[str, Any]], request_id: str) -> None:
    response = feedback(request_id=request_id, index=0, label="good")

    assert response["statusCode"] == 404
    assert f"there is no request and no job '{request_id}', or no longer" in response["body"]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"index": 1}, "index is 1: must be from 0 to 0, for the request has 1 texts"),
        ({"index": -1}, "index is -1: must be at least 0"),
        ({"index": "0", "label": " "}, 'index is "0": must be a whole number; label: must have a character that is'),
        ({"label": "x" * 257}, "label has 257 characters: must have from 1 to 256"),
        ({"label": 1}, "label is 1: must be a string"),
        ({"labels": []}, "labels is not known: allowed are request_id, index, label"),
    ],
)
def test_what_is_wrong_is_told(
    feedback: Callable[..., dict[str, Any]], datasets: S3Datasets, body: dict[str, Any], problem: str
) -> None:
    remember("r-1", [KnownText(text="a", language="en")], datasets)

    assert problem in problem_of(feedback(**{"request_id": "r-1", "index": 0, "label": "good", **body}), 400)
    assert datasets.content(key_of("a")) is None


def test_the_texts_of_an_answered_request_are_kept(load: Callable[..., Handler], aws: StandIn, event: Event) -> None:
    aws.scripted["results/requests"] = Reply()
    classify = load("classify", ENDPOINT_NAME="the-endpoint", REQUESTS_BUCKET="artifacts")
    assert results_of(classify(event(body={"texts": ["You won a prize", "很好"]})))

    ((_, kept),) = [(path, body) for path, body in aws.calls if "results/requests" in path]
    assert [path for path, _ in aws.calls if "results" in path] == [f"/artifacts/results/requests/{REQUEST_ID}.json"]
    assert kept == {
        "texts": [{"text": "You won a prize", "language": "en"}, {"text": "很好", "language": "zh"}],
    }


def test_an_answer_does_not_depend_on_its_texts_being_kept(
    load: Callable[..., Handler], aws: StandIn, event: Event, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.scripted["results/requests"] = Reply(status=403, body=b"<Error><Code>AccessDenied</Code></Error>")
    classify = load("classify", ENDPOINT_NAME="the-endpoint", REQUESTS_BUCKET="artifacts")

    assert results_of(classify(event(body={"texts": ["You won a prize"]})))
    assert "texts not kept, their labels cannot be corrected" in capsys.readouterr().out


def test_texts_of_a_refused_request_are_not_kept(load: Callable[..., Handler], aws: StandIn, event: Event) -> None:
    classify = load("classify", ENDPOINT_NAME="the-endpoint", REQUESTS_BUCKET="artifacts")
    problem_of(classify(event(body={"texts": []})), 400)

    assert aws.calls == []
