"""The functions behind ``/v1/trainings``, with Step Functions over HTTP as AWS answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.lambda_src.stand_in import Handler, Reply, StandIn
from tests.unit.lambda_src.test_classify import REQUEST_ID, Event, problem_of
from tests.unit.lambda_src.training_world import RULES

ARN = "arn:aws:states:us-east-1:123456789012:stateMachine:Training"
TRAINING_ID = "0123456789abcdef0123456789abcdef"
EXECUTION_ARN = f"arn:aws:states:us-east-1:123456789012:execution:Training:{TRAINING_ID}"
ENVIRONMENT = {
    "STATE_MACHINE_ARN": ARN,
    "TRAINING_RULES": json.dumps(
        {"hyperparameters": RULES.hyperparameters, "max_trials": 4, "max_instance_count": 2, "margin": 0.01}
    ),
    "JOB_PREFIX": "train",
}
STARTED = Reply(body=json.dumps({"executionArn": EXECUTION_ARN, "startDate": 1717243200.0}).encode())
EXISTS = Reply(
    status=400,
    body=b'{"__type":"ExecutionAlreadyExists","message":"Execution Already Exists"}',
    error_type="ExecutionAlreadyExists",
)
DOES_NOT_EXIST = Reply(
    status=400,
    body=b'{"__type":"ExecutionDoesNotExist","message":"Execution Does Not Exist"}',
    error_type="ExecutionDoesNotExist",
)


def described(status: str = "RUNNING", **fields: Any) -> Reply:
    document = {
        "executionArn": EXECUTION_ARN,
        "stateMachineArn": ARN,
        "name": TRAINING_ID,
        "status": status,
        "startDate": 1717243200.123,
        "input": "{}",
        "inputDetails": {"included": True},
        "redriveCount": 0,
        **fields,
    }
    return Reply(body=json.dumps(document).encode())


def history(*states: str) -> Reply:
    """Return the last events first, those of other kinds among them."""
    events: list[dict[str, Any]] = [{"id": 90, "type": "TaskScheduled", "timestamp": 1717243201.0}]
    for state in reversed(states):
        details = {"stateEnteredEventDetails": {"name": state}}
        events.append({"id": 50, "type": "TaskStateEntered", "timestamp": 1717243201.0, **details})
    return Reply(body=json.dumps({"events": events}).encode())


@pytest.fixture
def start(load: Callable[..., Handler]) -> Handler:
    return load("start_training", **ENVIRONMENT)


@pytest.fixture
def read(load: Callable[..., Handler], event: Event) -> Callable[..., dict[str, Any]]:
    handler = load("read_training", STATE_MACHINE_ARN=ARN)

    def read(training_id: str = TRAINING_ID) -> dict[str, Any]:
        return handler(event(body=None, pathParameters={"training_id": training_id}))

    return read


def asked(event: Event, body: object, key: str | None = None) -> dict[str, Any]:
    recorded = event(body=body)
    recorded["requestContext"] = recorded["requestContext"] | {"path": "/live/v1/trainings"}
    if key:
        recorded["headers"] = recorded["headers"] | {"idempotency-key": key}
    return recorded


def test_a_training_is_started_under_an_id_of_its_own(start: Handler, event: Event, aws: StandIn) -> None:
    aws.replies.append(STARTED)
    response = start(asked(event, {"dataset": "datasets/d/", "hyperparameters": {"ngram_max": 3}}))

    assert response["statusCode"] == 202
    body = json.loads(response["body"])
    ((_, sent),) = aws.calls
    assert sent["stateMachineArn"] == ARN
    assert body == {"training_id": sent["name"], "status": "running", "request_id": REQUEST_ID}
    assert response["headers"]["Location"] == f"/live/v1/trainings/{sent['name']}"
    given = json.loads(sent["input"])
    assert (given["dataset"], given["hyperparameters"], given["margin"]) == ("datasets/d/", {"ngram_max": 3}, 0.01)


def test_the_same_key_is_the_same_training_and_another_another(start: Handler, event: Event, aws: StandIn) -> None:
    for key in ("one", "one", "two"):
        aws.replies.append(STARTED)
        start(asked(event, {"dataset": "datasets/d/"}, key))

    first, again, other = (sent["name"] for _, sent in aws.calls)
    assert first == again != other


def test_a_training_that_there_is_is_told_when_it_is_asked_for_again(
    start: Handler, event: Event, aws: StandIn
) -> None:
    aws.replies.append(STARTED)
    start(asked(event, {"dataset": "datasets/d/"}, "one"))
    given = aws.calls[0][1]["input"]
    aws.replies += [EXISTS, described("SUCCEEDED", input=given)]
    response = start(asked(event, {"dataset": "datasets/d/", "seed": 20240601}, "one"))

    assert (response["statusCode"], json.loads(response["body"])["status"]) == (202, "succeeded")


def test_another_body_under_the_same_key_is_a_conflict(start: Handler, event: Event, aws: StandIn) -> None:
    aws.replies += [EXISTS, described(input='{"dataset": "datasets/other/"}')]
    response = start(asked(event, {"dataset": "datasets/d/"}, "one"))

    assert response["statusCode"] == 409
    assert "send a new key with a new body" in response["body"]


def test_what_is_wrong_is_told_before_anything_is_started(start: Handler, event: Event, aws: StandIn) -> None:
    response = start(asked(event, {"dataset": "datasets/d/", "hyperparameters": {"epochs": 3}}))

    assert problem_of(response, 400) == (
        "hyperparameters.epochs is not known: the training script knows loss, ngram_max, ngram_min, "
        "regularization, seed, text_features"
    )
    assert 'send a JSON object such as {"dataset": "datasets/reviews/"}' in problem_of(start(asked(event, "")), 400)
    assert aws.calls == []


def test_an_event_starts_a_training_once_however_often_it_comes(load: Callable[..., Handler], aws: StandIn) -> None:
    start = load("start_training", "event_handler", **ENVIRONMENT)
    aws.replies += [STARTED, STARTED]
    given = {"request": {"dataset": "datasets/incoming/a.csv"}, "key": "6a7e8feb-b491-4cf7-a9f1-bf3703467718"}
    first, again = start(given), start(given)

    assert first == again
    assert first["training_id"] == aws.calls[0][1]["name"]
    assert len(first["training_id"]) <= 36


def test_a_running_training_tells_the_state_it_is_in(read: Callable[..., dict[str, Any]], aws: StandIn) -> None:
    aws.replies += [described(), history("CheckDataset", "Train")]
    response = read()

    assert response["statusCode"] == 200
    assert json.loads(response["body"]) == {
        "training_id": TRAINING_ID,
        "status": "running",
        "state": "Train",
        "started_at": "2024-06-01T12:00:00.123Z",
        "request_id": REQUEST_ID,
    }
    asked_for = [payload for _, payload in aws.calls]
    assert asked_for[0] == {"executionArn": EXECUTION_ARN}
    assert (asked_for[1]["reverseOrder"], asked_for[1]["includeExecutionData"]) == (True, False)


def test_a_training_that_succeeded_tells_what_came_of_it(read: Callable[..., dict[str, Any]], aws: StandIn) -> None:
    output = {"training_id": "x", "outcome": "promoted", "model_version": "2-b", "in_service": None}
    aws.replies.append(described("SUCCEEDED", stopDate=1717243300.0, output=json.dumps(output)))
    body = json.loads(read()["body"])

    assert body == {
        "training_id": TRAINING_ID,
        "status": "succeeded",
        "started_at": "2024-06-01T12:00:00.123Z",
        "ended_at": "2024-06-01T12:01:40.000Z",
        "outcome": "promoted",
        "model_version": "2-b",
        "in_service": None,
        "request_id": REQUEST_ID,
    }


@pytest.mark.parametrize(
    ("status", "fields", "error"),
    [
        (
            "FAILED",
            {"error": "DatasetError", "cause": "datasets/d/ has 3 broken rows"},
            {"code": "DatasetError", "detail": "datasets/d/ has 3 broken rows"},
        ),
        (
            "FAILED",
            {"error": "DatasetError", "cause": '{"errorMessage": "3 broken rows", "errorType": "DatasetError"}'},
            {"code": "DatasetError", "detail": "3 broken rows"},
        ),
        ("TIMED_OUT", {}, {"code": "States.Timeout", "detail": "it took longer than it may"}),
        ("ABORTED", {}, {"code": "Aborted", "detail": "somebody stopped it"}),
        ("ABORTED", {"cause": "too dear"}, {"code": "Aborted", "detail": "too dear"}),
    ],
)
def test_a_training_that_failed_is_explained(
    read: Callable[..., dict[str, Any]], aws: StandIn, status: str, fields: dict[str, str], error: dict[str, str]
) -> None:
    # The local AWS says null where AWS leaves out
    aws.replies += [described(status, stopDate=1717243300.0, output=None, **fields), history("CheckDataset")]
    response = read()
    body = json.loads(response["body"])

    assert (response["statusCode"], body["status"], body["state"]) == (200, "failed", "CheckDataset")
    assert body["error"] == error


@pytest.mark.parametrize("training_id", [TRAINING_ID, "../x", "a" * 37])
def test_a_training_that_there_is_not_is_not_found(
    read: Callable[..., dict[str, Any]], aws: StandIn, training_id: str
) -> None:
    aws.replies.append(DOES_NOT_EXIST)
    response = read(training_id)

    assert response["statusCode"] == 404
    assert f"there is no training '{training_id}', or no longer" in response["body"]


def test_the_state_is_looked_for_behind_many_other_events(read: Callable[..., dict[str, Any]], aws: StandIn) -> None:
    others = [{"id": 1, "type": "MapIterationStarted", "timestamp": 1717243201.0}]
    aws.replies += [
        described(),
        Reply(body=json.dumps({"events": others, "nextToken": "t"}).encode()),
        history("Train"),
    ]
    body = json.loads(read()["body"])

    assert body["state"] == "Train"
    assert aws.calls[2][1]["nextToken"] == "t"
