"""Jobs: texts that are classified later, and how to wait for them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sm_client.executions import moment
from sm_client.results import Classification

JobStatus = Literal["queued", "running", "succeeded", "failed"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A job as it was at one look.

    Args:
        job_id: Its name, for later looks.
        status: ``"succeeded"`` and ``"failed"`` are the end, unless a failed job is driven back from the dead letters.
        request_id: Names the request in the logs.
        created_at: When it was accepted. ``None`` in the answer to :meth:`~sm_client.Client.submit`.
        updated_at: When its status changed last. ``None`` as above.
        error: Why it failed.
        last_error: Why its last try failed, while it waits for the next.
        model_version: The version of the model that answered.
        result_url: Where the results are, an ``s3://`` URL.
        results: One for each text, in the order of the texts. ``None`` also where they are too large for an answer:
            :meth:`~sm_client.Client.results` fetches them.
    """

    job_id: str
    status: JobStatus
    request_id: str
    created_at: datetime | None = None
    updated_at: datetime | None = None
    error: str | None = None
    last_error: str | None = None
    model_version: str | None = None
    result_url: str | None = None
    results: tuple[Classification, ...] | None = field(default=None, repr=False)

    @property
    def has_ended(self) -> bool:
        """Whether it has results, or never will by itself."""
        return self.status in ("succeeded", "failed")

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Job:
        """Read a response body. Fields that this version does not know are ignored.

        Raises:
            KeyError: A field is missing.
            ValueError: A date is none.
        """
        results = document.get("results")
        return cls(
            job_id=document["job_id"],
            status=document["status"],
            request_id=document["request_id"],
            created_at=moment(document.get("created_at")),
            updated_at=moment(document.get("updated_at")),
            error=document.get("error"),
            last_error=document.get("last_error"),
            model_version=document.get("model_version"),
            result_url=document.get("result_url"),
            results=None if results is None else tuple(map(Classification.from_json, results)),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Polling:
    """Pauses between looks at jobs: growing while nothing ends, and spread so that clients do not look together.

    Args:
        first_s: Upper bound of the first pause, in seconds; half of it is the lower one.
        factor: How much longer the next one is.
        cap_s: Upper bound of every pause, in seconds.

    >>> 0.25 <= next(Polling().pauses()) <= 0.5
    True
    """

    first_s: float = 0.5
    factor: float = 1.5
    cap_s: float = 10.0

    def pauses(self) -> Iterator[float]:
        """Yield pauses in seconds, for ever."""
        bound = self.first_s
        while True:
            bound = min(self.cap_s, bound)
            yield random.uniform(bound / 2, bound)  # noqa: S311 - jitter, not a secret
            bound *= self.factor
