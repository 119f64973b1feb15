"""The log of a model in CloudWatch Logs."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

_INTERVAL_SECONDS = 1.0

Line = tuple[int, str]


@contextmanager
def log_writer(client: Any, group: str, stream: str) -> Iterator[LogWriter]:
    """Send lines to CloudWatch Logs about once a second; a role that may not loses them, as on AWS.

    Args:
        client: A boto3 client of CloudWatch Logs with the role's permissions.
        group: Made when it is not there.
        stream: Made when it is not there.
    """
    writer = LogWriter(client, group, stream)
    sender = threading.Thread(target=writer.run, daemon=True)
    sender.start()
    try:
        yield writer
    finally:
        writer.close()
        sender.join(timeout=5)


class LogWriter:
    """Where lines are put; see :func:`log_writer`."""

    def __init__(self, client: Any, group: str, stream: str) -> None:
        self._client = client
        self._where = {"logGroupName": group, "logStreamName": stream}
        self._lines: queue.SimpleQueue[Line | None] = queue.SimpleQueue()

    def put(self, line: str) -> None:
        """Take a line; it is sent later."""
        self._lines.put((int(time.time() * 1000), line))

    def close(self) -> None:
        """Let :meth:`run` end once it has sent what came so far."""
        self._lines.put(None)

    def run(self) -> None:
        """Send batches until closed or refused."""
        created = False
        while batch := self._next_batch():
            try:
                if not created:
                    self._create()
                    created = True
                events = [{"timestamp": moment, "message": line or " "} for moment, line in batch]
                self._client.put_log_events(**self._where, logEvents=events)
            except Exception as error:
                print(f"cannot write to {self._where['logGroupName']}: {error}", flush=True)
                return

    def _create(self) -> None:
        group = self._where["logGroupName"]
        for create in (
            partial(self._client.create_log_group, logGroupName=group),
            partial(self._client.create_log_stream, **self._where),
        ):
            try:
                create()
            except self._client.exceptions.ResourceAlreadyExistsException:
                continue

    def _next_batch(self) -> list[Line]:
        """Return what came within an interval; empty once closed."""
        first = self._lines.get()
        if first is None:
            return []
        batch = [first]
        time.sleep(_INTERVAL_SECONDS)
        while not self._lines.empty():
            line = self._lines.get()
            if line is None:
                self._lines.put(None)
                break
            batch.append(line)
        return batch
