"""Jobs that nobody else would end: of messages that died or got lost, and of an endpoint that keeps silent."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from text_classification.gateways.asynchronous_endpoint import reminder_of
from text_classification.gateways.job_items import ASYNCHRONOUS, OVERDUE_SECONDS, SHARDS, Job
from text_classification.gateways.job_queue import JobQueue, PeekedMessage, body_of
from text_classification.gateways.job_table import JobTable, chunks
from text_classification.logic.job_retries import LONGEST_PAUSE_SECONDS
from text_classification.logic.jobs import seconds_of, timestamp
from text_classification.logic.large_jobs import fail

_HIDDEN_SECONDS = 60  # as long as the function may run
_THREADS = 8
_SHOWN_AT_ONCE = 100
_REMINDED_AGAIN_SECONDS = 15 * 60
_GIVEN_UP_SECONDS = 6 * 60 * 60
_DIED = (
    "the function that worked on it ended without an answer in the last of its tries: it was killed, timed out, lacked "
    "memory, or reached neither table nor queue"
)
_NOT_FINISHED = (
    "the asynchronous endpoint has had its time, and no function has come to an end with what it left, in six hours of "
    "reminders: they were killed, timed out or lacked memory"
)


def bury(
    *,
    table: JobTable,
    queue: JobQueue,
    dead_letters: JobQueue,
    settled: set[str],
    time_left: Callable[[], bool],
    time_to_show: Callable[[], bool],
) -> set[str]:
    """Let the jobs of dead letters fail that nobody could do it for, and return them. The messages stay.

    A consumer that was killed, timed out or ran out of memory in a job's last try has not said so. While another
    message of the job may still come back from that, it is left alone.

    Args:
        table: The jobs.
        queue: Where their messages come back to.
        dead_letters: Where those are that do not.
        settled: The dead letters that were looked at for good; this call's are added, and what is gone is removed.
        time_left: Tells whether there is time for more of them.
        time_to_show: Tells whether there is time to show them to others again, which happens by itself in a minute.

    Raises:
        GatewayError: Table or queue could not be reached.
    """
    buried: set[str] = set()
    seen: dict[str, PeekedMessage] = {}
    with ThreadPoolExecutor(_THREADS) as threads:
        while time_left():
            peeks = threads.map(lambda _: dead_letters.peek(hidden_seconds=_HIDDEN_SECONDS), range(_THREADS))
            found = {message.message_id: message for some in peeks for message in some}
            new = [message for name, message in found.items() if name not in seen]
            if not new:  # each was looked at
                settled.intersection_update(seen)
                break
            seen |= found
            unsettled = [message for message in new if message.message_id not in settled]
            open_jobs = _open_jobs(unsettled, table)
            settled |= {message.message_id for message in unsettled if message.job_id not in open_jobs}
            buried |= _bury([job for job in open_jobs.values() if not _has_asynchronous(job)], table, queue)
    # For whoever drives them back or counts them.
    for some in chunks(seen.values(), _SHOWN_AT_ONCE):
        if time_to_show():
            dead_letters.delay({message.receipt: 0 for message in some})
    return buried


def _open_jobs(messages: Sequence[PeekedMessage], table: JobTable) -> dict[str, Job]:
    jobs = table.read(sorted({message.job_id for message in messages if message.job_id}))
    return {job_id: job for job_id, job in jobs.items() if job.job_status in ("queued", "running")}


def _bury(jobs: Sequence[Job], table: JobTable, queue: JobQueue) -> set[str]:
    if not jobs:
        return set()
    hidden, now = queue.visibility_seconds(), time.time()
    problems = {
        job: _DIED + (f"; the try before: {job.problem}" if job.problem else "")
        for job in jobs
        for longest in [hidden if job.job_status == "running" else hidden + LONGEST_PAUSE_SECONDS]
        if seconds_of(job.updated_at) + longest < now
    }
    return table.bury(problems, now=int(now), updated_at=timestamp(datetime.now(UTC)))


def remind(*, table: JobTable, queue: JobQueue, time_left: Callable[[], bool]) -> set[str]:
    """Queue a message for each overdue job, and return them.

    One that an asynchronous endpoint should have been done with gets a reminder of that, until it is given up. Of any
    other the message must have got lost: it gets a new one. When the first has only waited for that long, the second
    finds the job done.

    Raises:
        GatewayError: Table or queue could not be reached; what was not queued is overdue still.
    """
    reminded: set[str] = set()
    for shard in SHARDS:
        while time_left() and (jobs := table.overdue(shard, now=int(time.time()))):
            now = int(time.time())
            given_up = {job.job_id for job in jobs if _has_asynchronous(job) and job.free_at + _GIVEN_UP_SECONDS < now}
            for job_id in given_up:
                fail(job_id, _NOT_FINISHED, table)
            open_jobs = [job for job in jobs if job.job_id not in given_up]
            queue.send_bodies([_message(job) for job in open_jobs])
            table.postpone({job.job_id: now + _patience(job) for job in open_jobs}, now=now)
            reminded |= {job.job_id for job in open_jobs}
    return reminded


def _has_asynchronous(job: Job) -> bool:
    return job.claim == ASYNCHRONOUS and job.job_status == "running"


def _message(job: Job) -> str:
    return reminder_of(job.job_id) if _has_asynchronous(job) else body_of(job.job_id)


def _patience(job: Job) -> int:
    return _REMINDED_AGAIN_SECONDS if _has_asynchronous(job) else OVERDUE_SECONDS
