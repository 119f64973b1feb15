"""A container's program: a process of its own, with what it prints kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from sm_local.sagemaker.jobs.job import JobFailedError

GRACE_SECONDS = 120  # https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StopTrainingJob.html
_INHERITED = ("HOME", "LANG", "SM_LOCAL_OWNER")
_LAST_LINES = 20

_running: set[Program] = set()


def stop(programs: Iterable[Program], grace_seconds: float = GRACE_SECONDS) -> None:
    """Send SIGTERM to all and, to those that have not ended in time, SIGKILL."""
    running = [program for program in programs if program.pid is not None]
    for program in running:
        program.signal(signal.SIGTERM)
    deadline = time.monotonic() + grace_seconds
    while any(program.pid is not None for program in running) and time.monotonic() < deadline:
        time.sleep(0.05)
    for program in running:
        program.kill()


def kill_all() -> None:
    """End all programs at once, as the local AWS itself ends."""
    stop(list(_running), grace_seconds=0)


def environment(directory: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """Return the whole environment of a program.

    Args:
        directory: The container's own; programs put temporary files there.
        variables: What the job's owner and SageMaker set.
    """
    temporary = directory / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    return {
        **{name: os.environ[name] for name in _INHERITED if name in os.environ},
        # `python3` is this project's interpreter, as it has the libraries that the image would have.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "PYTHONUNBUFFERED": "1",
        "TMPDIR": str(temporary),
        **variables,
    }


@dataclass(kw_only=True, eq=False)
class Program:
    """A program that runs once.

    Args:
        command: The program and its arguments.
        directory: Where it runs.
        environment: Its whole environment.
        keep_line: Called with each line that it prints, in threads of their own.
    """

    command: Sequence[str]
    directory: Path
    environment: Mapping[str, str]
    keep_line: Callable[[str], None]
    last_errors: deque[str] = field(default_factory=lambda: deque(maxlen=_LAST_LINES))
    _process: subprocess.Popen[bytes] | None = None
    _readers: list[threading.Thread] = field(default_factory=list)

    @property
    def pid(self) -> int | None:
        """The id of the process; None when it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def exit_code(self) -> int | None:
        """How it ended: negative for the signal that killed it; None while it runs."""
        return self._process.poll() if self._process is not None else None

    def start(self) -> None:
        """Start, as the leader of a process group of its own.

        Raises:
            JobFailedError: There is no such program.
        """
        try:
            self._process = subprocess.Popen(
                list(self.command),
                cwd=self.directory,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise JobFailedError(
                f"AlgorithmError: cannot run {self.command[0]}: {error.strerror}, exit code: 127"
            ) from error
        _running.add(self)
        for stream, keep in ((self._process.stdout, self.keep_line), (self._process.stderr, self._keep_error)):
            assert stream is not None  # noqa: S101 - PIPE
            reader = threading.Thread(target=_read, args=(stream, keep), daemon=True)
            reader.start()
            self._readers.append(reader)

    def finish(self) -> None:
        """End what it has left running, and wait for its last lines."""
        self.signal(signal.SIGKILL)
        _running.discard(self)
        for reader in self._readers:
            reader.join(timeout=5)

    def kill(self) -> None:
        """End it and what it has started."""
        self.signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it and what it has started, if that runs."""
        if self._process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)

    def _keep_error(self, line: str) -> None:
        self.last_errors.append(line)
        self.keep_line(line)


def _read(stream: IO[bytes], keep: Callable[[str], None]) -> None:
    with stream:
        for line in stream:
            keep(line.decode(errors="replace").rstrip("\r\n"))
