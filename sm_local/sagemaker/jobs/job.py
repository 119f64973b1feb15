"""What all kinds of jobs have in common."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from sm_local.sagemaker import events
from sm_local.sagemaker.registry import Parameters

FAILURE_REASON_CHARACTERS = 1024
ENDED = ("Completed", "Failed", "Stopped")


class JobFailedError(Exception):
    """A job that cannot go on; the message is its ``FailureReason``."""


class Job:
    """One job, from its request to its end.

    Args:
        kind: As SageMaker's members and operations have it, such as ``Training``.
        parameters: The request.
        arn: The job's ARN.
        describe: Returns what ``Describe…Job`` answers, for events.
    """

    def __init__(self, kind: str, parameters: Parameters, arn: str, describe: Callable[[Any], Parameters]) -> None:
        self.kind = kind
        self.name = str(parameters[f"{kind}JobName"])
        self.arn = arn
        self.parameters = parameters
        self.status = "InProgress"
        self.failure_reason: str | None = None
        self.created = self.modified = time.time()
        self.started: float | None = None
        self.ended: float | None = None
        self.stopping = threading.Event()
        self._describe = describe
        self._lock = threading.Lock()

    @property
    def description(self) -> Parameters:
        """What is kept of the request, and how the job fares."""
        kept = {name: value for name, value in self.parameters.items() if name != "Tags"}
        shown: Parameters = {
            **kept,
            f"{self.kind}JobArn": self.arn,
            f"{self.kind}JobStatus": self.status,
            "CreationTime": self.created,
            "LastModifiedTime": self.modified,
        }
        times = {f"{self.kind}StartTime": self.started, f"{self.kind}EndTime": self.ended}
        shown |= {name: moment for name, moment in times.items() if moment is not None}
        if self.failure_reason:
            shown["FailureReason"] = self.failure_reason
        return shown

    @property
    def summary(self) -> Parameters:
        """An entry of ``List…Jobs``."""
        names = ("JobName", "JobArn", "JobStatus", "EndTime")
        described = self.description
        chosen = [f"{self.kind}{name}" for name in names] + ["CreationTime", "LastModifiedTime"]
        return {name: described[name] for name in chosen if name in described}

    def begin(self) -> None:
        """Note that work begins."""
        self.started = self.started or time.time()

    def stop(self) -> bool:
        """Ask a job that runs to stop; return whether it did run."""
        with self._lock:
            if self.status in ENDED:
                return False
            self.change(status="Stopping")
        self.stopping.set()
        return True

    def end(self, status: str, reason: str | None = None) -> None:
        """Note the end, and why it failed."""
        with self._lock:
            self.ended = time.time()
            self.failure_reason = reason[:FAILURE_REASON_CHARACTERS] if reason else None
            self.change(status=status)

    def change(self, *, status: str) -> None:
        """Give the job a status and tell EventBridge."""
        self.status, self.modified = status, time.time()
        self.tell()

    def tell(self) -> None:
        """Send the job's description to EventBridge."""
        events.tell(f"{self.kind} Job", self._describe(self), self.arn)
