"""What becomes of messages: gone when their job is done, back later, or among the dead letters with a reason."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from text_classification.gateways.asynchronous_endpoint import notification_in
from text_classification.gateways.errors import GatewayError
from text_classification.gateways.job_items import Ending
from text_classification.gateways.job_queue import JobQueue, body_of, job_id_of
from text_classification.gateways.job_table import JobTable
from text_classification.logic.job_batch import Consumer, Delivery
from text_classification.logic.job_outcomes import Again, Done, Outcome, Outcomes, Postponed, Refused
from text_classification.logic.job_retries import LONGEST_PAUSE_SECONDS, Retries
from text_classification.logic.jobs import timestamp
from text_classification.logic.large_jobs import finish_without_endpoint

_UNTIL_WRITTEN_DOWN_SECONDS = 5

_Key = TypeVar("_Key", str, "Message")


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """One message.

    Args:
        message_id: Its id.
        receipt: What it is shown again by.
        receive_count: How often it was handed out.
        sent_at: When it was sent, in seconds since 1970.
        body: What it says.
    """

    message_id: str
    receipt: str
    receive_count: int
    sent_at: float
    body: str


def consume(messages: Sequence[Message], *, consumer: Consumer, queue: JobQueue, retries: Retries) -> set[str]:
    """Work on the jobs of messages and return the ids of the messages that stay in the queue.

    A message of a job that can never succeed stays, too, and comes back at once, until SQS takes it for a dead
    letter: so it can be driven back by SQS itself when the reason is gone. One that had to be postponed goes, and
    another takes its place, which SQS counts anew.

    Raises:
        GatewayError: Table or queue could not be reached; all messages stay.
    """
    of_jobs: dict[str, list[Message]] = defaultdict(list)
    others: list[Message] = []
    for message in messages:
        job_id = job_id_of(message.body)
        (of_jobs[job_id] if job_id else others).append(message)
    deliveries = {
        job_id: Delivery(
            receive_count=max(each.receive_count for each in some), sent_at=max(each.sent_at for each in some)
        )
        for job_id, some in of_jobs.items()
    }
    worked_on = _waiting_anew(consumer.work_on(deliveries) if deliveries else {}, body_of, queue)
    _write_down(worked_on, deliveries, consumer.table, consumer.claim, retries)
    finished = {message: _finish(message, consumer, queue, retries) for message in others}
    outcomes = _waiting_anew(finished, lambda message: message.body, queue)
    outcomes |= {message: worked_on[job_id] for job_id, some in of_jobs.items() for message in some}
    staying = {message: outcome for message, outcome in outcomes.items() if not isinstance(outcome, Done | Postponed)}
    queue.delay({each.receipt: _pause(outcome, each.receive_count, retries) for each, outcome in staying.items()})
    return {message.message_id for message in staying}


def _waiting_anew(
    outcomes: Mapping[_Key, Outcome], body: Callable[[_Key], str], queue: JobQueue
) -> dict[_Key, Outcome]:
    """Send another message for each that is postponed; if that fails, theirs stay and have used up a try."""
    postponed = [each for each, outcome in outcomes.items() if isinstance(outcome, Postponed)]
    try:
        queue.send_bodies([body(each) for each in postponed], delay_seconds=_UNTIL_WRITTEN_DOWN_SECONDS)
    except GatewayError as error:
        problem = f"no time was left for it, nor could it wait anew: {error}"
        return {**outcomes, **dict.fromkeys(postponed, Again(problem=problem))}
    return dict(outcomes)


def _finish(message: Message, consumer: Consumer, queue: JobQueue, retries: Retries) -> Outcome:
    """Finish the job that an asynchronous endpoint's notification is about."""
    notification = notification_in(message.body)
    if notification is None:
        return Refused(problem="the message names no job")
    if consumer.large_jobs is None:
        return finish_without_endpoint(notification, sent_at=message.sent_at, table=consumer.table, queue=queue)
    return consumer.large_jobs.finish(
        notification,
        sent_at=message.sent_at,
        time_left=consumer.remaining_seconds() >= consumer.keep_seconds,
        last_try=retries.is_last(message.receive_count),
    )


def _pause(outcome: Outcome, receive_count: int, retries: Retries) -> int:
    """Return the seconds until a message is shown again: none when that only makes it a dead letter."""
    match outcome:
        case Again(problem=str()) if retries.is_last(receive_count):
            return 0
        case Again(seconds=None):
            return retries.pause(receive_count)
        case Again(seconds=int(seconds)):
            return min(seconds, LONGEST_PAUSE_SECONDS)
        case _:
            return 0


def _write_down(
    outcomes: Outcomes, deliveries: Mapping[str, Delivery], table: JobTable, claim: str, retries: Retries
) -> None:
    """Give back the jobs that are not done, with the reason; those that were tried for the last time have failed."""
    now = timestamp(datetime.now(UTC))
    endings = [
        Ending(
            job_id=job_id,
            job_status="failed" if isinstance(outcome, Refused) or (last and isinstance(outcome, Again)) else "queued",
            updated_at=now,
            problem=outcome.problem,
        )
        for job_id, outcome in outcomes.items()
        for last in [retries.is_last(deliveries[job_id].receive_count)]
        if not isinstance(outcome, Done) and outcome.problem
    ]
    table.end(endings, claim=claim)
