"""The same sources give the same cloud assembly, byte for byte, wherever they lie and whoever runs them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("app.py", "cdk.json", "sm_constructs", "lambda_src", "model_src")


def check_out(directory: Path, model: Path) -> Path:
    """Copy what synth reads, and a model, to a directory."""
    directory.mkdir(parents=True)
    for name in SOURCES:
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy2
        copy(source, directory / name)
    shutil.copytree(model, directory / ".build/model")
    return directory


def synthesize(directory: Path, stage: str, **environment: str) -> dict[str, bytes]:
    """Run app.py and return the files of the cloud assembly."""
    output = directory / "cdk.out"
    # The CLI asks for a resource that says which Python made the template, where cdk.json does not forbid it.
    asked = {"stage": stage, "aws:cdk:version-reporting": True}
    context = {**json.loads((directory / "cdk.json").read_text())["context"], **asked}
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run(
        [sys.executable, "app.py"],
        cwd=directory,
        env={
            **inherited,
            "CDK_VALIDATION": "false",
            "CDK_OUTDIR": str(output),
            "CDK_CONTEXT_JSON": json.dumps(context),
            **environment,
        },
        check=True,
    )
    return {
        path.relative_to(output).as_posix(): path.read_bytes() for path in sorted(output.rglob("*")) if path.is_file()
    }


@pytest.mark.usefixtures("bundles")
@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_two_synths_in_two_directories_are_byte_identical(tmp_path: Path, model_directory: Path, stage: str) -> None:
    here = check_out(tmp_path / "here", model_directory)
    there = check_out(tmp_path / "a" / "much deeper" / "place", model_directory)
    for package in ("lambda_src/text_classification", "model_src/textprep", ".build/model/code"):
        left_behind = there / package / "__pycache__" / "left.pyc"
        left_behind.parent.mkdir(exist_ok=True)
        left_behind.write_bytes(b"left by an import")
    for path in there.rglob("*.py"):
        path.chmod(0o600)
        os.utime(path, (1_000_000_000, 1_000_000_000))

    first = synthesize(here, stage, PYTHONHASHSEED="1", TZ="UTC", LANG="C.UTF-8", USER="ann")
    second = synthesize(there, stage, PYTHONHASHSEED="2", TZ="Asia/Shanghai", LANG="zh_CN.UTF-8", USER="bo")

    assert f"TextClassification-{stage}.template.json" in first
    assert any(name.startswith("asset.") and name.endswith(".zip") for name in first)
    assert b"AWS::CDK::Metadata" not in first[f"TextClassification-{stage}.template.json"]
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


@pytest.mark.usefixtures("bundles")
def test_another_line_in_a_function_is_another_template(tmp_path: Path, model_directory: Path) -> None:
    here = check_out(tmp_path / "here", model_directory)
    there = check_out(tmp_path / "there", model_directory)
    with (there / "lambda_src/text_classification/handlers/classify.py").open("a") as handler:
        handler.write("# one more line\n")

    first, second = synthesize(here, "dev"), synthesize(there, "dev")

    assert first["TextClassification-dev.template.json"] != second["TextClassification-dev.template.json"]
