"""What the client's calls have in common: the API, waiting, and what of AWS they use beside it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from threading import Lock
from typing import Any, Protocol, TypeVar

import boto3

from sm_client._transport import SignedTransport
from sm_client.errors import OutputMissingError
from sm_client.jobs import Polling


class Execution(Protocol):
    """Something that runs for a while, as it was at one look."""

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen."""

    @property
    def progress(self) -> str:
        """How far it is, in words."""


Seen = TypeVar("Seen", bound=Execution)


class StackCalls:
    """What :class:`~sm_client.Client` is made of; it is made there."""

    _transport: SignedTransport
    _polling: Polling
    _session: boto3.Session
    _session_lock: Lock
    _outputs: Mapping[str, str]

    def _watch(
        self, look: Callable[[], Seen], *, timeout_s: float, still_running: Callable[[Seen], Exception]
    ) -> Iterator[Seen]:
        """Yield what is seen at first, whenever there is progress, and at the end; raise when that is too far away."""
        deadline = time.monotonic() + timeout_s
        pauses = self._polling.pauses()
        before = None
        while True:
            seen = look()
            if before is None or seen.has_ended or seen.progress != before.progress:
                pauses = self._polling.pauses()
                yield seen
            if seen.has_ended:
                return
            before = seen
            left = deadline - time.monotonic()
            if left <= 0:
                raise still_running(seen)
            time.sleep(min(next(pauses), left))

    def _upload(self, files: Mapping[str, Path]) -> None:
        """Put files into the artifacts' bucket, by their keys."""
        bucket, s3 = self._output("ArtifactBucketName"), self._client("s3")
        for key, file in files.items():
            s3.upload_file(str(file), bucket, key)

    def _output(self, name: str) -> str:
        if name not in self._outputs:
            raise OutputMissingError(name)
        return self._outputs[name]

    def _client(self, service: str) -> Any:  # noqa: ANN401 - of any service
        with self._session_lock:
            return self._session.client(service)
