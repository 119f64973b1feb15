"""The PyTorch model behind AWS's own toolkit, loaded as the PyTorch container loads it.

That container's handler (sagemaker-pytorch-inference-toolkit) is the toolkit's DefaultHandlerService with default
functions for tensors, all of which the archive's ``code/inference.py`` replaces.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests.unit.model_src.test_serving import PROGRAM, REQUESTS

pytest.importorskip("torch", reason="PyTorch is not in uv.lock: make test-torch has it")


def test_a_packaged_model_has_the_model_and_all_code_that_serves_it(packaged: Path) -> None:
    found = {path.relative_to(packaged).as_posix() for path in packaged.rglob("*") if path.suffix != ".pyc"}

    assert found >= {
        "model.pt",
        "metadata.json",
        "code/inference.py",
        "code/hashing.py",
        "code/torch_network.py",
        "manifest.json",
    }
    assert "code/torch_inference.py" not in found


def test_a_changed_model_is_refused_before_it_is_loaded(packaged: Path, tmp_path: Path) -> None:
    shutil.copytree(packaged, tmp_path / "model")
    (tmp_path / "model" / "model.pt").write_bytes(b"not a model")

    run = subprocess.run(
        [sys.executable, "-c", "import inference; inference.model_fn('..')"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path / "model" / "code",
    )

    assert "ManifestError: this is not the model that was packaged: model.pt differs" in run.stderr


@pytest.fixture(scope="module")
def served(packaged: Path) -> Any:
    requests = [
        {"body": request.body, "Content-Type": request.content_type, "Accept": request.accept} for request in REQUESTS
    ]
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, packaged],
        input=json.dumps(requests),
        capture_output=True,
        text=True,
        check=False,
        cwd=packaged,
        env={**os.environ, "PYTHONPATH": str(packaged / "code"), "SAGEMAKER_PROGRAM": "inference.py"},
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.parametrize("index", range(len(REQUESTS)), ids=[str(list(asdict(each).values())[:3]) for each in REQUESTS])
def test_the_toolkit_answers_as_the_scikit_learn_model_does(served: Any, index: int) -> None:
    expected, answer = REQUESTS[index], served["answers"][index]

    assert answer["status"] == expected.status
    assert answer.get("media_type") == expected.media_type
    assert expected.contains in answer["body"]


def test_the_answer_is_the_endpoints_payload(served: Any, packaged: Path) -> None:
    answer = json.loads(served["answers"][0]["body"])

    assert answer["model_version"] == json.loads((packaged / "metadata.json").read_text())["model_version"]
    (result,) = answer["results"]
    assert result["score"] == result["scores"][result["label"]] == max(result["scores"].values())
    assert sum(result["scores"].values()) == pytest.approx(1, abs=1e-12)


def test_what_serves_is_the_code_in_the_model_directory(served: Any, packaged: Path) -> None:
    assert served["files"][0] == str(packaged / "code" / "inference.py")


def test_the_code_serves_without_scikit_learn_and_the_toolkit(packaged: Path) -> None:
    program = (
        "import sys; sys.modules.update(sagemaker_inference=None, sklearn=None)\n"
        "import inference\n"
        f"model = inference.model_fn({str(packaged)!r})\n"
        "texts = inference.input_fn('{\"texts\": [\"win free money\"]}', 'application/json')\n"
        "print(inference.output_fn(inference.predict_fn(texts, model), None)[0])\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(packaged / "code")}
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=packaged, env=environment
    )

    assert json.loads(run.stdout)["results"][0]["label"] == "spam"
