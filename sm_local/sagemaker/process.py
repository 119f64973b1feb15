"""A model in a process of its own: gunicorn and :mod:`sm_local.sagemaker.application` on a port of 127.0.0.1.

Plain HTTP, as between SageMaker and its containers. Not a Unix socket: the path of one has 104 to 108 bytes at most,
which the state directory's path alone may have.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import urllib3

from sm_local.sagemaker.errors import NoAnswerError
from sm_local.sagemaker.messages import CUSTOM_ATTRIBUTES, Answer

APPLICATION = "sm_local.sagemaker.application:application"
STOP_GRACE_SECONDS = 5
_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "SM_LOCAL_OWNER")
_LIBRARY = Path(__file__).resolve().parents[2]


def model_environment(directory: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the whole environment of a model's process.

    Args:
        directory: Has the model in ``model/``, with its code in ``model/code/``.
        environment: What the model's owner and SageMaker set.
    """
    return {
        **{name: os.environ[name] for name in _INHERITED if name in os.environ},
        **environment,
        "PYTHONPATH": os.pathsep.join([str(directory / "model" / "code"), str(_LIBRARY)]),
        "PYTHONUNBUFFERED": "1",
        "SAGEMAKER_BASE_DIR": str(directory),
    }


@dataclass(kw_only=True)
class ModelProcess:
    """One model, served.

    Args:
        name: The container's name, for errors.
        directory: Has the model in ``model/``.
        environment: The whole environment.
        threads: How many calls it works on at the same time.
        keep_log: Reads the process's output, in a thread of its own, line by line.
    """

    name: str
    directory: Path
    environment: Mapping[str, str]
    threads: int
    keep_log: Callable[[IO[bytes]], None]
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=12))
    _process: subprocess.Popen[bytes] | None = None
    _pool: urllib3.HTTPConnectionPool | None = None

    @property
    def pid(self) -> int | None:
        """The id of the process; None when it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self, timeout_seconds: float) -> bool:
        """Start, and wait until it answers; return whether it does."""
        self._spawn()
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline and self._process is not None and self._process.poll() is None:
            try:
                if self.request("GET", "/ping", b"", {}, timeout_seconds=2).status == 200:
                    return True
            except NoAnswerError:
                time.sleep(0.05)
        time.sleep(0.2)  # the reader of the log is a thread of its own
        return False

    def request(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], *, timeout_seconds: float
    ) -> Answer:
        """Send one request.

        Raises:
            NoAnswerError: It did not answer in time, or is gone.
        """
        if self._pool is None:
            raise NoAnswerError(self.name, "it was not started")
        try:
            response = self._pool.request(method, path, body=body, headers=headers, timeout=timeout_seconds)
        except urllib3.exceptions.ReadTimeoutError as error:
            raise NoAnswerError(self.name, f"no answer within {timeout_seconds:g} s", timed_out=True) from error
        except urllib3.exceptions.NewConnectionError as error:
            self._await_end()  # the process listens all its life, but seems alive for a moment after it was killed
            raise NoAnswerError(self.name, str(error)) from error
        except urllib3.exceptions.HTTPError as error:
            raise NoAnswerError(self.name, str(error)) from error
        return Answer(
            status=response.status,
            content_type=response.headers.get("Content-Type", ""),
            body=response.data,
            custom_attributes=response.headers.get(CUSTOM_ATTRIBUTES),
            container=self.name,
        )

    def stop(self) -> None:
        """End gunicorn and its worker, which stops by itself when gunicorn is gone."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_GRACE_SECONDS + 1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _await_end(self) -> None:
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_GRACE_SECONDS)

    def _spawn(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            # Head and body are written apart: without this the second waits 40 ms for an acknowledgement.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            port = listener.getsockname()[1]
            arguments = ["--bind", f"fd://{listener.fileno()}", "--preload", "--no-control-socket"]
            arguments += ["--threads", str(self.threads), "--log-level", "warning"]
            arguments += ["--graceful-timeout", str(STOP_GRACE_SECONDS)]
            self._process = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", *arguments, APPLICATION],
                env=dict(self.environment),
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[listener.fileno()],
            )
        self._pool = urllib3.HTTPConnectionPool("127.0.0.1", port, maxsize=64, retries=False)
        assert self._process.stdout is not None  # noqa: S101 - PIPE
        threading.Thread(target=self.keep_log, args=(self._process.stdout,), daemon=True).start()
