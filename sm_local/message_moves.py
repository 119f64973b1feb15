"""Driving dead letters back: ``StartMessageMoveTask`` and the actions that watch it and end it.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from sm_local.patches import sqs

_FASTEST = 500  # messages a second, SQS's own limit
_SHOWN = 10


@dataclass(kw_only=True)
class MoveTask:
    """One task that moves messages; its handle ends in the ARN of the queue that it empties."""

    source_arn: str
    destination_arn: str | None
    messages_a_second: int | None
    to_move: int
    status: str = "RUNNING"
    moved: int = 0
    started: int = field(default_factory=lambda: int(time.time() * 1000))
    task_id: str = field(default_factory=lambda: str(uuid4()))

    @property
    def handle(self) -> str:
        return f"{self.task_id}/{self.source_arn}"

    def run(self) -> None:
        """Move messages until there is none left, or the task is cancelled."""
        while self.status == "RUNNING" and sqs.messages_in(self.source_arn):
            if sqs.move_message(self.source_arn, self.destination_arn):
                self.moved += 1
                time.sleep(1 / (self.messages_a_second or _FASTEST))
            else:
                time.sleep(0.1)  # somebody looks at those that are left
        self.status = "CANCELLED" if self.status == "CANCELLING" else "COMPLETED"

    def description(self) -> dict[str, Any]:
        """Return what ListMessageMoveTasks says of it."""
        shown = {
            "TaskHandle": self.handle if self.status == "RUNNING" else None,
            "Status": self.status,
            "SourceArn": self.source_arn,
            "DestinationArn": self.destination_arn,
            "MaxNumberOfMessagesPerSecond": self.messages_a_second,
            "ApproximateNumberOfMessagesMoved": self.moved,
            "ApproximateNumberOfMessagesToMove": self.to_move,
            "StartedTimestamp": self.started,
        }
        return {name: value for name, value in shown.items() if value is not None}


class MessageMoves:
    """The tasks there are, and the actions of SQS that are about them."""

    def __init__(self) -> None:
        self._tasks: list[MoveTask] = []

    @property
    def handlers(self) -> Mapping[str, Callable[[dict[str, Any], str], dict[str, Any]]]:
        return {
            "StartMessageMoveTask": self.start,
            "ListMessageMoveTasks": self.list,
            "CancelMessageMoveTask": self.cancel,
        }

    def start(self, request: dict[str, Any], _queue_url: str) -> dict[str, Any]:
        source, speed = request["SourceArn"], request.get("MaxNumberOfMessagesPerSecond")
        _check_queue(source)
        if not sqs.is_dead_letter_queue(source):
            raise sqs.error("InvalidParameterValue", "Source queue must be configured as a Dead Letter Queue.")
        if destination := request.get("DestinationArn"):
            _check_queue(destination)
        if speed is not None and not 1 <= speed <= _FASTEST:
            raise sqs.error("InvalidParameterValue", f"MaxNumberOfMessagesPerSecond must be from 1 to {_FASTEST}.")
        if any(task.source_arn == source and task.status in ("RUNNING", "CANCELLING") for task in self._tasks):
            raise sqs.error(
                "UnsupportedOperation", "There is already a task running. Only one active task is allowed for a queue."
            )
        task = MoveTask(
            source_arn=source,
            destination_arn=destination,
            messages_a_second=speed,
            to_move=sqs.messages_in(source),
        )
        self._tasks.append(task)
        threading.Thread(target=copy_context().run, args=[task.run], daemon=True).start()
        return {"TaskHandle": task.handle}

    def list(self, request: dict[str, Any], _queue_url: str) -> dict[str, Any]:
        source = request["SourceArn"]
        _check_queue(source)
        newest = [task.description() for task in reversed(self._tasks) if task.source_arn == source]
        return {"Results": newest[: min(request.get("MaxResults", 1), _SHOWN)]}

    def cancel(self, request: dict[str, Any], _queue_url: str) -> dict[str, Any]:
        task = next((task for task in self._tasks if task.handle == request["TaskHandle"]), None)
        if task is None or task.status != "RUNNING":
            raise sqs.error("ResourceNotFoundException", "Task does not exist, or is not running.")
        task.status = "CANCELLING"
        return {"ApproximateNumberOfMessagesMoved": task.moved}


def _check_queue(arn: str) -> None:
    try:
        sqs.is_dead_letter_queue(arn)
    except KeyError:
        raise sqs.error("ResourceNotFoundException", "The resource that you specified does not exist.") from None
