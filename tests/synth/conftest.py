"""Apps and stacks as the CDK CLI would make them from cdk.json."""

from __future__ import annotations

import json
from pathlib import Path

import aws_cdk as cdk
import pytest

from sm_constructs import LambdaPlatform
from sm_constructs.bundling import LAYERS, layer_hash

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


@pytest.fixture(scope="session")
def _stub_bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("bundles")
    for platform in (LambdaPlatform(), LambdaPlatform(python="3.12", architecture="x86_64")):
        for layer in LAYERS:
            name = f"{layer}-{platform.key}-{layer_hash(layer, platform)[:16]}.zip"
            (directory / name).write_bytes(b"PK\x05\x06" + bytes(18))  # a zip file with nothing in it
    return directory


@pytest.fixture
def bundles(_stub_bundles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Lambda functions' dependencies where synth looks for them, but empty: templates are the same."""
    monkeypatch.setenv("SM_CONSTRUCTS_BUNDLES", str(_stub_bundles))
