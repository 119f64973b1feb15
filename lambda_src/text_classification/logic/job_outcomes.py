"""What can become of a job that a consumer works on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from text_classification.gateways.job_items import Job
from text_classification.logic.jobs import seconds_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """Nothing is left to be done for the message: the job has its results, or an asynchronous endpoint has it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Again:
    """The job did not get its results now, and may later.

    Args:
        problem: Why not. None: another consumer has it.
        seconds: When to try again. None: the later the more often it was tried.
    """

    problem: str | None
    seconds: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Postponed:
    """There was no time for the job, which other jobs of its batch took. It waits anew, for this was no try.

    Args:
        problem: That. None: it was not even claimed.
    """

    problem: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """The job can never get results.

    Args:
        problem: Why not. It may quote the caller's text.
    """

    problem: str


Outcome = Done | Again | Postponed | Refused
Outcomes = Mapping[str, Outcome]


def failed_by(job: Job, sent_at: float) -> Refused | None:
    """Return why a job has failed, for a message that was sent before: it is on its way to the dead letters.

    None: the job has not failed, or the message is a new one, such as one that was driven back.
    """
    if job.job_status == "failed" and sent_at <= seconds_of(job.updated_at):
        return Refused(problem=job.problem or "it failed before")
    return None
