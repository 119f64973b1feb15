"""Where a model's archive comes from: a directory that becomes an asset, or an object that is there already."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_s3 as s3

from sm_constructs import Framework, InvalidPropsError, Model, ModelData
from tests.synth.templates import only, text_of

OWN_IMAGE = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/team/classifier:v1"


def synthesized(directory: Path, outdir: Path, *, exclude: tuple[str, ...] = ()) -> tuple[dict[str, Any], Path]:
    """Synthesize a model of a directory; return its data's asset in the manifest and the archive to upload."""
    app = cdk.App(outdir=str(outdir), builtin_cloud_formation_validation=False)
    stack = cdk.Stack(app, "Stack")
    data = ModelData.from_directory(directory, exclude=exclude)
    Model(stack, "Model", data=data, framework=Framework.scikit_learn())
    app.synth()
    files = json.loads((outdir / "Stack.assets.json").read_text())["files"].values()
    (asset,) = [each for each in files if each["source"]["path"].endswith(".tar.gz")]
    return asset, outdir / asset["source"]["path"]


def test_the_archive_has_the_directorys_files_at_its_root(model_directory: Path, tmp_path: Path) -> None:
    _, archive = synthesized(model_directory, tmp_path / "out")

    with tarfile.open(archive) as opened:
        assert opened.getnames() == ["code/inference.py", "model.joblib"]


def test_equal_directories_give_the_same_template_and_the_same_bytes_whatever_path_umask_and_time(
    model_directory: Path, tmp_path: Path
) -> None:
    other = tmp_path / "elsewhere" / "deep" / "copy"
    before = os.umask(0o077)
    try:
        shutil.copytree(model_directory, other, copy_function=shutil.copyfile)
    finally:
        os.umask(before)
    for path in other.rglob("*"):
        os.utime(path, (1, 1))

    (asset, archive), (other_asset, other_archive) = (
        synthesized(model_directory, tmp_path / "one"),
        synthesized(other, tmp_path / "two"),
    )

    assert asset == other_asset
    assert archive.read_bytes() == other_archive.read_bytes()
    assert (tmp_path / "one" / "Stack.template.json").read_bytes() == (
        tmp_path / "two" / "Stack.template.json"
    ).read_bytes()


def test_byte_code_that_an_import_left_behind_changes_nothing(model_directory: Path, tmp_path: Path) -> None:
    before, _ = synthesized(model_directory, tmp_path / "one")
    (model_directory / "code" / "__pycache__").mkdir()
    (model_directory / "code" / "__pycache__" / "inference.cpython-311.pyc").write_bytes(b"1")

    assert synthesized(model_directory, tmp_path / "two")[0] == before


def test_another_content_is_another_object(model_directory: Path, tmp_path: Path) -> None:
    before, _ = synthesized(model_directory, tmp_path / "one")
    (model_directory / "model.joblib").write_bytes(b"another model")

    assert synthesized(model_directory, tmp_path / "two")[0]["destinations"] != before["destinations"]


def test_what_is_excluded_is_not_in_the_archive(model_directory: Path, tmp_path: Path) -> None:
    (model_directory / "notes.md").write_text("for us alone")

    _, archive = synthesized(model_directory, tmp_path / "out", exclude=("*.md",))

    with tarfile.open(archive) as opened:
        assert "notes.md" not in opened.getnames()


def test_the_model_reads_the_very_object_that_is_uploaded(stack: cdk.Stack, model_directory: Path) -> None:
    Model(
        stack,
        "Model",
        data=ModelData.from_directory(str(model_directory)),
        framework=Framework.scikit_learn(),
    )

    url = only(stack, "AWS::SageMaker::Model")["PrimaryContainer"]["ModelDataUrl"]["Fn::Join"][1]
    assert url[0] == "s3://"
    object_key = str(url[-1])
    assert object_key.endswith(".gz")
    assert text_of(stack).count(object_key) == 2, "in the model and in the permission to read it"


def refusal(stack: cdk.Stack, data: ModelData, framework: Framework | None = None) -> list[str]:
    with pytest.raises(InvalidPropsError) as raised:
        Model(stack, "Model", data=data, framework=framework or Framework.scikit_learn())
    return list(raised.value.problems)


def test_a_directory_that_is_not_there_is_refused_with_the_commands_that_make_it(stack: cdk.Stack) -> None:
    (problem,) = refusal(stack, ModelData.from_directory(Path("no") / "model"))

    assert problem.startswith("model directory 'no/model' does not exist: train a model")
    assert "model_src/train.py" in problem
    assert "model_src/package.py <model> no/model" in problem


def test_a_directory_without_code_is_refused_where_the_framework_needs_it(
    stack: cdk.Stack, model_directory: Path
) -> None:
    shutil.rmtree(model_directory / "code")

    assert refusal(stack, ModelData.from_directory(model_directory)) == [
        f"model directory '{model_directory}' has no code/inference.py, which the framework needs"
    ]


def test_a_directory_without_code_is_taken_where_the_framework_needs_none(
    stack: cdk.Stack, model_directory: Path
) -> None:
    shutil.rmtree(model_directory / "code")

    Model(stack, "Model", data=ModelData.from_directory(model_directory), framework=Framework.custom(OWN_IMAGE))

    assert only(stack, "AWS::SageMaker::Model")


def test_a_directory_without_files_is_refused(stack: cdk.Stack, tmp_path: Path) -> None:
    (tmp_path / "empty" / "code").mkdir(parents=True)

    assert refusal(stack, ModelData.from_directory(tmp_path / "empty"), Framework.custom(OWN_IMAGE)) == [
        f"model directory '{tmp_path / 'empty'}' is empty"
    ]


def test_a_symbolic_link_is_refused(stack: cdk.Stack, model_directory: Path) -> None:
    (model_directory / "latest").symlink_to("model.joblib")

    (problem,) = refusal(stack, ModelData.from_directory(model_directory))

    assert problem == (
        f"model directory '{model_directory}': 'latest' is a symbolic link: copy what it points to, or exclude it"
    )


def test_an_object_that_is_no_archive_is_refused(stack: cdk.Stack) -> None:
    bucket = s3.Bucket.from_bucket_name(stack, "Bucket", "models")

    assert refusal(stack, ModelData.from_bucket(bucket, "v1/model.zip")) == [
        "key is 'v1/model.zip': SageMaker takes a gzipped tar archive: use a key ending in .tar.gz"
    ]


def test_a_key_that_is_known_at_deployment_is_let_through(stack: cdk.Stack) -> None:
    bucket = s3.Bucket.from_bucket_name(stack, "Bucket", "models")
    key = cdk.CfnParameter(stack, "ModelKey").value_as_string

    Model(stack, "Model", data=ModelData.from_bucket(bucket, key), framework=Framework.custom(OWN_IMAGE))

    assert only(stack, "AWS::SageMaker::Model")["PrimaryContainer"]["ModelDataUrl"] == {
        "Fn::Join": ["", ["s3://models/", {"Ref": "ModelKey"}]]
    }
