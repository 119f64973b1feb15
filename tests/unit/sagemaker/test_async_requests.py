"""Requests to asynchronous endpoints, and what is told of them."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from sm_local.sagemaker.async_requests import AsyncCall, AsyncRequest, notification
from sm_local.sagemaker.config import AsyncSettings
from sm_local.sagemaker.errors import SageMakerError
from sm_local.sagemaker.messages import Answer, Invocation

ANSWER = Answer(status=200, content_type="text/csv; charset=utf-8", body=b"spam")


def settings(**output: Any) -> AsyncSettings:
    return AsyncSettings.parse({"OutputConfig": {"S3OutputPath": "s3://out/answers", **output}})


def request(call: AsyncCall | None = None, **output: Any) -> AsyncRequest:
    call = call or AsyncCall(invocation=Invocation(body=b"", timeout_seconds=900), input_location="s3://in/put.csv")
    return call.request("e", settings(**output), received=1643150760.455, queued=0)


def test_answers_and_errors_go_below_their_paths_under_the_same_name() -> None:
    made = request(S3FailurePath="s3://out/errors/")
    answer, error = str(made.output_location), str(made.failure_location)
    assert answer.startswith("s3://out/answers/")
    assert error == answer.replace("answers", "errors").replace(".out", "-error.out")
    assert made.answer_headers == {
        "X-Amzn-SageMaker-OutputLocation": answer,
        "X-Amzn-SageMaker-FailureLocation": error,
    }


def test_without_a_failure_path_none_is_answered() -> None:
    assert "X-Amzn-SageMaker-FailureLocation" not in request().answer_headers


def test_an_inference_id_is_made_when_none_is_given() -> None:
    assert request().inference_id != request().inference_id


def test_the_completed_message_is_the_documented_one() -> None:
    call = AsyncCall(
        invocation=Invocation(body=b"", content_type="text/csv", inference_id="11111111", timeout_seconds=900),
        input_location="s3://bucket/input-directory/input-data.csv",
        filename="prediction.out",
    )
    message = json.loads(notification(request(call), "us-east-1", answer=ANSWER, failure=None, included=False))
    assert message.pop("eventTime") > message["receivedTime"]
    # The example of https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference-check-predictions.html
    assert message == {
        "awsRegion": "us-east-1",
        "receivedTime": "2022-01-25T22:46:00.455Z",
        "invocationStatus": "Completed",
        "requestParameters": {
            "contentType": "text/csv",
            "endpointName": "e",
            "inputLocation": "s3://bucket/input-directory/input-data.csv",
        },
        "responseParameters": {
            "contentType": "text/csv; charset=utf-8",
            "outputLocation": "s3://out/answers/prediction.out",
        },
        "inferenceId": "11111111",
        "eventVersion": "1.0",
        "eventSource": "aws:sagemaker",
        "eventName": "InferenceResult",
    }


def test_the_failed_message_says_why_and_has_no_answer() -> None:
    message = json.loads(notification(request(), "us-east-1", answer=ANSWER, failure="ClientError: no", included=False))
    assert (message["invocationStatus"], message["failureReason"]) == ("Failed", "ClientError: no")
    assert "responseParameters" not in message
    assert "responseBody" not in message


@pytest.mark.parametrize(("size", "included"), [(131_072, True), (131_073, False)])
def test_an_answer_is_included_up_to_128_kb(size: int, included: bool) -> None:
    answer = Answer(status=200, content_type="text/plain", body=b"x" * size)
    message = json.loads(notification(request(), "us-east-1", answer=answer, failure=None, included=True))
    assert ("responseBody" in message) == included
    if included:
        assert base64.b64decode(message["responseBody"]["content"]) == answer.body


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (AsyncCall(invocation=Invocation(body=b"")), "exactly one of InputLocation and Body"),
        (
            AsyncCall(invocation=Invocation(body=b"x"), input_location="s3://b/k"),
            "exactly one of InputLocation and Body",
        ),
        (AsyncCall(invocation=Invocation(body=b"x" * 128_001)), "the limit is 128000"),
        (AsyncCall(invocation=Invocation(body=b"x"), time_to_live_seconds=21_601), "must be from 60 to 21600"),
        (AsyncCall(invocation=Invocation(body=b"x", timeout_seconds=0)), "must be from 1 to 3600"),
    ],
)
def test_a_wrong_call_is_refused(call: AsyncCall, words: str) -> None:
    with pytest.raises(SageMakerError, match=words):
        request(call)
