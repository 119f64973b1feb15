"""Serve a model archive without AWS: on a server of one's own, ``/ping`` and ``/invocations`` as SageMaker has them."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from gunicorn.app.base import BaseApplication

from sm_local.errors import LocalAwsError
from sm_local.sagemaker.archive import unpack

# Calls under way when the server is told to stop have as long as a call may take on AWS.
_GRACE_SECONDS = 60
_THREADS = 4
_STOPS = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)


def serve(archive: Path, *, host: str, port: int, workers: int) -> None:
    """Serve until SIGTERM or SIGINT; SIGTERM lets calls under way end.

    Args:
        archive: A ``model.tar.gz`` with ``code/inference.py`` in it, or a directory with the same content.
        host: The address to listen on.
        port: The port to listen on.
        workers: How many processes answer, each with four threads.

    Raises:
        LocalAwsError: The archive, the model in it or the address cannot be used.
    """
    _check_address(host, port)
    directory = Path(tempfile.mkdtemp(prefix="sm-serve-"))
    master = os.getpid()
    try:
        _unpack(archive, directory / "model")
        _prepare(directory)
        _keep_signals_for_workers()
        _Server(archive, {"bind": f"{_bracketed(host)}:{port}", "workers": workers}).run()
    finally:
        if os.getpid() == master:  # workers leave through here, too
            shutil.rmtree(directory, ignore_errors=True)


class _Server(BaseApplication):  # type: ignore[misc]
    """Gunicorn, in this process, with the application of a model's container."""

    def __init__(self, archive: Path, settings: dict[str, Any]) -> None:
        self._archive = archive
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        """Set what differs from gunicorn's defaults."""
        settings = {
            "control_socket_disable": True,
            "graceful_timeout": _GRACE_SECONDS,
            "keepalive": 75,  # longer than proxies keep idle connections
            "loglevel": "warning",
            "post_worker_init": lambda _worker: signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS),
            "preload_app": True,
            "threads": _THREADS,
            "when_ready": lambda _arbiter: print(self._announcement, flush=True),
            **self._settings,
        }
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """Load the model, before any worker starts.

        Raises:
            LocalAwsError: It cannot be loaded.
        """
        try:
            from sm_local.sagemaker.application import application
        except Exception as error:
            raise LocalAwsError(f"{self._archive} has a model that cannot be loaded: {error!r}") from error
        return application

    @property
    def _announcement(self) -> str:
        return f"Serving {self._archive} at http://{self._settings['bind']}: GET /ping, POST /invocations"


def _keep_signals_for_workers() -> None:
    """Let a worker have a signal that comes before it listens: it would be lost, and the worker waited for in vain."""
    master = os.getpid()

    def mask(how: int) -> None:
        if os.getpid() == master:
            signal.pthread_sigmask(how, _STOPS)

    os.register_at_fork(before=lambda: mask(signal.SIG_BLOCK), after_in_parent=lambda: mask(signal.SIG_UNBLOCK))


def _check_address(host: str, port: int) -> None:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise LocalAwsError(f"cannot listen on {host}:{port}: {error.strerror}. Choose others by --host and --port.") \
            from error  # fmt: skip


def _unpack(archive: Path, directory: Path) -> None:
    if archive.is_dir():
        directory.symlink_to(archive.resolve())
    else:
        try:
            unpack(archive, directory)
        except FileNotFoundError:
            raise LocalAwsError(f"{archive} is not there: name a model.tar.gz or a model's directory.") from None
        except (tarfile.TarError, OSError, EOFError) as error:
            raise LocalAwsError(f"{archive} is not a model archive (.tar.gz): {error}") from error
    if not (directory / "code" / "inference.py").is_file():
        raise LocalAwsError(
            f"{archive} has no code/inference.py: make an archive with it by `python model_src/package.py`, "
            "and leave no directory above code/."
        )


def _prepare(directory: Path) -> None:
    """Set what the sagemaker-inference toolkit reads, before it is imported."""
    os.environ["SAGEMAKER_BASE_DIR"] = str(directory)
    sys.path.insert(0, str(directory / "model" / "code"))


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
