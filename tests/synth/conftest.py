"""Apps and stacks as the CDK CLI would make them from cdk.json."""

from __future__ import annotations

import json
from pathlib import Path

import aws_cdk as cdk
import pytest

CDK_JSON = Path(__file__).parent.parent.parent / "cdk.json"


@pytest.fixture(scope="session")
def cdk_context() -> dict[str, object]:
    """The feature flags of cdk.json, which apps made in tests do not read by themselves."""
    context: dict[str, object] = json.loads(CDK_JSON.read_text())["context"]
    return context


@pytest.fixture
def app(cdk_context: dict[str, object], tmp_path: Path) -> cdk.App:
    """An app without CDK's own validation, which takes seconds and which the gates run over every example."""
    return cdk.App(
        analytics_reporting=False,
        builtin_cloud_formation_validation=False,
        context=cdk_context,
        outdir=str(tmp_path / "cdk.out"),
    )


@pytest.fixture
def stack(app: cdk.App) -> cdk.Stack:
    """A stack whose account and region are known at deployment only."""
    return cdk.Stack(app, "Stack")


@pytest.fixture
def model_directory(tmp_path: Path) -> Path:
    """A directory with what SageMaker's scikit-learn container looks for, though no model that loads."""
    directory = tmp_path / "model"
    (directory / "code").mkdir(parents=True)
    (directory / "model.joblib").write_bytes(b"a model")
    (directory / "code" / "inference.py").write_text("def model_fn(model_dir): ...\n")
    return directory
