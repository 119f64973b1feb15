"""Container images in ECR: where each stands in the stack's region, and the permission to pull it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

from aws_cdk import Aws, CfnMapping, Stack, Token
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from constructs import Construct

from sm_constructs._validation import Problems

PULL_ACTIONS = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")

_URI = re.compile(
    r"\d{12}\.dkr\.ecr(-fips)?\.[a-z0-9-]+\.[a-z0-9.-]+/[a-z0-9._/-]+"
    r"(:[\w.-]+|(:[\w.-]+)?@sha256:[0-9a-f]{64})"
)


class Image(Protocol):
    """An image that a model's container starts from."""

    @property
    def identity(self) -> str:
        """Which repository it is, known at synth."""

    def problems(self, scope: Construct) -> list[str]:
        """Return what is wrong with it for the stack of ``scope``."""

    def uri(self, scope: Construct) -> str:
        """Return the URI that SageMaker pulls."""

    def grant_pull(self, scope: Construct, grantee: iam.IGrantable) -> iam.Grant:
        """Allow to pull from its repository; ``ecr:GetAuthorizationToken`` is not included."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AwsImage:
    """An image that AWS publishes, in the registry that the stack's region has for it.

    Args:
        framework: The framework's name in the table, such as ``"scikit-learn"``.
        version: A version in the table.
        account: The account that holds the repository. When omitted: AWS's own, by region.
    """

    framework: str
    version: str
    account: str | None = None

    @property
    def identity(self) -> str:
        return f"{self.account or 'aws'}/{self._entry.repository}"

    def problems(self, scope: Construct) -> list[str]:
        problems = Problems()
        versions = image_table()[self.framework]
        problems.one_of("version", self.version, versions)
        region = Stack.of(scope).region
        if self.version in versions and self.account is None and not Token.is_unresolved(region):
            accounts = versions[self.version].accounts
            problems.unless(
                region in accounts,
                f"region is '{region}': AWS's {self.framework} images are in {', '.join(accounts)}; for another "
                "region pass account, or an image of your own",
            )
        return list(problems)

    def uri(self, scope: Construct) -> str:
        entry = self._entry
        return (
            f"{self._account(scope)}.dkr.ecr.{Stack.of(scope).region}.{Aws.URL_SUFFIX}/{entry.repository}:{entry.tag}"
        )

    def grant_pull(self, scope: Construct, grantee: iam.IGrantable) -> iam.Grant:
        return _grant_pull(grantee, scope, self._account(scope), Stack.of(scope).region, self._entry.repository)

    @property
    def _entry(self) -> TableEntry:
        return image_table()[self.framework][self.version]

    def _account(self, scope: Construct) -> str:
        if self.account is not None:
            return self.account
        region = Stack.of(scope).region
        if not Token.is_unresolved(region):
            return self._entry.accounts[region]
        return self._mapping(scope).find_in_map(Aws.REGION, "account")

    def _mapping(self, scope: Construct) -> CfnMapping:
        """Return the stack's mapping of regions to accounts, one for all models on the same version."""
        stack = Stack.of(scope)
        name = re.sub(r"\W", "", f"{self.framework.title()}{self.version}Images")
        existing = stack.node.try_find_child(name)
        if isinstance(existing, CfnMapping):
            return existing
        accounts = {region: {"account": account} for region, account in self._entry.accounts.items()}
        return CfnMapping(stack, name, mapping=accounts)


@dataclass(frozen=True, kw_only=True, slots=True)
class RepositoryImage:
    """An image in a repository of one's own.

    Args:
        repository: The repository.
        tag_or_digest: Which image: a tag, or a digest that begins with ``sha256:``.
    """

    repository: ecr.IRepository
    tag_or_digest: str | None

    @property
    def identity(self) -> str:
        return self.repository.node.path

    def problems(self, scope: Construct) -> list[str]:  # noqa: ARG002 - the same for every stack
        if self.tag_or_digest:
            return []
        return ["tag_or_digest is missing: name the image, so that another one makes another model"]

    def uri(self, scope: Construct) -> str:  # noqa: ARG002
        return self.repository.repository_uri_for_tag_or_digest(self.tag_or_digest)

    def grant_pull(self, scope: Construct, grantee: iam.IGrantable) -> iam.Grant:  # noqa: ARG002
        return self.repository.grant(grantee, *PULL_ACTIONS)


@dataclass(frozen=True, kw_only=True, slots=True)
class UriImage:
    """An image named by its full ECR URI.

    Args:
        image_uri: Such as ``123456789012.dkr.ecr.eu-west-1.amazonaws.com/name:tag``.
        tag_or_digest: None, since the URI names it.
    """

    image_uri: str
    tag_or_digest: str | None = None

    @property
    def identity(self) -> str:
        return re.split("[:@]", self.image_uri, maxsplit=1)[0]

    def problems(self, scope: Construct) -> list[str]:  # noqa: ARG002 - the same for every stack
        problems = Problems()
        problems.unless(
            not Token.is_unresolved(self.image_uri) and bool(_URI.fullmatch(self.image_uri)),
            f"image is '{self.image_uri}': SageMaker pulls from ECR, and the permission to do so names the repository: "
            "use <account>.dkr.ecr.<region>.amazonaws.com/<repository>:<tag>, or pass an IRepository",
        )
        problems.unless(
            self.tag_or_digest is None, f"tag_or_digest is '{self.tag_or_digest}': with a URI, write it into the URI"
        )
        return list(problems)

    def uri(self, scope: Construct) -> str:  # noqa: ARG002
        return self.image_uri

    def grant_pull(self, scope: Construct, grantee: iam.IGrantable) -> iam.Grant:
        registry, _, repository = self.identity.partition("/")
        account, _, _, region = registry.split(".")[:4]  # <account>.dkr.ecr.<region>
        return _grant_pull(grantee, scope, account, region, repository)


@dataclass(frozen=True, kw_only=True, slots=True)
class TableEntry:
    """One version of one framework in the table."""

    repository: str
    tag: str
    accounts: Mapping[str, str]


@cache
def image_table() -> dict[str, dict[str, TableEntry]]:
    """Return framework → version → image: what ``tools/generate_image_table.py`` wrote."""
    text = Path(__file__).with_name("image_table.json").read_text()
    return {
        framework: {version: TableEntry(**entry) for version, entry in versions.items()}
        for framework, versions in json.loads(text).items()
    }


def _grant_pull(grantee: iam.IGrantable, scope: Construct, account: str, region: str, repository: str) -> iam.Grant:
    arn = Stack.of(scope).format_arn(
        service="ecr", account=account, region=region, resource="repository", resource_name=repository
    )
    return iam.Grant.add_to_principal(grantee=grantee, actions=list(PULL_ACTIONS), resource_arns=[arn])
