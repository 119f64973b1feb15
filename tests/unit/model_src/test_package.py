from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from package import main, package

from tests.tiny_model import train_tiny_model

CODE = {
    "code/classifier.py",
    "code/features.py",
    "code/inference.py",
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
    assert files_in(tmp_path / "out") == {"model.joblib", "metadata.json", *CODE}


def test_old_code_does_not_survive(tmp_path: Path) -> None:
    train_tiny_model(tmp_path)
    (tmp_path / "code" / "old.py").write_text("")
    (tmp_path / "code" / "textprep" / "__pycache__").mkdir(exist_ok=True)
    package(tmp_path, tmp_path)
    assert files_in(tmp_path) == {"model.joblib", "metadata.json", *CODE}
    assert not (tmp_path / "code" / "textprep" / "__pycache__").exists()


def test_a_directory_without_a_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "metadata.json").write_text("{}")
    with pytest.raises(SystemExit, match=r"has no model\.joblib: run train\.py first"):
        main([str(tmp_path), str(tmp_path / "out")])


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
