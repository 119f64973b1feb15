"""The network in ONNX: the same answers, in its own archive, where it is asked for or faster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="PyTorch is not in uv.lock: make test-torch has it")

import evaluate as evaluate_module
import formats
from formats import FormatError, package_as
from manifest import verify
from measuring import Answers, ask

from tests.tiny_model import EXAMPLES

TEXTS = [*(text for text, _ in EXAMPLES), "", " \n", "👩\u200d🚀", "a" * 10_000, "很喜欢 free"]


def test_labels_are_equal_and_scores_nearly_so(packaged: Path, tmp_path: Path) -> None:
    chosen = package_as("onnx", packaged, tmp_path, TEXTS)

    verify(chosen.directory)
    assert chosen.format == "onnx"
    assert "ms with ONNX Runtime" in chosen.reason
    native, onnx = (ask(directory, TEXTS, timed=1) for directory in (packaged, chosen.directory))
    assert native.model_version == onnx.model_version
    for one, other in zip(native.results, onnx.results, strict=True):
        assert one is not None
        assert other is not None
        assert one["label"] == other["label"]
        assert one["scores"] == pytest.approx(other["scores"], abs=1e-4)
        assert sum(other["scores"].values()) == pytest.approx(1, abs=1e-12)


def test_its_archive_serves_without_pytorch(packaged: Path, tmp_path: Path) -> None:
    directory = package_as("onnx", packaged, tmp_path, TEXTS).directory
    assert not (directory / "model.pt").exists()
    program = (
        "import sys; sys.modules.update(torch=None, sklearn=None, sagemaker_inference=None)\n"
        "import inference\n"
        f"model = inference.model_fn({str(directory)!r})\n"
        "texts = inference.input_fn('{\"texts\": [\"win free money\"]}', 'application/json')\n"
        "print(inference.output_fn(inference.predict_fn(texts, model), None)[0])\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(directory / "code")},
    )

    assert json.loads(run.stdout)["results"][0]["label"] == "spam"


@pytest.mark.parametrize(("times", "format_"), [((1.0, 2.0), "native"), ((2.0, 1.0), "onnx")])
def test_auto_takes_the_faster_one(
    packaged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: tuple[float, float], format_: str
) -> None:
    def timed(directory: Path, texts: list[str], *, timed: int) -> Answers:
        answers = ask(directory, texts, timed=timed)
        taken = times[0] if (directory / "model.pt").exists() else times[1]
        return Answers(model_version="", results=answers.results, errors=[], milliseconds=[taken])

    monkeypatch.setattr(formats, "ask", timed)

    chosen = package_as("auto", packaged, tmp_path, TEXTS[:4])

    assert chosen.format == format_
    assert chosen.reason == f"a text takes {times[1]:.3f} ms with ONNX Runtime and {times[0]:.3f} ms without"


@pytest.mark.parametrize(("missing", "problem"), [("onnxscript", "cannot be made here"), ("onnxruntime", "be served")])
def test_where_something_is_missing_auto_stays_native_and_onnx_is_refused(
    packaged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str, problem: str
) -> None:
    if missing == "onnxscript":
        monkeypatch.setitem(sys.modules, "onnxscript", None)
    else:
        (tmp_path / "onnxruntime.py").write_text("raise ImportError('no onnxruntime')")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    chosen = package_as("auto", packaged, tmp_path / "auto", TEXTS[:2])

    assert chosen.format == "native"
    assert problem in chosen.reason
    with pytest.raises(FormatError, match=f"MODEL_FORMAT is 'onnx', but it .*{problem}"):
        package_as("onnx", packaged, tmp_path / "onnx", TEXTS[:2])


def test_other_answers_are_not_taken(packaged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(directory: Path, texts: list[str], *, timed: int) -> Answers:
        answers = ask(directory, texts, timed=timed)
        results: list[Any] = list(answers.results)
        if (directory / "model.onnx").exists():
            results[0] = {**results[0], "scores": dict.fromkeys(results[0]["scores"], 0.5)}
        return Answers(model_version="", results=results, errors=[], milliseconds=[1])

    monkeypatch.setattr(formats, "ask", wrong)

    with pytest.raises(FormatError, match=r"a score that differs by more than 0\.0001"):
        package_as("onnx", packaged, tmp_path, TEXTS[:2])


def test_the_processing_job_packages_what_torch_train_wrote(packaged: Path, tmp_path: Path) -> None:
    base = tmp_path / "processing"
    (base / "input" / "candidate").mkdir(parents=True)
    with tarfile.open(base / "input" / "candidate" / "model.tar.gz", "w:gz") as tar:
        for name in ("model.pt", "metadata.json"):
            tar.add(packaged / name, name)
    (base / "input" / "test").mkdir()
    rows = (json.dumps({"text": text, "label": label}) for text, label in EXAMPLES)
    (base / "input" / "test" / "test.jsonl").write_text("\n".join(rows))

    run = subprocess.run(
        [sys.executable, evaluate_module.__file__],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PROCESSING_DIR": str(base), "MODEL_FORMAT": "onnx"},
    )

    assert run.returncode == 0, run.stderr
    evaluation = json.loads((base / "output" / "evaluation" / "evaluation.json").read_text())
    assert evaluation["format"] == "onnx"
    assert evaluation["candidate"]["accuracy"] == 1
    card = json.loads((base / "output" / "evaluation" / "model-card.json").read_text())
    assert card["model_overview"]["algorithm_type"] == "PyTorch network over hashed n-grams"
