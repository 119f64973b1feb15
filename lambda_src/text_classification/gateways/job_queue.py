"""The queue of jobs, in SQS. A message names a job and holds nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from text_classification.gateways.calls import TimeBudget, call_service
from text_classification.gateways.errors import UnavailableError
from text_classification.gateways.job_items import is_job_id
from text_classification.gateways.job_table import chunks

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import (
        ChangeMessageVisibilityBatchRequestEntryTypeDef,
        SendMessageBatchRequestEntryTypeDef,
    )

_ENTRIES_A_CALL = 10  # SQS's own limit
_THREADS = 8

_Batch = TypeVar("_Batch")


class _Body(BaseModel):
    job_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PeekedMessage:
    """A message that was looked at.

    Args:
        message_id: Its id.
        receipt: What it is shown again by.
        job_id: The job that it names. None: it names none.
    """

    message_id: str
    receipt: str
    job_id: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class JobQueue:
    """A queue with messages that name jobs.

    Args:
        client: Made with ``budget.client_config()``.
        queue_url: The queue.
        budget: How long a call may take, repetitions included.
    """

    client: SQSClient
    queue_url: str
    budget: TimeBudget

    def send(self, job_ids: Sequence[str]) -> None:
        """Queue jobs. Raises GatewayError when any of them was not taken: queue all of them again then."""
        self.send_bodies([body_of(job_id) for job_id in job_ids])

    def send_bodies(self, bodies: Sequence[str], *, delay_seconds: int = 0) -> None:
        """Queue messages, which nobody is shown for some seconds. Raises GatewayError as :meth:`send` does."""
        batches: list[list[SendMessageBatchRequestEntryTypeDef]] = [
            [{"Id": str(index), "MessageBody": body, "DelaySeconds": delay_seconds} for index, body in enumerate(some)]
            for some in chunks(bodies, _ENTRIES_A_CALL)
        ]
        self._call_for_each(self._send, batches)

    def delay(self, seconds: Mapping[str, int]) -> None:
        """Show messages again after some seconds, by their receipt handles. Raises GatewayError.

        A message whose receipt is no longer valid is shown again by the queue itself.
        """
        batches: list[list[ChangeMessageVisibilityBatchRequestEntryTypeDef]] = [
            [
                {"Id": str(index), "ReceiptHandle": handle, "VisibilityTimeout": delay}
                for index, (handle, delay) in enumerate(some)
            ]
            for some in chunks(seconds.items(), _ENTRIES_A_CALL)
        ]
        self._call_for_each(self._change, batches)

    def peek(self, *, hidden_seconds: int) -> list[PeekedMessage]:
        """Return up to ten messages, which stay in the queue and are shown to nobody else for a while.

        Raises GatewayError.
        """

        def receive() -> list[PeekedMessage]:
            answer = self.client.receive_message(
                QueueUrl=self.queue_url, MaxNumberOfMessages=_ENTRIES_A_CALL, VisibilityTimeout=hidden_seconds
            )
            return [
                PeekedMessage(
                    message_id=message["MessageId"],
                    receipt=message["ReceiptHandle"],
                    job_id=job_id_of(message["Body"]),
                )
                for message in answer.get("Messages", [])
            ]

        return call_service(receive, self.budget)

    def visibility_seconds(self) -> int:
        """Return how long a message is hidden that was handed out. Raises GatewayError."""
        answer = call_service(
            lambda: self.client.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=["VisibilityTimeout"]),
            self.budget,
        )
        return int(answer["Attributes"]["VisibilityTimeout"])

    def _call_for_each(self, call: Callable[[_Batch], object], batches: Sequence[_Batch]) -> None:
        with ThreadPoolExecutor(_THREADS) as threads:
            list(threads.map(lambda batch: call_service(partial(call, batch), self.budget), batches))

    def _change(self, entries: Sequence[ChangeMessageVisibilityBatchRequestEntryTypeDef]) -> None:
        self.client.change_message_visibility_batch(QueueUrl=self.queue_url, Entries=entries)

    def _send(self, entries: Sequence[SendMessageBatchRequestEntryTypeDef]) -> None:
        answer = self.client.send_message_batch(QueueUrl=self.queue_url, Entries=entries)
        if failed := answer.get("Failed"):
            raise UnavailableError("the queue did not take all messages", {"failed": len(failed)})


def body_of(job_id: str) -> str:
    """Return the body of the message that names a job."""
    return json.dumps({"job_id": job_id})


def job_id_of(body: str) -> str | None:
    """Return the job that a message names; None where it names none.

    >>> job_id_of(body_of("0" * 32)) == "0" * 32
    True
    >>> job_id_of("hello")
    >>> job_id_of(body_of("key#" + "0" * 32))
    """
    try:
        job_id = _Body.model_validate_json(body).job_id
    except ValidationError:
        return None
    return job_id if is_job_id(job_id) else None
