"""What becomes of messages: gone when their job is done, back later, or among the dead letters with a reason."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from text_classification.gateways.asynchronous_endpoint import Notification
from text_classification.gateways.errors import GatewayError
from text_classification.gateways.job_items import Ending
from text_classification.gateways.job_queue import JobQueue
from text_classification.gateways.job_table import JobTable
from text_classification.logic.job_batch import Consumer, Delivery
from text_classification.logic.job_outcomes import Again, Done, Outcome, Outcomes, Postponed, Refused
from text_classification.logic.jobs import timestamp
from text_classification.logic.large_jobs import finish_without_endpoint

MAX_PROBLEM = 500
LONGEST_PAUSE_SECONDS = 900
"""The longest pause between two tries."""
_UNTIL_WRITTEN_DOWN_SECONDS = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """One message.

    Args:
        message_id: Its id.
        receipt: What it is shown again by.
        receive_count: How often it was handed out.
        sent_at: When it was sent, in seconds since 1970.
        job_id: The job that it names. None: it names none.
        notification: What an asynchronous endpoint says of a job. None: it is not about that.
    """

    message_id: str
    receipt: str
    receive_count: int
    sent_at: float
    job_id: str | None
    notification: Notification | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Retries:
    """How often a job is tried, and when again.

    Args:
        max_receive_count: How often a message is handed out before it is a dead letter.
        first_pause_seconds: The pause after the first try, at most; each further one is twice as long.
    """

    max_receive_count: int
    first_pause_seconds: int

    def pause(self, receive_count: int) -> int:
        """Return the seconds until the next try, from half of the longest pause to all of it."""
        longest: int = min(LONGEST_PAUSE_SECONDS, self.first_pause_seconds * 2 ** (receive_count - 1))
        return round(longest * random.uniform(0.5, 1))  # noqa: S311 (jitter, not a secret)


def consume(messages: Sequence[Message], *, consumer: Consumer, queue: JobQueue, retries: Retries) -> set[str]:
    """Work on the jobs of messages and return the ids of the messages that stay in the queue.

    A message of a job that can never succeed stays, too, and comes back at once, until SQS takes it for a dead
    letter: so it can be driven back by SQS itself when the reason is gone. One whose job had to be postponed goes, and
    another takes its place, which SQS counts anew.

    Raises:
        GatewayError: Table or queue could not be reached; all messages stay.
    """
    of_jobs: dict[str, list[Message]] = defaultdict(list)
    for message in messages:
        if message.job_id:
            of_jobs[message.job_id].append(message)
    deliveries = {
        job_id: Delivery(
            receive_count=max(each.receive_count for each in some), sent_at=max(each.sent_at for each in some)
        )
        for job_id, some in of_jobs.items()
    }
    outcomes = dict(consumer.work_on(deliveries) if deliveries else {})
    outcomes |= _queue_anew([job_id for job_id, each in outcomes.items() if isinstance(each, Postponed)], queue)
    _write_down(outcomes, deliveries, consumer.table, consumer.claim, retries)
    staying = {
        message: outcome
        for message in messages
        if not isinstance(outcome := _outcome(message, outcomes, consumer, retries), Done | Postponed)
    }
    queue.delay({each.receipt: _pause(outcome, each.receive_count, retries) for each, outcome in staying.items()})
    return {message.message_id for message in staying}


def _queue_anew(job_ids: Sequence[str], queue: JobQueue) -> Outcomes:
    """Send a message for each postponed job; those of which that fails keep theirs, and have used up a try."""
    try:
        queue.send(job_ids, delay_seconds=_UNTIL_WRITTEN_DOWN_SECONDS)
    except GatewayError as error:
        return {
            job_id: Again(problem=f"no time was left for it, nor could it wait anew: {error}") for job_id in job_ids
        }
    return {}


def _outcome(message: Message, outcomes: Outcomes, consumer: Consumer, retries: Retries) -> Outcome:
    if message.job_id:
        return outcomes[message.job_id]
    if message.notification is None:
        return Refused(problem="the message names no job")
    if consumer.remaining_seconds() < consumer.keep_seconds:
        return Again(problem=None)
    if consumer.large_jobs is None:
        return finish_without_endpoint(message.notification, consumer.table)
    last_try = message.receive_count >= retries.max_receive_count
    return consumer.large_jobs.finish(message.notification, sent_at=message.sent_at, last_try=last_try)


def _pause(outcome: Outcome, receive_count: int, retries: Retries) -> int:
    match outcome:
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
            problem=outcome.problem[:MAX_PROBLEM],
        )
        for job_id, outcome in outcomes.items()
        for last in [deliveries[job_id].receive_count >= retries.max_receive_count]
        if not isinstance(outcome, Done) and outcome.problem
    ]
    table.end(endings, claim=claim)
