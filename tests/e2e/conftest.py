"""A local AWS for the whole test run, in a directory of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest

from sm_local import process
from sm_local.cdk import cdk_command, tool_environment
from sm_local.connection import without_aws
from sm_local.project import Project
from sm_local.state import ACCOUNT, REGION, StateDirectory, client_environment

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class LocalAws:
    """A running local AWS.

    Args:
        state: Its directory.
        port: Where it listens.
    """

    state: StateDirectory
    port: int

    @property
    def environment(self) -> dict[str, str]:
        return {**tool_environment(without_aws(os.environ)), **client_environment(self.port, self.state)}

    def cdk(self, *arguments: str, directory: Path = ROOT) -> subprocess.CompletedProcess[str]:
        """Run the CDK CLI and return what it printed, both streams together."""
        return subprocess.run(
            [*cdk_command(Project(ROOT)), *arguments, "--no-notices", "--ci"],
            cwd=directory,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )


@pytest.fixture(scope="session")
def local_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """Start the local AWS, bootstrap it, and make this process its client."""
    state = StateDirectory(tmp_path_factory.mktemp("local-aws"))
    server = process.start_server(state, process.choose_port(), tool_environment(without_aws(os.environ)))
    aws = LocalAws(state, server.port)
    try:
        process.wait_until_healthy(server, state)
        with pytest.MonkeyPatch.context() as patch:
            for name in os.environ:
                if name.startswith("AWS_"):
                    patch.delenv(name)
            for name, value in client_environment(server.port, state).items():
                patch.setenv(name, value)
            bootstrap = aws.cdk("bootstrap", f"aws://{ACCOUNT}/{REGION}", directory=state.root)
            assert bootstrap.returncode == 0, bootstrap.stdout
            yield aws
    finally:
        process.stop(state)


@pytest.fixture(scope="session")
def session(local_aws: LocalAws) -> boto3.Session:  # noqa: ARG001 - which sets the environment
    return boto3.Session()
