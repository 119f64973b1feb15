"""SQS: dead letters that are moved back."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any


def send_no_message_into_a_list_about_to_be_replaced() -> None:
    """MiniStack's event sources replace a queue's list of messages in threads of their own, to delete some.

    What is sent meanwhile is lost with the old list: let it wait for their lock.
    """
    from ministack.services import sqs

    send = sqs._act_send_message

    def send_message(data: dict[str, Any], queue_url: str) -> Any:
        with sqs._queues_lock:
            return send(data, queue_url)

    sqs._act_send_message = send_message
    sqs._HANDLERS["SendMessage"] = send_message


def add_message_moves(handlers: Mapping[str, Callable[[dict[str, Any], str], dict[str, Any]]]) -> None:
    """MiniStack cannot drive dead letters back: add the actions that do, authorized on the queue they name."""
    from ministack.core import iam_actions
    from ministack.services import sqs

    sqs._HANDLERS.update(handlers)
    resource_of_others = iam_actions.extract_resource_arn

    def extract_resource_arn(
        service: str, method: str, path: str, headers: Any, body: bytes, query: Any, region: str, account: str
    ) -> str:
        if service == "sqs" and headers.get("x-amz-target", "").rpartition(".")[2] in handlers:
            request = json.loads(body)
            return str(request.get("SourceArn") or request.get("TaskHandle", "").partition("/")[2] or "*")
        return str(resource_of_others(service, method, path, headers, body, query, region, account))

    iam_actions.extract_resource_arn = extract_resource_arn


def error(code: str, message: str) -> Exception:
    """Return what an SQS action raises to be answered with an error."""
    from ministack.services import sqs

    error: Exception = sqs._Err(code, message)
    return error


def is_dead_letter_queue(arn: str) -> bool:
    """Return whether an SQS queue keeps the dead letters of another.

    Raises:
        KeyError: There is no such queue.
    """
    from ministack.services import sqs

    if sqs._queue_by_arn(arn) is None:
        raise KeyError(arn)
    policies = [queue["attributes"].get("RedrivePolicy") for queue in list(sqs._queues.values())]
    return any(json.loads(policy)["deadLetterTargetArn"] == arn for policy in policies if policy)


def messages_in(arn: str) -> int:
    """Return how many messages an SQS queue has, hidden ones included."""
    from ministack.services import sqs

    return len(sqs._queue_by_arn(arn)["messages"])


def move_message(source_arn: str, destination_arn: str | None) -> bool:
    """Move the first message that is not hidden, as a new one, and return whether there was any.

    It goes to the queue that it died in, when no destination is named.
    """
    from ministack.core.responses import new_uuid
    from ministack.services import sqs

    with sqs._queues_lock:
        source, now = sqs._queue_by_arn(source_arn), time.time()
        message = next((each for each in source["messages"] if each["visible_at"] <= now), None)
        if message is None:
            return False
        destination = sqs._queue_by_arn(destination_arn or message["sys"]["DeadLetterQueueSourceArn"])
        source["messages"].remove(message)
        anew = {"id": new_uuid(), "sent_at": now, "visible_at": now, "receive_count": 0, "receipt_handle": None}
        system = {name: value for name, value in message["sys"].items() if name != "DeadLetterQueueSourceArn"}
        system["SentTimestamp"] = str(int(now * 1000))
        destination["messages"].append({**message, **anew, "first_receive_at": None, "sys": system})
    sqs.esm_wake.set()
    return True
