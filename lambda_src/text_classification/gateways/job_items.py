"""What the table of jobs keeps of each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

JobStatus = Literal["queued", "running", "succeeded", "failed"]

ASYNCHRONOUS = "asynchronous"
"""Whose claim a job is while an asynchronous endpoint has it."""

OVERDUE_SECONDS = 25 * 60 * 60
"""When a job that has not ended gets another message: an hour after the table's stream has given up queueing it."""

NEVER = 2**53
"""When a job that succeeded is free to be worked on again."""

SHARDS = "0123456789abcdef"
"""The parts of the index of jobs that have not ended, each of which takes a thousand writes a second."""

MAX_PROBLEM = 500
"""The characters that are kept of a reason."""

_JOB_ID = re.compile(r"[0-9a-f]{32}")
_NUMBERS = frozenset({"texts", "free_at", "expires_at", "overdue_at", "hand_overs"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One job.

    Args:
        job_id: 32 hexadecimal digits.
        job_status: Where it stands.
        submitted_by: ``api`` or ``s3``.
        texts: How many it has.
        request_hash: SHA-256 of the request, to tell another one under the same key.
        request: The request as JSON. None: it is in S3, under ``request_key``.
        request_key: See ``request``.
        created_at: When it was accepted, in ISO 8601.
        updated_at: When its status changed last, in ISO 8601.
        free_at: From when on a consumer may work on it, in seconds since 1970: a running job is free again when the
            consumer that has it must have ended.
        expires_at: When DynamoDB forgets it, in seconds since 1970.
        claim: Who works on it.
        problem: Why it failed, or why the last try did.
        result_key: Where its results are in S3.
        model_version: The model that labelled its texts.
        watched: While it has not ended, its part of :data:`SHARDS`: by this the index of the table has these jobs
            alone.
        overdue_at: From when on it is looked after, in seconds since 1970: its message, or the asynchronous
            endpoint's word, must have got lost. None: it has ended.
        output_url: Where the asynchronous endpoint that has it puts its answer.
        failure_url: Where it puts its error. None: nowhere.
        inference_id: What the asynchronous endpoint's call is known by.
        hand_overs: How often an asynchronous endpoint has got it, since it was accepted or driven back.
    """

    job_id: str
    job_status: JobStatus
    submitted_by: str
    texts: int
    request_hash: str
    created_at: str
    updated_at: str
    expires_at: int
    free_at: int = 0
    request: str | None = None
    request_key: str | None = None
    claim: str | None = None
    problem: str | None = None
    result_key: str | None = None
    model_version: str | None = None
    watched: str | None = None
    overdue_at: int | None = None
    output_url: str | None = None
    failure_url: str | None = None
    inference_id: str | None = None
    hand_overs: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyedJob:
    """The job that a caller's idempotency key names.

    Args:
        job_id: The job.
        request_hash: See :class:`Job`.
    """

    job_id: str
    request_hash: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Ending:
    """What becomes of a job that this consumer had claimed.

    Args:
        job_id: The job.
        job_status: Its new status; ``queued`` gives it back.
        updated_at: Now, in ISO 8601.
        problem: Why it failed, or this try did.
        result_key: Where its results are.
        model_version: The model that made them.
        claim: Who has it from now on, where it is somebody else.
        free_at: When it is free again. None: never once it succeeded, and else at once.
        overdue_at: See :class:`Job`. None: as before, or never once it has ended.
        output_url: Where the answer will be.
        failure_url: Where the error will be.
        inference_id: See :class:`Job`.
        hand_overs: See :class:`Job`.
    """

    job_id: str
    job_status: JobStatus
    updated_at: str
    problem: str | None = None
    result_key: str | None = None
    model_version: str | None = None
    claim: str | None = None
    free_at: int | None = None
    overdue_at: int | None = None
    output_url: str | None = None
    failure_url: str | None = None
    inference_id: str | None = None
    hand_overs: int | None = None

    @property
    def is_final(self) -> bool:
        return self.job_status in ("succeeded", "failed")


def is_job_id(name: str) -> bool:
    """Return whether a job could have that id; keys of callers and records of files in the table have others.

    >>> is_job_id("0" * 32), is_job_id("key#" + "0" * 32)
    (True, False)
    """
    return _JOB_ID.fullmatch(name) is not None


def item(job: Job) -> dict[str, Any]:
    """Return a job as DynamoDB keeps it."""
    return {name: attribute(name, value) for name, value in asdict(job).items() if value is not None}


def job_of(attributes: Mapping[str, Any]) -> Job:
    """Return the job that DynamoDB keeps as these attributes; those of a newer version are left out."""
    known = {each.name for each in fields(Job)}
    values: dict[str, Any] = {
        name: int(value["N"]) if name in _NUMBERS else value["S"] for name, value in attributes.items() if name in known
    }
    return Job(**values)


def values_of(ending: Ending) -> dict[str, str | int]:
    values: dict[str, str | int] = {name: value for name, value in asdict(ending).items() if value is not None}
    del values["job_id"]
    if ending.problem is not None:
        values["problem"] = ending.problem[:MAX_PROBLEM]
    return {"free_at": NEVER if ending.job_status == "succeeded" else 0, **values}


def attribute(name: str, value: str | int) -> dict[str, str]:
    return {"N" if name in _NUMBERS else "S": str(value)}
