"""Patches of SQS."""

import json
import threading
import time
from typing import Any

import pytest
from ministack.core import iam_actions
from ministack.services import (
    sqs,
)

from sm_local import patches
from sm_local.message_moves import MessageMoves


def _queues() -> tuple[str, str]:
    """Make a queue and one for its dead letters; return their names."""
    sqs._act_create_queue({"QueueName": "dead"}, "")
    policy = json.dumps({"deadLetterTargetArn": _arn("dead"), "maxReceiveCount": 1})
    sqs._act_create_queue({"QueueName": "jobs", "Attributes": {"RedrivePolicy": policy}}, "")
    return "jobs", "dead"


def _arn(name: str) -> str:
    return f"arn:aws:sqs:us-east-1:000000000000:{name}"


def _bodies(name: str) -> list[str]:
    return [message["body"] for message in sqs._queue_by_arn(_arn(name))["messages"]]


def test_a_message_waits_for_the_lock_of_those_who_delete_some() -> None:
    name, _ = _queues()
    send: dict[str, Any] = {"QueueUrl": sqs._queue_url(name), "MessageBody": "a"}
    with sqs._queues_lock:
        sqs._act_send_message(send, "")  # MiniStack's own does not wait

    patches.sqs.send_no_message_into_a_list_about_to_be_replaced()

    sender = threading.Thread(target=sqs._HANDLERS["SendMessage"], args=[send, ""])
    with sqs._queues_lock:
        sender.start()
        sender.join(0.2)
        assert sender.is_alive()
        assert _bodies(name) == ["a"]
    sender.join()
    assert _bodies(name) == ["a", "a"]


def _die(name: str, *bodies: str) -> None:
    """Send messages and receive each too often, so that they are dead letters."""
    url = sqs._queue_url(name)
    for body in bodies:
        sqs._act_send_message({"QueueUrl": url, "MessageBody": body}, "")
    queue = sqs._queues[url]
    for message in queue["messages"]:
        message["receive_count"] = 1
    sqs._dlq_sweep(queue)


def test_dead_letters_are_driven_back_where_they_died() -> None:
    name, dead = _queues()
    _die(name, "a", "b")
    assert (_bodies(name), _bodies(dead)) == ([], ["a", "b"])
    for message in sqs._queue_by_arn(_arn(dead))["messages"]:
        message["sys"]["SentTimestamp"] = "1000"
    assert "StartMessageMoveTask" not in sqs._HANDLERS

    patches.sqs.add_message_moves(MessageMoves().handlers)

    sqs._HANDLERS["StartMessageMoveTask"]({"SourceArn": _arn(dead)}, "")
    (task,) = _finished(dead)
    assert (_bodies(name), _bodies(dead)) == (["a", "b"], [])
    assert (task["Status"], task["ApproximateNumberOfMessagesMoved"]) == ("COMPLETED", 2)
    moved = sqs._queue_by_arn(_arn(name))["messages"]
    assert [message["receive_count"] for message in moved] == [0, 0]
    assert all(int(message["sys"]["SentTimestamp"]) > 1000 for message in moved), "they are new messages"


def _finished(dead: str) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 10
    while True:
        tasks: list[dict[str, Any]] = sqs._HANDLERS["ListMessageMoveTasks"]({"SourceArn": _arn(dead)}, "")["Results"]
        if all(task["Status"] not in ("RUNNING", "CANCELLING") for task in tasks) or time.monotonic() > deadline:
            return tasks
        time.sleep(0.01)


def test_dead_letters_go_to_another_queue_when_it_is_named_and_as_slowly_as_is_asked_for() -> None:
    name, dead = _queues()
    sqs._act_create_queue({"QueueName": "other"}, "")
    _die(name, "a", "b", "c")
    patches.sqs.add_message_moves(MessageMoves().handlers)

    slowly = {"SourceArn": _arn(dead), "DestinationArn": _arn("other"), "MaxNumberOfMessagesPerSecond": 1}
    handle = sqs._HANDLERS["StartMessageMoveTask"](slowly, "")["TaskHandle"]
    with pytest.raises(sqs._Err, match="Only one active task"):
        sqs._HANDLERS["StartMessageMoveTask"]({"SourceArn": _arn(dead)}, "")
    sqs._HANDLERS["CancelMessageMoveTask"]({"TaskHandle": handle}, "")

    (task,) = _finished(dead)
    assert task["Status"] == "CANCELLED"
    assert len(_bodies("other")) == task["ApproximateNumberOfMessagesMoved"] < 3
    assert len(_bodies("other")) + len(_bodies(dead)) == 3
    with pytest.raises(sqs._Err, match="not running"):
        sqs._HANDLERS["CancelMessageMoveTask"]({"TaskHandle": handle}, "")


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"SourceArn": _arn("jobs")}, "must be configured as a Dead Letter Queue"),
        ({"SourceArn": _arn("missing")}, "does not exist"),
        ({"SourceArn": _arn("dead"), "DestinationArn": _arn("missing")}, "does not exist"),
        ({"SourceArn": _arn("dead"), "MaxNumberOfMessagesPerSecond": 501}, "from 1 to 500"),
    ],
)
def test_a_move_that_sqs_refuses_is_refused(request_: dict[str, Any], words: str) -> None:
    _queues()
    patches.sqs.add_message_moves(MessageMoves().handlers)

    with pytest.raises(sqs._Err, match=words):
        sqs._HANDLERS["StartMessageMoveTask"](request_, "")


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("StartMessageMoveTask", {"SourceArn": _arn("dead")}),
        ("CancelMessageMoveTask", {"TaskHandle": f"0c1d/{_arn('dead')}"}),
    ],
)
def test_a_move_is_authorized_on_the_queue_of_the_dead_letters(action: str, body: dict[str, str]) -> None:
    headers = {"x-amz-target": f"AmazonSQS.{action}"}
    call: tuple[Any, ...] = ("sqs", "POST", "/", headers, json.dumps(body).encode(), {}, "us-east-1", "000000000000")
    assert iam_actions.extract_resource_arn(*call) == "*"

    patches.sqs.add_message_moves(MessageMoves().handlers)

    assert iam_actions.extract_resource_arn(*call) == _arn("dead")
