"""Patches of EventBridge."""

import json
import time
from typing import Any

import pytest
from ministack.services import eventbridge, lambda_svc, sqs

from sm_local import patches

_ARN = "arn:aws:lambda:us-east-1:000000000000:function:fails"


def _called(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Let there be a function that fails, with a queue for its failures; return the events that it is called with."""
    sqs._act_create_queue({"QueueName": "failures"}, "")
    configuration = {"FunctionName": "fails", "FunctionArn": _ARN}
    failures = {"OnFailure": {"Destination": "arn:aws:sqs:us-east-1:000000000000:failures"}}
    function = {"config": configuration, "event_invoke_configs": {"$LATEST": {"DestinationConfig": failures}}}
    events: list[dict[str, Any]] = []

    def fail(_: object, event: dict[str, Any]) -> dict[str, Any]:
        events.append(event)
        return {"error": True, "body": {"errorMessage": "broken"}}

    monkeypatch.setattr(lambda_svc, "_get_func_record_for_ref", lambda _: (function, configuration, "fails"))
    monkeypatch.setattr(lambda_svc, "_execute_function", fail)
    monkeypatch.setattr(lambda_svc, "_LAMBDA_ASYNC_RETRY_BASE_SECONDS", 0.01)
    monkeypatch.setitem(lambda_svc._functions, "fails", function)
    return events


def _failures() -> list[dict[str, Any]]:
    queue = sqs._queue_by_arn("arn:aws:sqs:us-east-1:000000000000:failures")
    return [json.loads(message["body"]) for message in queue["messages"]]


def test_a_rules_function_that_fails_is_called_again_and_its_destination_told(monkeypatch: pytest.MonkeyPatch) -> None:
    events = _called(monkeypatch)
    eventbridge._dispatch_to_lambda(_ARN, '{"id": 1}')
    time.sleep(0.3)
    assert (len(events), _failures()) == (1, [])

    patches.eventbridge.call_functions_until_they_succeed()

    eventbridge._dispatch_to_lambda(_ARN, '{"id": 2}')
    deadline = time.monotonic() + 10
    while not _failures() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert events == [{"id": 1}, *[{"id": 2}] * 3]
    assert [failure["requestPayload"] for failure in _failures()] == [{"id": 2}]
