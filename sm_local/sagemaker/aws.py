"""The execution role of a model, as SageMaker uses it: every call is made, and refused, with its permissions."""

from __future__ import annotations

import os
import queue
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import boto3
from botocore.exceptions import ClientError

from sm_local import patches
from sm_local.sagemaker.errors import SageMakerError
from sm_local.state import REGION

_SERVICE = "sagemaker.amazonaws.com"
_ECR_IMAGE = re.compile(r"^(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[^.]+)\.amazonaws\.com(?:\.cn)?/(?P<name>[^:@]+)")
# https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html#sagemaker-roles-createmodel-perms
_PULL_ACTIONS = ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
_LOG_INTERVAL_SECONDS = 1.0


class AssumedRole:
    """A role that SageMaker has assumed.

    Args:
        arn: The role.

    Raises:
        SageMakerError: The role does not exist or does not trust SageMaker.
    """

    def __init__(self, arn: str) -> None:
        self.arn = arn
        try:
            self._credentials = patches.service_session(arn, _SERVICE, "SageMaker")
        except PermissionError as error:
            raise SageMakerError("ValidationException", str(error)) from error
        self._session = boto3.Session(
            region_name=REGION,
            aws_access_key_id=self._credentials["aws_access_key_id"],
            aws_secret_access_key=self._credentials["aws_secret_access_key"],
            aws_session_token=self._credentials["aws_session_token"],
        )

    def client(self, service: str) -> Any:
        """Return a boto3 client with the role's permissions."""
        client: Any = self._session.client(service)
        return client

    def environment(self, *, with_credentials: bool) -> dict[str, str]:
        """Return what a container finds in its environment."""
        names = ("AWS_ENDPOINT_URL", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
        found = {name: os.environ[name] for name in names if name in os.environ}
        found |= {"AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION, "SAGEMAKER_REGION": REGION}
        if with_credentials:
            found |= {name.upper(): value for name, value in self._credentials.items()}
        return found

    def check_can_read(self, bucket: str, key: str) -> None:
        """Raise what `CreateModel` answers when the role cannot read the model's archive."""
        try:
            self.client("s3").head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            raise SageMakerError(
                "ValidationException",
                f"Could not access model data at s3://{bucket}/{key}. Please ensure that the role "
                f'"{self.arn}" exists and that its trust relationship policy allows the action "sts:AssumeRole" '
                f'for the service principal "{_SERVICE}". Also ensure that the role has "s3:GetObject" '
                f"permissions and that the object is located in {REGION}. ({error})",
            ) from error

    def check_can_pull(self, image: str) -> None:
        """Raise what `CreateModel` answers when the role cannot pull an image from ECR."""
        match = _ECR_IMAGE.match(image)
        if match is None:
            return
        repository = f"arn:aws:ecr:{match['region']}:{match['account']}:repository/{match['name']}"
        wanted = [(action, repository) for action in _PULL_ACTIONS] + [("ecr:GetAuthorizationToken", "*")]
        missing = [action for action, on in wanted if not patches.role_allows(self.arn, action, on, REGION)]
        if missing:
            raise SageMakerError(
                "ValidationException",
                f'Requested image {image} cannot be pulled: the role "{self.arn}" lacks {", ".join(missing)}.',
            )

    @contextmanager
    def log_writer(self, group: str, stream: str) -> Iterator[_LogWriter]:
        """Send lines to CloudWatch Logs about once a second; a role that may not loses them, as on AWS."""
        writer = _LogWriter(self.client("logs"), group, stream)
        sender = threading.Thread(target=writer.run, daemon=True)
        sender.start()
        try:
            yield writer
        finally:
            writer.close()
            sender.join(timeout=5)


class _LogWriter:
    def __init__(self, client: Any, group: str, stream: str) -> None:
        self._client = client
        self._where = {"logGroupName": group, "logStreamName": stream}
        self._lines: queue.SimpleQueue[tuple[int, str] | None] = queue.SimpleQueue()

    def put(self, line: str) -> None:
        self._lines.put((int(time.time() * 1000), line))

    def close(self) -> None:
        self._lines.put(None)

    def run(self) -> None:
        created = False
        while batch := self._next_batch():
            try:
                if not created:
                    self._create()
                    created = True
                events = [{"timestamp": moment, "message": line or " "} for moment, line in batch]
                self._client.put_log_events(**self._where, logEvents=events)
            except Exception as error:
                print(f"cannot write to {self._where['logGroupName']}: {error}", flush=True)
                return

    def _create(self) -> None:
        group = self._where["logGroupName"]
        for create in (
            partial(self._client.create_log_group, logGroupName=group),
            partial(self._client.create_log_stream, **self._where),
        ):
            try:
                create()
            except self._client.exceptions.ResourceAlreadyExistsException:
                continue

    def _next_batch(self) -> list[tuple[int, str]]:
        """Return what came within an interval; empty once closed."""
        first = self._lines.get()
        if first is None:
            return []
        batch = [first]
        time.sleep(_LOG_INTERVAL_SECONDS)
        while not self._lines.empty():
            line = self._lines.get()
            if line is None:
                self._lines.put(None)
                break
            batch.append(line)
        return batch
