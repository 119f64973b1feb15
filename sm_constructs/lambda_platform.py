"""Which Python on which processor the Lambda functions run, and their compiled dependencies are built for."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_cdk import aws_lambda as lambda_

PYTHON_VERSIONS = ("3.11", "3.12", "3.13", "3.14")
"""Lambda's Python runtimes that this library supports, oldest first."""

ARCHITECTURES = ("arm64", "x86_64")

LAMBDA = "lambda"
"""The ``system`` of AWS Lambda itself: Amazon Linux."""

_MACHINES = {"aarch64": "arm64", "AMD64": "x86_64"}


@dataclass(frozen=True, kw_only=True, slots=True)
class LambdaPlatform:
    """Define the run time of Lambda functions.

    Args:
        python: The version of Python, from ``"3.11"`` to ``"3.14"``. When omitted: 3.13.
        architecture: ``"arm64"`` or ``"x86_64"``. When omitted: arm64, which Lambda bills lower.
        system: Whose compiled modules the dependencies carry. When omitted: those for AWS Lambda. Any other
            value is what :meth:`local` fills in, and cannot run on AWS.

    >>> LambdaPlatform(python="3.12").key
    'py3.12-arm64'
    >>> LambdaPlatform(python="2.7", architecture="sparc").problems()
    ["python is '2.7': must be one of '3.11', '3.12', '3.13', '3.14'", \
"architecture is 'sparc': must be one of 'arm64', 'x86_64'"]
    """

    python: str = "3.13"
    architecture: str = "arm64"
    system: str = LAMBDA

    @classmethod
    def local(cls) -> LambdaPlatform:
        """Return the platform of the running interpreter, for a local AWS that runs functions with it."""
        machine = platform.machine()
        return cls(
            python=f"{sys.version_info.major}.{sys.version_info.minor}",
            architecture=_MACHINES.get(machine, machine),
            system=sys.platform,
        )

    @property
    def key(self) -> str:
        """A short name for files, different for any two platforms."""
        name = f"py{self.python}-{self.architecture}"
        return name if self.system == LAMBDA else f"{name}-{self.system}"

    @property
    def runtime(self) -> lambda_.Runtime:
        """The CDK's value for the version of Python."""
        # Imported here, so that bundling needs neither the CDK nor Node.
        from aws_cdk import aws_lambda as lambda_

        return {
            "3.11": lambda_.Runtime.PYTHON_3_11,
            "3.12": lambda_.Runtime.PYTHON_3_12,
            "3.13": lambda_.Runtime.PYTHON_3_13,
            "3.14": lambda_.Runtime.PYTHON_3_14,
        }[self.python]

    @property
    def lambda_architecture(self) -> lambda_.Architecture:
        """The CDK's value for the architecture."""
        from aws_cdk import aws_lambda as lambda_

        return {"arm64": lambda_.Architecture.ARM_64, "x86_64": lambda_.Architecture.X86_64}[self.architecture]

    def problems(self) -> list[str]:
        """Return one line for each wrong value: what came and what is allowed. Empty when all are right."""
        allowed = {
            "python": PYTHON_VERSIONS,
            "architecture": ARCHITECTURES,
            "system": (LAMBDA, sys.platform),
        }
        return [
            f"{name} is {getattr(self, name)!r}: must be one of {', '.join(map(repr, values))}"
            for name, values in allowed.items()
            if getattr(self, name) not in values
        ]
