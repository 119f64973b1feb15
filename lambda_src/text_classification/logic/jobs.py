"""Jobs: accepted once, however often they are sent, and looked at until they have ended."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from text_classification.gateways.errors import UnavailableError
from text_classification.gateways.job_items import OVERDUE_SECONDS, Job, is_job_id
from text_classification.gateways.job_objects import JobObjects
from text_classification.gateways.job_table import JobTable
from text_classification.logic.errors import ConflictError, NotFoundError
from text_classification.logic.requests import ClassificationRequest, InvalidRequestError, parse_large_job

REQUESTS_PREFIX = "jobs/requests/"
RESULTS_PREFIX = "results/jobs/"

MAX_INLINE_BYTES = 4 * 1024
"""The largest request that the table holds itself: an item is paid for by its size at each write, and a new table takes
4,000 KB a second, which in a transaction count twice.

Messages hold the job's id alone, so that the 1,048,576 bytes that SQS allows a message are no limit of a job's:
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
"""

MAX_ANSWER_BYTES = 6_000_000
"""The largest results that an answer holds, as a string in JSON, which Lambda gets: its own limit is 6 MB of that.

https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
"""

_IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,255}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Submission:
    """A request to be worked on later.

    Args:
        request: What is asked for.
        submitted_by: ``api`` or ``s3``.
        retention_seconds: How long the job is remembered.
        key: Of a request that may be sent more than once, always the same. None: it is sent once.
        job_id: Of a line of a file, which may be read more than once, always the same. When omitted: a new one.
        now: When it was sent.
    """

    request: ClassificationRequest
    submitted_by: str
    retention_seconds: int
    key: str | None = None
    job_id: str = field(default_factory=lambda: secrets.token_hex(16))
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def job(self, write: Callable[[str, bytes], object]) -> Job:
        """Return the job. A request that is too large for the table is handed to ``write``, with its key in S3."""
        body = self.request.model_dump_json().encode()
        request_hash = hashlib.sha256(body).hexdigest()
        key = None
        if len(body) > MAX_INLINE_BYTES:
            # Named by what it holds: writing it twice changes nothing, and another request never overwrites it.
            key = f"{REQUESTS_PREFIX}{request_hash}.json"
            write(key, body)
        return Job(
            job_id=self.job_id,
            job_status="queued",
            submitted_by=self.submitted_by,
            texts=len(self.request.texts),
            request_hash=request_hash,
            request=None if key else body.decode(),
            request_key=key,
            created_at=timestamp(self.now),
            updated_at=timestamp(self.now),
            expires_at=int(self.now.timestamp()) + self.retention_seconds,
            watched=self.job_id[0],
            overdue_at=int(self.now.timestamp()) + OVERDUE_SECONDS,
        )


def submit(submission: Submission, *, table: JobTable, objects: JobObjects) -> Job:
    """Accept a job, once: writing its item is all that it takes, for the table's stream queues it.

    Returns:
        The job; the one that there is already, if the same was accepted before under that key.

    Raises:
        ConflictError: There is one under that key with another request.
        GatewayError: It is not accepted.
    """
    job = submission.job(objects.write)
    if submission.key is None:
        table.create_all([job])
        return job
    known = table.create_under_key(job, submission.key, now=int(submission.now.timestamp()))
    if known is None:
        return job
    if known.request_hash != job.request_hash:
        raise ConflictError("the Idempotency-Key was used for another body before: send a new key with a new body")
    existing = table.read([known.job_id]).get(known.job_id)
    if existing is None:
        raise UnavailableError("the job of this key is just being forgotten, and the key with it", {})
    return existing


def request_of(job: Job, objects: JobObjects) -> ClassificationRequest:
    """Return the request of a job.

    Raises:
        InvalidRequestError: It is none, by the rules of today.
        GatewayError: It cannot be read.
    """
    return parse_large_job(job.request.encode() if job.request else objects.read(str(job.request_key)))


def idempotency_key(caller: str, key: str) -> str:
    """Return what tells a key from all others, those of other callers included. No job has it for its id.

    Raises:
        InvalidRequestError: The key is not one.
    """
    if not _IDEMPOTENCY_KEY.fullmatch(key):
        raise InvalidRequestError(
            [f"Idempotency-Key has {len(key)} characters: must be 1 to 255 visible ASCII characters"],
            kinds=["idempotency_key"],
        )
    return f"key#{derived_job_id(caller, key)}"


def derived_job_id(*names: str) -> str:
    """Return the id that always belongs to these names.

    >>> derived_job_id("s3", "a/b") == derived_job_id("s3", "a/b") != derived_job_id("s3/a", "b")
    True
    """
    return hashlib.sha256(json.dumps(names).encode()).hexdigest()[:32]


def look_at(job_id: str, *, table: JobTable, objects: JobObjects) -> dict[str, Any]:
    """Return what callers may know of a job.

    Raises:
        NotFoundError: There is none of that id.
        GatewayError: Table or results could not be read.
    """
    job = table.read([job_id]).get(job_id) if is_job_id(job_id) else None
    if job is None:
        raise NotFoundError(f"there is no job {job_id[:40]!r}, or no longer")
    view: dict[str, Any] = {
        "job_id": job.job_id,
        "status": job.job_status,
        "created_at": job.created_at,
        "updated_at": job.updated_at,
    }
    if job.problem and job.job_status != "succeeded":
        view["error" if job.job_status == "failed" else "last_error"] = job.problem
    if job.result_key:
        view["model_version"] = job.model_version
        view["result_url"] = f"s3://{objects.bucket}/{job.result_key}"
        document = objects.read(job.result_key).decode()
        if len(json.dumps(document)) <= MAX_ANSWER_BYTES:
            view["results"] = json.loads(document)["results"]
    return view


def timestamp(moment: datetime) -> str:
    """Return a moment in ISO 8601, in UTC, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds_of(moment: str) -> float:
    """Return a moment that :func:`timestamp` wrote, in seconds since 1970."""
    return datetime.fromisoformat(moment).timestamp()
