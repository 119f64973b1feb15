from __future__ import annotations

import gzip
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from archive import read_archive
from manifest import verify
from package import main, package

from sm_constructs._archive import collect, write_tar_gz
from tests.tiny_model import train_tiny_model

CODE = {
    "code/classifier.py",
    "code/features.py",
    "code/inference.py",
    "code/manifest.py",
    "code/payloads.py",
    "code/serving.py",
    "code/textprep/__init__.py",
    "code/textprep/features.py",
    "code/textprep/language.py",
    "code/textprep/normalization.py",
}


def files_in(directory: Path) -> set[str]:
    return {path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()}


def test_a_packaged_model_has_the_model_and_all_code_that_serves_it(tmp_path: Path) -> None:
    train_tiny_model(tmp_path / "in")
    main([str(tmp_path / "in"), str(tmp_path / "out")])
    assert files_in(tmp_path / "out") == {"model.joblib", "metadata.json", "manifest.json", *CODE}


def test_old_code_does_not_survive(tmp_path: Path) -> None:
    train_tiny_model(tmp_path)
    (tmp_path / "code" / "old.py").write_text("")
    (tmp_path / "code" / "textprep" / "__pycache__").mkdir(exist_ok=True)
    package(tmp_path, tmp_path)
    assert files_in(tmp_path) == {"model.joblib", "metadata.json", "manifest.json", *CODE}
    assert not (tmp_path / "code" / "textprep" / "__pycache__").exists()


def test_a_directory_without_a_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "metadata.json").write_text("{}")
    with pytest.raises(SystemExit, match=r"has no model\.joblib: run train\.py first"):
        main([str(tmp_path), str(tmp_path / "out")])


def test_the_archive_has_what_was_packaged_and_nothing_of_the_machine(tmp_path: Path) -> None:
    train_tiny_model(tmp_path / "in")
    archives = []
    for name in ("a", "b"):
        main([str(tmp_path / "in"), str(tmp_path / name), "--archive", str(tmp_path / f"{name}.tar.gz")])
        archives.append(tmp_path / f"{name}.tar.gz")
        for file in sorted((tmp_path / "in").rglob("*"), reverse=True):
            file.chmod(0o700)
            os.utime(file, (1e9, 1e9))
    assert archives[0].read_bytes() == archives[1].read_bytes()
    with tarfile.open(archives[0]) as tar:
        members = tar.getmembers()
    assert [member.name for member in members] == sorted({"model.joblib", "metadata.json", "manifest.json", *CODE})
    assert {(each.mtime, each.uid, each.gid, each.uname, each.mode) for each in members} == {(0, 0, 0, "", 0o644)}
    read_archive(archives[0], tmp_path / "read")
    verify(tmp_path / "read")
    assert gzip.decompress(archives[0].read_bytes())[:8] == b"code/cla"


def test_the_archive_is_the_one_that_the_construct_library_makes_of_the_same_directory(tmp_path: Path) -> None:
    train_tiny_model(tmp_path / "model")
    main([str(tmp_path / "model"), str(tmp_path / "model"), "--archive", str(tmp_path / "model.tar.gz")])
    write_tar_gz(collect(tmp_path / "model"), tmp_path / "other.tar.gz")
    assert (tmp_path / "model.tar.gz").read_bytes() == (tmp_path / "other.tar.gz").read_bytes()


def test_the_code_serves_alone_without_this_project_the_toolkit_or_scikit_learn(tmp_path: Path) -> None:
    version = train_tiny_model(tmp_path)
    program = (
        "import sys; sys.modules |= dict.fromkeys(('sagemaker_inference', 'sklearn', 'scipy'))\n"
        "import inference\n"
        f"model = inference.model_fn({str(tmp_path)!r})\n"
        "texts = inference.input_fn('{\"texts\": [\"free money\"]}', 'application/json')\n"
        "print(inference.output_fn(inference.predict_fn(texts, model), None)[0])\n"
        "try:\n"
        "    inference.input_fn('{', 'application/json')\n"
        "except inference.RequestError as error:\n"
        "    print(error.status_code)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "code")}
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path, env=environment
    )
    answer, status = run.stdout.splitlines()
    assert version in answer
    assert status == "400"
