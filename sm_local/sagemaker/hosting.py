"""Serving a model in a process of its own: download, unpack, start, wait for it, call it, stop it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tarfile
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import urllib3
from botocore.exceptions import ClientError

from sm_local.sagemaker.aws import AssumedRole
from sm_local.sagemaker.errors import SageMakerError

# A container has a minute to answer:
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
INVOCATION_TIMEOUT_SECONDS = 60
# ContainerStartupHealthCheckTimeoutInSeconds when it is not given: 8 minutes, as for ping requests on AWS.
STARTUP_TIMEOUT_SECONDS = 480
_STOP_GRACE_SECONDS = 5
_THREADS = 4
_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "SM_LOCAL_OWNER")


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """What `CreateModel` says about the primary container.

    Args:
        model_data_url: ``s3://bucket/key`` of a ``model.tar.gz``; None when the image holds the model.
        environment: The container's environment variables.
        network_isolation: Whether the container gets no credentials.
    """

    model_data_url: str | None
    environment: dict[str, str]
    network_isolation: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What the container answered."""

    status: int
    content_type: str
    body: bytes


class ModelServer:
    """One model, served by gunicorn and the sagemaker-inference toolkit on a port of 127.0.0.1.

    Args:
        container: What to serve.
        variant_name: The production variant, which errors name.
        role: The model's execution role, which reads the archive and writes the log.
        directory: Where the archive is unpacked; it is deleted by :meth:`stop`.
        log_file: Where the output of the model's process is appended.
        log_stream: CloudWatch Logs group and stream to which the output goes too.
    """

    def __init__(
        self,
        *,
        container: Container,
        variant_name: str,
        role: AssumedRole,
        directory: Path,
        log_file: Path,
        log_stream: tuple[str, str],
    ) -> None:
        self._container = container
        self._variant_name = variant_name
        self._role = role
        self._directory = directory
        self._log_file = log_file
        self._log_stream = log_stream
        self._last_lines: deque[str] = deque(maxlen=12)
        self._process: subprocess.Popen[bytes] | None = None
        self._pool: urllib3.HTTPConnectionPool | None = None
        self._calls = 0
        self._idle = threading.Condition()

    def start(self) -> None:
        """Download the archive, start the process and wait until it answers.

        Raises:
            SageMakerError: With the reason, as ``FailureReason`` gives it; nothing is left running.
        """
        try:
            self._unpack()
            self._spawn()
            self._wait_until_healthy()
        except BaseException:
            self.stop()
            raise

    def invoke(self, body: bytes, headers: dict[str, str]) -> Answer:
        """Send one request to ``/invocations``.

        Raises:
            TimeoutError: The container did not answer within 60 s.
            ConnectionError: The process is gone.
        """
        with self._idle:
            self._calls += 1
        try:
            return self._request("POST", "/invocations", body, headers, INVOCATION_TIMEOUT_SECONDS)
        finally:
            with self._idle:
                self._calls -= 1
                self._idle.notify_all()

    def stop(self) -> None:
        """Let calls under way end, then end the process and delete what was unpacked."""
        with self._idle:
            self._idle.wait_for(lambda: self._calls == 0, timeout=_STOP_GRACE_SECONDS)
        if self._process is not None and self._process.poll() is None:
            _end(self._process)
        shutil.rmtree(self._directory, ignore_errors=True)

    def _unpack(self) -> None:
        model_directory = self._directory / "model"
        model_directory.mkdir(parents=True)
        url = self._container.model_data_url
        if url is None:
            return
        location = urlsplit(url)
        archive = self._directory / "model.tar.gz"
        try:
            self._role.client("s3").download_file(location.netloc, location.path.lstrip("/"), str(archive))
            with tarfile.open(archive) as tar:
                tar.extractall(model_directory, filter="data")
        except ClientError as error:
            raise SageMakerError("ValidationException", f"Could not download model data from {url}: {error}") from error
        except (tarfile.TarError, OSError, EOFError) as error:
            raise SageMakerError(
                "ValidationException", f"Failed to extract model data archive from URL {url}: {error}"
            ) from error
        archive.unlink()

    def _spawn(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            # Head and body are written apart: without this the second waits 40 ms for an acknowledgement.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            port = listener.getsockname()[1]
            arguments = ["--bind", f"fd://{listener.fileno()}", "--preload", "--no-control-socket"]
            arguments += ["--threads", str(_THREADS), "--timeout", str(INVOCATION_TIMEOUT_SECONDS + 30)]
            arguments += ["--graceful-timeout", str(_STOP_GRACE_SECONDS), "--log-level", "warning"]
            self._process = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", *arguments, "sm_local.sagemaker.container:application"],
                env=self._environment(),
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[listener.fileno()],
            )
        self._pool = urllib3.HTTPConnectionPool("127.0.0.1", port, maxsize=64, retries=False)
        assert self._process.stdout is not None  # noqa: S101 - PIPE
        threading.Thread(target=self._keep_log, args=(self._process.stdout,), daemon=True).start()

    def _environment(self) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        library = Path(__file__).resolve().parents[2]
        return {
            **inherited,
            **self._role.environment(with_credentials=not self._container.network_isolation),
            **self._container.environment,
            "PYTHONPATH": os.pathsep.join([str(self._directory / "model" / "code"), str(library)]),
            "PYTHONUNBUFFERED": "1",
            "SAGEMAKER_BASE_DIR": str(self._directory),
        }

    def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + STARTUP_TIMEOUT_SECONDS
        while time.monotonic() < deadline and self._process is not None and self._process.poll() is None:
            try:
                if self._request("GET", "/ping", b"", {}, timeout=2).status == 200:
                    return
            except (TimeoutError, ConnectionError):
                time.sleep(0.05)
        time.sleep(0.2)  # the reader of the log is a thread of its own
        raise SageMakerError(
            "ValidationException",
            f"The primary container for production variant {self._variant_name} did not pass the ping health check. "
            f"Please check CloudWatch logs for this endpoint. The model's log ends:\n{chr(10).join(self._last_lines)}",
        )

    def _request(self, method: str, path: str, body: bytes, headers: dict[str, str], timeout: float) -> Answer:
        if self._pool is None:
            raise ConnectionError("the model's process was not started")
        try:
            response = self._pool.request(method, path, body=body, headers=headers, timeout=timeout)
        except urllib3.exceptions.ReadTimeoutError as error:
            raise TimeoutError(f"no answer within {timeout:g} s") from error
        except urllib3.exceptions.HTTPError as error:
            raise ConnectionError(str(error)) from error
        return Answer(response.status, response.headers.get("Content-Type", ""), response.data)

    def _keep_log(self, output: IO[bytes]) -> None:
        self._log_file.parent.mkdir(parents=True, exist_ok=True)
        group, stream = self._log_stream
        with self._log_file.open("ab") as file, self._role.log_writer(group, stream) as cloudwatch:
            for line in output:
                file.write(line)
                file.flush()
                text = line.decode(errors="replace").rstrip("\n")
                self._last_lines.append(text)
                cloudwatch.put(text)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End gunicorn and its worker, which stops by itself when gunicorn is gone."""
    process.terminate()
    try:
        process.wait(_STOP_GRACE_SECONDS + 1)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
