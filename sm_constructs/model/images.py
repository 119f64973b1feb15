"""Container images in ECR: where each stands in the stack's region, and the permission to pull it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from aws_cdk import Aws, CfnMapping, Stack, Token
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from constructs import Construct

from sm_constructs._validation import Problems
from sm_constructs.model.image_table import TableEntry, image_table
from sm_constructs.model.processors import PROCESSORS, processor_of

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

    @property
    def processor(self) -> str | None:
        """``"cpu"``, ``"gpu"`` or ``"graviton"``: what it runs on; None where only its owner knows."""

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
        runs_on: ``"cpu"``, ``"gpu"``, ``"graviton"``, or an instance type, which has one of them.
        base: What a Hugging Face image is built on. When omitted: the newest there is, PyTorch first.
        python: The image's Python. When omitted: the newest there is.
        account: The account that holds the repository. When omitted: AWS's own, by region.
    """

    framework: str
    version: str
    runs_on: str = "cpu"
    base: str | None = None
    python: str | None = None
    account: str | None = None

    @property
    def identity(self) -> str:
        return f"{self.account or 'aws'}/{self._entry.repository}"

    @property
    def processor(self) -> str | None:
        return processor_of(self.runs_on)

    def problems(self, scope: Construct) -> list[str]:
        problems = Problems()
        remaining = self._choose(problems)
        region = Stack.of(scope).region
        if remaining and self.account is None and not Token.is_unresolved(region):
            accounts = remaining[-1].accounts
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
        return self._choose(Problems())[-1]

    def _choose(self, problems: Problems) -> list[TableEntry]:
        """Return the images that are left after each choice, the preferred one last; none after a wrong choice."""
        if self.processor is None:
            problems.add(
                f"processor is '{self.runs_on}': must be one of {_listed(PROCESSORS)}, or an instance type with one "
                "of them; for Inferentia and Trainium pass an image of your own"
            )
            return []
        left: Sequence[TableEntry] = image_table()[self.framework]
        chosen_so_far = [self.framework]
        choices = (
            ("processor", self.processor),
            ("version", self.version),
            ("base", self.base),
            ("python", self.python),
        )
        for name, chosen in choices:
            if left and chosen is not None:
                available = _distinct(getattr(image, name) for image in left)
                problems.unless(
                    chosen in available,
                    f"{name} is '{chosen}': AWS has {' '.join(chosen_so_far)} images for {_listed(available)}",
                )
                left = [image for image in left if getattr(image, name) == chosen]
                chosen_so_far.append(chosen)
        return sorted(left, key=lambda image: (image.base or "").startswith("pytorch"))

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
        variant = "Graviton" if self.processor == "graviton" else ""
        name = re.sub(r"\W", "", f"{self.framework.title()}{self.version}{variant}Images")
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

    @property
    def processor(self) -> None:
        return None

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

    @property
    def processor(self) -> None:
        return None

    def problems(self, scope: Construct) -> list[str]:  # noqa: ARG002 - the same for every stack
        problems = Problems()
        if Token.is_unresolved(self.image_uri):
            problems.add(
                "image is known at deployment only: the permission to pull names the repository: pass an IRepository, "
                "whose name and tag_or_digest may be known at deployment only"
            )
        else:
            problems.unless(
                bool(_URI.fullmatch(self.image_uri)),
                f"image is '{self.image_uri}': SageMaker pulls from ECR, and the permission to do so names the "
                "repository: use <account>.dkr.ecr.<region>.amazonaws.com/<repository>:<tag>, or pass an IRepository",
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


def _grant_pull(grantee: iam.IGrantable, scope: Construct, account: str, region: str, repository: str) -> iam.Grant:
    arn = Stack.of(scope).format_arn(
        service="ecr", account=account, region=region, resource="repository", resource_name=repository
    )
    return iam.Grant.add_to_principal(grantee=grantee, actions=list(PULL_ACTIONS), resource_arns=[arn])


def _distinct(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))


def _listed(values: Iterable[str]) -> str:
    return ", ".join(f"'{value}'" for value in values)
