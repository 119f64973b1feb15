"""The CDK app that is deployed, and what stands in its directory."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sm_local.errors import LocalAwsError
from sm_local.state import StateDirectory


class Stage(StrEnum):
    """Which StageConfig the app deploys."""

    DEV = "dev"
    PROD = "prod"

    @property
    def stack_name(self) -> str:
        return f"TextClassification-{self}"


@dataclass(frozen=True, slots=True)
class Project:
    """A directory with a ``cdk.json``.

    >>> Project(Path("app")).model.as_posix()
    'app/.build/model'
    """

    root: Path

    @classmethod
    def find(cls, start: Path | None = None) -> Project:
        """Return the project that `start` (the current directory when omitted) lies in.

        Raises:
            LocalAwsError: Neither `start` nor a directory above it has a ``cdk.json``.
        """
        start = (start or Path.cwd()).resolve()
        for directory in (start, *start.parents):
            if (directory / "cdk.json").is_file():
                return cls(directory)
        raise LocalAwsError(f"There is no cdk.json in {start} or above it: change to the directory of your CDK app.")

    @property
    def state(self) -> StateDirectory:
        return StateDirectory(self.root / ".sm_local")

    @property
    def model(self) -> Path:
        """The trained model that the app deploys by default."""
        return self.root / ".build" / "model"
