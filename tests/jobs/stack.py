"""The stack of :mod:`tests.jobs.app` in a local AWS, and what tests and measurements do with it."""

from __future__ import annotations

import http.client
import json
import os
import ssl
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from sm_client import Client, Polling
from sm_client._transport import Retries
from sm_client.client import stack_outputs
from sm_local.state import REGION
from tests.jobs.app import write_faults, write_model
from tests.local_aws import Answer, LocalAws


@dataclass(frozen=True)
class JobsStack:
    """The deployed stack.

    Args:
        outputs: By logical id.
        faults_file: What the model fails by.
    """

    outputs: Mapping[str, str]
    faults_file: Path
    session: boto3.Session = field(default_factory=boto3.Session)
    connections: list[http.client.HTTPSConnection] = field(default_factory=list)

    def faults(self, **faults: float) -> None:
        write_faults(self.faults_file, **faults)

    @cached_property
    def client(self) -> Client:
        """A client that never tries twice, so that no failure goes unseen."""
        return Client(
            self.outputs["ApiUrl"], session=self.session, retries=Retries(attempts=1), polling=Polling(cap_s=1)
        )

    def post(self, body: Any, **headers: str) -> Answer:
        """Submit a job; give headers with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.call("POST", "v1/jobs", encoded, {"Content-Type": "application/json", **named})

    def get(self, job_id: str) -> Answer:
        return self.call("GET", f"v1/jobs/{job_id}")

    def call(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
        """Send a signed request to the API."""
        api = urlsplit(self.outputs["ApiUrl"] + path)
        aws = urlsplit(os.environ["AWS_ENDPOINT_URL"])
        request = AWSRequest(
            method=method,
            url=f"{aws.scheme}://{aws.netloc}{api.path}",
            data=body,
            headers={"Host": api.netloc, **(headers or {})},
        )
        credentials = self.session.get_credentials()
        assert credentials is not None
        SigV4Auth(credentials.get_frozen_credentials(), "execute-api", REGION).add_auth(request)
        headers = dict(request.headers.items())
        try:
            return self._sent(self._connection(aws.netloc), method, api.path, body, headers)
        except (OSError, http.client.HTTPException):  # the connection was idle for too long
            self.close()
            return self._sent(self._connection(aws.netloc), method, api.path, body, headers)

    def _sent(
        self, connection: http.client.HTTPSConnection, method: str, path: str, body: bytes, headers: Mapping[str, str]
    ) -> Answer:
        try:
            connection.request(method, path, body=body, headers=dict(headers))
            response = connection.getresponse()
            answer = Answer(response.status, dict(response.headers.items()), response.read())
        except BaseException:
            connection.close()
            raise
        self.connections.append(connection)
        return answer

    def _connection(self, host: str) -> http.client.HTTPSConnection:
        """Return a connection that nobody uses now."""
        with suppress(IndexError):
            return self.connections.pop()
        context = ssl.create_default_context(cafile=os.environ["AWS_CA_BUNDLE"])
        return http.client.HTTPSConnection(host, context=context, timeout=60)

    def close(self) -> None:
        """Close the connections; new ones are made when they are needed."""
        while self.connections:
            self.connections.pop().close()


def deploy_jobs(aws: LocalAws, directory: Path, **context: object) -> JobsStack:
    """Deploy the stack with a model that works at once."""
    faults = directory / "faults.json"
    model = directory / "model"
    if not model.exists():
        write_faults(faults)
        write_model(model)
    answer = aws.cdk(
        "deploy",
        "--all",
        "--require-approval=never",
        f"--build={sys.executable} -m sm_constructs bundle --platform local",
        f"--app={sys.executable} -m tests.jobs.app",
        f"--output={aws.state.root / 'cdk.out.jobs'}",
        f"--context=model={model}",
        f"--context=faults={faults}",
        *(f"--context={name}={value}" for name, value in context.items()),
    )
    assert answer.returncode == 0, answer.stdout
    return JobsStack(outputs=stack_outputs("Jobs"), faults_file=faults)
