"""An execution role, as SageMaker uses it: every call is made, and refused, with its permissions."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from functools import cached_property
from typing import Any

import boto3

from sm_local import sessions
from sm_local.patches import iam
from sm_local.sagemaker.errors import invalid
from sm_local.state import REGION

SERVICE = "sagemaker.amazonaws.com"
_ECR_IMAGE = re.compile(r"^(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[^.]+)\.amazonaws\.com(?:\.cn)?/(?P<name>[^:@]+)")
# https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html#sagemaker-roles-createmodel-perms
_PULL_ACTIONS = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")


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
            self._credentials = iam.service_session(arn, SERVICE, "SageMaker")
        except PermissionError as error:
            raise invalid(str(error)) from error

    @cached_property
    def _session(self) -> boto3.Session:
        return sessions.session(self._credentials)

    def client(self, service: str) -> Any:
        """Return a boto3 client with the role's permissions."""
        client: Any = self._session.client(service)
        return client

    @cached_property
    def s3(self) -> Any:
        """A client of S3 with the role's permissions, for all threads."""
        return self.client("s3")

    def environment(self, *, with_credentials: bool) -> dict[str, str]:
        """Return what a container finds in its environment."""
        names = ("AWS_ENDPOINT_URL", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
        found = {name: os.environ[name] for name in names if name in os.environ}
        found |= {"AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION, "SAGEMAKER_REGION": REGION}
        if with_credentials:
            found |= {name.upper(): value for name, value in self._credentials.items()}
        return found

    def check_can_pull(self, image: str) -> None:
        """Raise what `CreateModel` answers when the role cannot pull an image from ECR."""
        match = _ECR_IMAGE.match(image)
        if match is None:
            return
        repository = f"arn:aws:ecr:{match['region']}:{match['account']}:repository/{match['name']}"
        missing = self.missing(
            [(action, repository) for action in _PULL_ACTIONS] + [("ecr:GetAuthorizationToken", "*")]
        )
        if missing:
            raise invalid(
                f'Requested image {image} cannot be pulled: the role "{self.arn}" lacks {", ".join(missing)}.'
            )

    def missing(self, wanted: Iterable[tuple[str, str]]) -> list[str]:
        """Return which of some actions, each on a resource, the role's policies do not allow."""
        return [action for action, on in wanted if not iam.role_allows(self.arn, action, on, REGION)]
