"""What becomes of messages: gone when their job is done, back later, or among the dead letters with a reason."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from text_classification.gateways.asynchronous_endpoint import Notification
from text_classification.gateways.job_items import Ending
from text_classification.gateways.job_queue import JobQueue
from text_classification.gateways.job_table import JobTable
from text_classification.logic.job_batch import Consumer
from text_classification.logic.job_outcomes import Again, Done, Outcome, Outcomes, Refused
from text_classification.logic.jobs import timestamp

MAX_PROBLEM = 500
_LONGEST_PAUSE_SECONDS = 900
_HIDDEN_SECONDS = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """One message.

    Args:
        message_id: Its id.
        receipt: What it is shown again by.
        receive_count: How often it was handed out.
        job_id: The job that it names. None: it names none.
        notification: What an asynchronous endpoint says of a job. None: it is not about that.
    """

    message_id: str
    receipt: str
    receive_count: int
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
        longest: int = min(_LONGEST_PAUSE_SECONDS, self.first_pause_seconds * 2 ** (receive_count - 1))
        return round(longest * random.uniform(0.5, 1))  # noqa: S311 (jitter, not a secret)


def consume(messages: Sequence[Message], *, consumer: Consumer, queue: JobQueue, retries: Retries) -> set[str]:
    """Work on the jobs of messages and return the ids of the messages that stay in the queue.

    A message of a job that can never succeed stays, too, and comes back at once, until SQS takes it for a dead
    letter: so it can be driven back by SQS itself when the reason is gone.

    Raises:
        GatewayError: Table or queue could not be reached; all messages stay.
    """
    receive_counts: dict[str, int] = defaultdict(int)
    for message in messages:
        if message.job_id:
            receive_counts[message.job_id] = max(receive_counts[message.job_id], message.receive_count)
    outcomes = consumer.work_on(receive_counts) if receive_counts else {}
    _write_down(outcomes, receive_counts, consumer.table, consumer.claim, retries)
    staying = {
        message: outcome
        for message in messages
        if not isinstance(outcome := _outcome(message, outcomes, consumer, retries), Done)
    }
    queue.delay({each.receipt: _pause(outcome, each.receive_count, retries) for each, outcome in staying.items()})
    return {message.message_id for message in staying}


def _outcome(message: Message, outcomes: Outcomes, consumer: Consumer, retries: Retries) -> Outcome:
    if message.notification and consumer.large_jobs:
        if consumer.remaining_seconds() < consumer.call_seconds:
            return Again(problem=None)
        last_try = message.receive_count >= retries.max_receive_count
        return consumer.large_jobs.finish(message.notification, last_try=last_try)
    return outcomes[message.job_id] if message.job_id else Refused(problem="the message names no job")


def _pause(outcome: Outcome, receive_count: int, retries: Retries) -> int:
    match outcome:
        case Again(seconds=None):
            return retries.pause(receive_count)
        case Again(seconds=int(seconds)):
            return seconds
        case _:
            return 0


def _write_down(
    outcomes: Outcomes, receive_counts: Mapping[str, int], table: JobTable, claim: str, retries: Retries
) -> None:
    """Give back the jobs that are not done, with the reason; those that were tried for the last time have failed."""
    now = timestamp(datetime.now(UTC))
    endings = [
        Ending(
            job_id=job_id,
            job_status="failed" if last or isinstance(outcome, Refused) else "queued",
            updated_at=now,
            problem=outcome.problem[:MAX_PROBLEM],
        )
        for job_id, outcome in outcomes.items()
        for last in [receive_counts[job_id] >= retries.max_receive_count]
        if not isinstance(outcome, Done) and outcome.problem
    ]
    table.end(endings, claim=claim)


def bury(*, table: JobTable, dead_letters: JobQueue, time_left: Callable[[], bool]) -> set[str]:
    """Let the jobs of dead letters fail that nobody could do it for, and return them. The messages stay.

    A consumer that was killed, timed out or ran out of memory in a job's last try has not said so.

    Raises:
        GatewayError: Table or queue could not be reached.
    """
    buried: set[str] = set()
    while time_left() and (seen := dead_letters.peek(hidden_seconds=_HIDDEN_SECONDS)):
        jobs = table.read([job_id for job_id in dict.fromkeys(seen) if job_id])
        problems = {
            job_id: "the function that worked on it ended without an answer in the last of its tries: it was killed, "
            "timed out or lacked memory" + (f"; the try before: {job.problem}" if job.problem else "")
            for job_id, job in jobs.items()
            if job.job_status in ("queued", "running")
        }
        if problems:
            buried |= table.bury(problems, now=int(time.time()), updated_at=timestamp(datetime.now(UTC)))
    return buried
