"""A local AWS and the stacks in it, for tests and benchmarks."""

from __future__ import annotations

import http.client
import json
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from sm_client import Client
from sm_client._transport import Retries
from sm_local import ports, process
from sm_local.cdk import cdk_command, tool_environment
from sm_local.connection import without_aws
from sm_local.project import Project
from sm_local.state import ACCOUNT, REGION, StateDirectory, client_environment

ROOT = Path(__file__).resolve().parents[1]


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

    def deploy(self, model: Path, stage: str = "dev") -> subprocess.CompletedProcess[str]:
        """Deploy the project's app with a model, for the Python that runs here."""
        return self.cdk(
            "deploy",
            f"TextClassification-{stage}",
            "--require-approval=never",
            f"--build={sys.executable} -m sm_constructs bundle --platform local",
            "--context=lambda_platform=local",
            f"--context=stage={stage}",
            f"--context=model={model}",
            f"--output={self.state.root / f'cdk.out.{stage}'}",
        )


@dataclass(frozen=True)
class Answer:
    """What the API answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Stack:
    """A deployed stack.

    Args:
        name: Its name.
        outputs: By logical id.
        model_version: The version of the model it was deployed with.
    """

    name: str
    outputs: Mapping[str, str]
    model_version: str

    def client(self) -> Client:
        """Return a client that never tries twice, so that no failure goes unseen."""
        return Client(self.outputs["ApiUrl"], retries=Retries(attempts=1))

    def post(self, body: bytes, headers: Mapping[str, str], *, signed: bool = True) -> Answer:
        """Send any bytes with any headers and return the answer, whatever it is."""
        api = urlsplit(self.outputs["ApiUrl"] + "v1/classifications")
        aws = urlsplit(os.environ["AWS_ENDPOINT_URL"])
        request = AWSRequest(
            method="POST",
            url=f"{aws.scheme}://{aws.netloc}{api.path}",
            data=body,
            headers={"Host": api.netloc, **headers},
        )
        credentials = boto3.Session().get_credentials()
        assert credentials is not None
        if signed:
            SigV4Auth(credentials.get_frozen_credentials(), "execute-api", REGION).add_auth(request)
        context = ssl.create_default_context(cafile=os.environ["AWS_CA_BUNDLE"])
        connection = http.client.HTTPSConnection(aws.netloc, context=context, timeout=60)
        try:
            connection.request("POST", api.path, body=body, headers=dict(request.headers.items()))
            response = connection.getresponse()
            return Answer(response.status, dict(response.headers.items()), response.read())
        finally:
            connection.close()


@contextmanager
def running_local_aws(directory: Path, *, time_scale: float = 1.0, bootstrapped: bool = True) -> Iterator[LocalAws]:
    """Run a local AWS in a directory of its own, with this process as its client.

    Args:
        directory: Where it keeps its state.
        time_scale: How many times as fast as the wall clock its time passes.
        bootstrapped: Whether the CDK can deploy to it, which takes a few seconds.
    """
    state = StateDirectory(directory)
    server = process.start_server(
        state, ports.free_port(), tool_environment(without_aws(os.environ)), time_scale=time_scale
    )
    aws = LocalAws(state, server.port)
    try:
        process.wait_until_healthy(server, state)
        with pytest.MonkeyPatch.context() as patch:
            for name in os.environ:
                if name.startswith("AWS_"):
                    patch.delenv(name)
            for name, value in client_environment(server.port, state).items():
                patch.setenv(name, value)
            if bootstrapped:
                bootstrap = aws.cdk("bootstrap", f"aws://{ACCOUNT}/{REGION}", directory=state.root)
                assert bootstrap.returncode == 0, bootstrap.stdout
            yield aws
    finally:
        process.stop(state)
