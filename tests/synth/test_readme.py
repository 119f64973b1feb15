"""The README's code does what the README says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.readme import ROOT, python_blocks


def test_both_readmes_show_the_same_code() -> None:
    assert python_blocks("README.zh-CN.md") == python_blocks("README.md")


@pytest.mark.usefixtures("bundles")
def test_the_constructs_that_the_readme_shows_synthesize(tmp_path: Path, model_directory: Path) -> None:
    first, whole_system, _client = python_blocks()
    model_directory.rename(tmp_path / "my-model")

    subprocess.run(
        [sys.executable, "-c", f"{first}\n{whole_system}\napp.synth(force=True)"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "CDK_VALIDATION": "false", "CDK_OUTDIR": str(tmp_path / "cdk.out")},
        check=True,
    )

    assert len([line for line in first.splitlines() if line]) == 10, "ten lines are promised"
    assert list(outputs_of(tmp_path / "cdk.out/Reviews.template.json")) == ["EndpointName"]
    assert "ApiUrl" in outputs_of(tmp_path / "cdk.out/Reviews-prod.template.json")


def outputs_of(template: Path) -> dict[str, object]:
    outputs: dict[str, object] = json.loads(template.read_text())["Outputs"]
    return outputs
