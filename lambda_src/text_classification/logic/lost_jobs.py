"""Jobs that nobody else would end: of messages that died or got lost, and of an endpoint that keeps silent."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from text_classification.gateways.asynchronous_endpoint import reminder_of
from text_classification.gateways.job_items import ASYNCHRONOUS, OVERDUE_SECONDS, SHARDS, Job
from text_classification.gateways.job_queue import JobQueue, body_of
from text_classification.gateways.job_table import JobTable
from text_classification.logic.job_messages import LONGEST_PAUSE_SECONDS
from text_classification.logic.jobs import seconds_of, timestamp

_HIDDEN_SECONDS = 20
_REMINDED_AGAIN_SECONDS = 15 * 60
_DIED = (
    "the function that worked on it ended without an answer in the last of its tries: it was killed, timed out or "
    "lacked memory"
)


def bury(*, table: JobTable, queue: JobQueue, dead_letters: JobQueue, time_left: Callable[[], bool]) -> set[str]:
    """Let the jobs of dead letters fail that nobody could do it for, and return them. The messages stay.

    A consumer that was killed, timed out or ran out of memory in a job's last try has not said so. While another
    message of the job may still come back from that, it is left alone.

    Args:
        table: The jobs.
        queue: Where their messages come back to.
        dead_letters: Where those are that do not.
        time_left: Tells whether there is time for more.

    Raises:
        GatewayError: Table or queue could not be reached.
    """
    buried: set[str] = set()
    seen: set[str] = set()
    while time_left():
        found = dead_letters.peek(hidden_seconds=_HIDDEN_SECONDS)
        if found.keys() <= seen:
            break  # each was looked at
        job_ids = {job_id for message, job_id in found.items() if message not in seen and job_id}
        seen |= found.keys()
        jobs = table.read(sorted(job_ids))
        silent = [job for job in jobs.values() if job.job_status in ("queued", "running") and job.claim != ASYNCHRONOUS]
        if not silent:
            continue
        hidden, now = queue.visibility_seconds(), time.time()
        problems = {
            job: _DIED + (f"; the try before: {job.problem}" if job.problem else "")
            for job in silent
            for longest in [hidden if job.job_status == "running" else hidden + LONGEST_PAUSE_SECONDS]
            if seconds_of(job.updated_at) + longest < now
        }
        if problems:
            buried |= table.bury(problems, now=int(now), updated_at=timestamp(datetime.now(UTC)))
    return buried


def remind(*, table: JobTable, queue: JobQueue, time_left: Callable[[], bool]) -> set[str]:
    """Queue a message for each overdue job, and return them.

    One that an asynchronous endpoint should have been done with gets a reminder of that. Of any other the message must
    have got lost: it gets a new one. When the first has only waited for that long, the second finds the job done.

    Raises:
        GatewayError: Table or queue could not be reached; what was not queued is overdue still.
    """
    reminded: set[str] = set()
    for shard in SHARDS:
        while time_left() and (jobs := table.overdue(shard, now=int(time.time()))):
            queue.send_bodies([_message(job) for job in jobs])
            now = int(time.time())
            table.postpone({job.job_id: now + _patience(job) for job in jobs}, now=now)
            reminded |= {job.job_id for job in jobs}
    return reminded


def _message(job: Job) -> str:
    return reminder_of(job.job_id) if job.claim == ASYNCHRONOUS else body_of(job.job_id)


def _patience(job: Job) -> int:
    return _REMINDED_AGAIN_SECONDS if job.claim == ASYNCHRONOUS else OVERDUE_SECONDS
