"""A real PostgreSQL for each Aurora cluster that is called through the RDS Data API."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from configparser import ConfigParser
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from sm_local.patches import iam
from sm_local.postgres import PostgresServer
from sm_local.state import StateDirectory

_FEATURE = "SageMaker"
_KEYS = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}
_EXTENSIONS = Path(__file__).parent / "aws_ml"


class Address(NamedTuple):
    """Where a cluster's PostgreSQL listens."""

    host: str
    port: int


@dataclass
class _Running:
    server: PostgresServer
    credentials: Path
    password: str = ""
    role: str = ""


class Clusters:
    """The servers, each started at the first call of its cluster.

    Args:
        state: Where their data are, until the local AWS starts anew.
    """

    def __init__(self, state: StateDirectory) -> None:
        self._directory = state.databases
        self._running: dict[str, _Running] = {}
        self._lock = Lock()

    def address(self, cluster: Mapping[str, Any]) -> Address:
        """Return where a cluster listens, started now if need be, with its master user's present password.

        Args:
            cluster: As MiniStack's RDS has it.

        Raises:
            PostgresError: It does not start.
        """
        arn = str(cluster["DBClusterArn"])
        with self._lock:
            running = self._running.get(arn) or self._start(arn, cluster)
            self._set_password(running, cluster)
            self._set_credentials(running, cluster)
            return Address("127.0.0.1", running.server.port)

    def remove(self, cluster_arn: str) -> None:
        """Stop a cluster that is deleted."""
        with self._lock:
            if running := self._running.pop(cluster_arn, None):
                running.server.stop()

    def shut_down(self) -> None:
        """Stop all of them."""
        for arn in list(self._running):
            self.remove(arn)

    def _start(self, arn: str, cluster: Mapping[str, Any]) -> _Running:
        directory = self._directory / str(cluster["DBClusterIdentifier"])
        credentials = directory / "credentials"
        # What aws_ml calls the endpoint with: the credentials of the cluster's role, and no other.
        environment = {name: value for name, value in os.environ.items() if name not in _KEYS}
        environment["AWS_SHARED_CREDENTIALS_FILE"] = str(credentials)
        server = PostgresServer(
            directory,
            environment=environment,
            settings={
                "aws_ml.command": shlex.join([sys.executable, "-m", "sm_local.aws_ml"]),
                "extension_control_path": f"$system:{_EXTENSIONS}",
                "statement_timeout": "45s",  # as the Data API has it
            },
        )
        try:
            _make_owner(server, cluster)
        except BaseException:
            server.stop()
            raise
        running = self._running[arn] = _Running(server, credentials)
        return running

    def _set_password(self, running: _Running, cluster: Mapping[str, Any]) -> None:
        password = str(cluster["_MasterUserPassword"])
        if password == running.password:
            return
        with closing(running.server.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(f"ALTER ROLE {_quoted(cluster['MasterUsername'])} PASSWORD %s", (password,))
        running.password = password

    def _set_credentials(self, running: _Running, cluster: Mapping[str, Any]) -> None:
        """Write the credentials of the role that is associated with the cluster for SageMaker, if there is one."""
        roles = [role["RoleArn"] for role in cluster.get("AssociatedRoles", []) if role["FeatureName"] == _FEATURE]
        role = roles[0] if roles else ""
        if running.role == role and running.credentials.exists():
            return
        file = ConfigParser(interpolation=None)
        with suppress(PermissionError):  # a role that does not trust RDS is of no use
            file["default"] = iam.service_session(role, "rds.amazonaws.com", "AuroraML") if role else {}
        running.credentials.touch(0o644)
        with running.credentials.open("w") as target:
            file.write(target)
        running.role = role


def _make_owner(server: PostgresServer, cluster: Mapping[str, Any]) -> None:
    """Make the master user, who is no superuser on AWS either, and the database."""
    user, database = cluster["MasterUsername"], cluster.get("DatabaseName")
    with closing(server.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE ROLE {_quoted(user)} LOGIN CREATEDB CREATEROLE")
        if database:
            cursor.execute(f"CREATE DATABASE {_quoted(database)} OWNER {_quoted(user)}")


def _quoted(name: str) -> str:
    return '"' + str(name).replace('"', '""') + '"'
