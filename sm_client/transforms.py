"""Batch transforms: files in S3 are labelled in bulk, without the endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sm_client.executions import Failure, Status, moment


@dataclass(frozen=True, kw_only=True, slots=True)
class Transform:
    """A batch transform as it was at one look.

    Args:
        transform_id: Its name, for later looks.
        status: ``"succeeded"`` and ``"failed"`` are the end.
        request_id: Names the request in the logs.
        state: The state of the workflow that it is in, or failed in.
        started_at: When it was started. ``None`` in the answer to :meth:`~sm_client.Client.start_transform`.
        ended_at: When it ended.
        input: The object or prefix that it labels. ``None`` before it has looked at it, like what follows.
        output: The prefix of its results.
        files: How many files there are.
        files_done: How many of them have their results.
        lines: How many lines have their results.
        lines_refused: How many lines have none, because the model would refuse them.
        error: Why it failed.
    """

    transform_id: str
    status: Status
    request_id: str
    state: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    input: str | None = None
    output: str | None = None
    files: int | None = None
    files_done: int | None = None
    lines: int | None = None
    lines_refused: int | None = None
    error: Failure | None = None

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.status in ("succeeded", "failed")

    @property
    def progress(self) -> str:
        """How far it is, in words."""
        counts = f"{self.files_done:,} of {self.files:,} files" if self.files is not None else ""
        return ", ".join(filter(None, [self.state or self.status, counts]))

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Transform:
        """Read a response body. Fields that this version does not know are ignored.

        Raises:
            KeyError: A field is missing.
            ValueError: A date is none.
        """
        files, lines = document.get("files", {}), document.get("lines", {})
        return cls(
            transform_id=document["transform_id"],
            status=document["status"],
            request_id=document["request_id"],
            state=document.get("state"),
            started_at=moment(document.get("started_at")),
            ended_at=moment(document.get("ended_at")),
            input=document.get("input"),
            output=document.get("output"),
            files=files.get("total"),
            files_done=files.get("done"),
            lines=lines.get("transformed"),
            lines_refused=lines.get("refused"),
            error=Failure.from_json(document.get("error")),
        )
