"""The processing job, run as SageMaker runs it: a process that finds its files below a directory."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import evaluate as evaluate_module
import pytest
from archive import read_archive, write_archive
from judged import judge
from manifest import verify
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_recall_fscore_support

from tests.tiny_model import train_tiny_model

ROWS = [
    ("很喜欢这本书，推荐", "good"),
    ("太失望了，质量太差", "bad"),
    ("win free money", "spam"),
    ("agenda of the meeting", "not spam"),
    ("the meeting is moved", "spam"),
    ("这是什么", "问题"),
]

# A model in service that was made by other hands: it has other labels, one script, and fails at what it cannot read.
STRANGER = """
import json
def model_fn(directory): return "stranger"
def input_fn(body, content_type): return json.loads(body)["texts"]
def predict_fn(texts, model):
    if any("money" in text for text in texts): raise ValueError("no money here")
    print("noise on the output")
    return {"results": [{"label": "good" if "喜欢" in text else "other", "score": 1, "scores": {}} for text in texts]}
def output_fn(prediction, accept): return json.dumps(prediction)
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return what a training job wrote: an archive without code."""
    directory = tmp_path_factory.mktemp("trained")
    train_tiny_model(directory)
    with tarfile.open(directory / "model.tar.gz", "w:gz") as tar:
        for name in ("model.joblib", "metadata.json"):
            tar.add(directory / name, name)
    return directory / "model.tar.gz"


@pytest.fixture
def base(tmp_path: Path, trained: Path) -> Path:
    base = tmp_path / "processing"
    (base / "input" / "candidate").mkdir(parents=True)
    (base / "input" / "candidate" / "model.tar.gz").write_bytes(trained.read_bytes())
    (base / "input" / "test").mkdir()
    lines = (json.dumps({"text": text, "label": label}, ensure_ascii=False) for text, label in ROWS)
    (base / "input" / "test" / "test.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "output").mkdir()
    return base


def run(base: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, evaluate_module.__file__],
        check=False,
        capture_output=True,
        text=True,
        cwd=base,
        env={**os.environ, "PROCESSING_DIR": str(base), **environment},
    )


def report(base: Path, name: str = "evaluation.json") -> Any:
    return json.loads((base / "output" / "evaluation" / name).read_text(encoding="utf-8"))


def in_service(base: Path, script: str | bytes) -> None:
    directory = base / "input" / "in-service"
    directory.mkdir(parents=True)
    if isinstance(script, bytes):
        (directory / "model.tar.gz").write_bytes(script)
        return
    content = script.encode()
    member = tarfile.TarInfo("code/inference.py")
    member.size = len(content)
    with tarfile.open(directory / "model.tar.gz", "w:gz") as tar:
        tar.addfile(member, io.BytesIO(content))


def test_the_candidate_is_packaged_and_measured_through_its_own_code(base: Path, tmp_path: Path) -> None:
    ran = run(base, TRAINING_ID="t-1", DATASET="datasets/reviews/", DATASET_HASH="abc")

    assert ran.returncode == 0, ran.stderr
    archive = base / "output" / "model" / "model.tar.gz"
    read_archive(archive, tmp_path / "unpacked")
    verify(tmp_path / "unpacked")
    version = json.loads((tmp_path / "unpacked" / "metadata.json").read_text())["model_version"]
    evaluation = report(base)
    assert {name: evaluation[name] for name in ("training_id", "dataset", "dataset_hash", "format", "in_service")} == {
        "training_id": "t-1",
        "dataset": "datasets/reviews/",
        "dataset_hash": "abc",
        "format": "native",
        "in_service": None,
    }
    candidate = evaluation["candidate"]
    assert candidate["model_version"] == evaluation["model_version"] == version
    assert candidate["texts"] == len(ROWS)
    assert (candidate["unanswered"], candidate["error"]) == (0, None)
    assert candidate["accuracy"] == pytest.approx(4 / 6)
    assert candidate["size_bytes"] == archive.stat().st_size
    assert 0 < candidate["latency_ms"]["p50"] <= candidate["latency_ms"]["p95"]
    assert {name: each["texts"] for name, each in candidate["languages"].items()} == {"zh": 3, "en": 3}
    assert f"candidate: accuracy={4 / 6:.6f} macro_f1={candidate['macro_f1']:.6f}" in ran.stdout


def test_a_label_that_the_model_never_learned_counts_as_wrong(base: Path) -> None:
    assert run(base).returncode == 0

    candidate = report(base)["candidate"]
    assert candidate["per_class"]["问题"] == {"precision": 0, "recall": 0, "f1": 0, "support": 1}
    matrix = candidate["confusion_matrix"]
    assert matrix["labels"] == ["bad", "good", "not spam", "spam", "问题"]
    assert sum(map(sum, matrix["rows"])) == len(ROWS)
    assert sum(matrix["rows"][4]) == 1
    assert matrix["rows"][4][4] == 0


def test_the_same_input_gives_the_same_archive(base: Path) -> None:
    hashes = set()
    for _ in range(2):
        assert run(base).returncode == 0
        hashes.add(hashlib.sha256((base / "output" / "model" / "model.tar.gz").read_bytes()).hexdigest())
    assert len(hashes) == 1


def test_a_model_in_service_with_other_labels_that_fails_at_a_text_is_measured_on_the_same_texts(base: Path) -> None:
    in_service(base, STRANGER)

    ran = run(base)

    assert ran.returncode == 0, ran.stderr
    measured = report(base)["in_service"]
    assert (measured["texts"], measured["unanswered"]) == (len(ROWS), 1)
    assert measured["error"] == "ValueError: no money here"
    assert measured["accuracy"] == pytest.approx(1 / 6)
    assert measured["model_version"] is None
    assert "other" in measured["confusion_matrix"]["labels"]


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("def model_fn(directory): raise SystemExit(3)", "exit code 3"),
        (STRANGER.replace("if any", "if texts or any"), "the model answers no text: ValueError: no money here"),
        (STRANGER.replace('"label": "good" if', '"name": "good" if'), "the model answers no text: KeyError: 'label'"),
        (b"not an archive", "cannot be unpacked"),
    ],
)
def test_a_model_in_service_that_does_not_work_here_answers_nothing_and_the_job_goes_on(
    base: Path, script: str | bytes, error: str
) -> None:
    in_service(base, script)

    assert run(base).returncode == 0
    evaluation = report(base)
    assert evaluation["candidate"]["accuracy"] > 0.5
    assert (evaluation["in_service"]["accuracy"], evaluation["in_service"]["unanswered"]) == (0, len(ROWS))
    assert error in evaluation["in_service"]["error"]
    assert evaluation["in_service"]["latency_ms"] == {"p50": None, "p95": None}


def test_the_packaged_model_itself_can_be_the_one_in_service(base: Path, tmp_path: Path) -> None:
    train_tiny_model(tmp_path / "served")
    (base / "input" / "in-service").mkdir()
    write_archive(tmp_path / "served", base / "input" / "in-service" / "model.tar.gz")

    assert run(base).returncode == 0
    evaluation = report(base)
    timeless = [{**evaluation[name], "latency_ms": None} for name in ("candidate", "in_service")]
    assert timeless[0] == timeless[1]


@pytest.mark.parametrize(
    ("break_it", "problem"),
    [
        (lambda base: (base / "input/candidate/model.tar.gz").unlink(), "there is no "),
        (lambda base: (base / "input/candidate/model.tar.gz").write_bytes(b"x"), "model.tar.gz cannot be unpacked"),
        (lambda base: (base / "input/test/test.jsonl").write_text("{"), "the test data cannot be used: "),
        (lambda base: (base / "input/test/test.jsonl").write_text(""), "the test data has no texts"),
        (lambda base: (base / "input/test/test.jsonl").unlink(), "the test data cannot be used: "),
    ],
)
def test_an_error_is_one_clear_line_at_the_end_and_the_jobs_exit_message(
    base: Path, break_it: Any, problem: str
) -> None:
    break_it(base)

    ran = run(base)

    assert ran.returncode == 1
    last = ran.stderr.splitlines()[-1]
    assert last.startswith("error: ")
    assert problem in last
    assert "Traceback" not in ran.stderr
    assert (base.parent / "output" / "message").read_text() == last.removeprefix("error: ")


def test_a_candidate_that_cannot_be_loaded_fails_the_job(base: Path, tmp_path: Path) -> None:
    (tmp_path / "model.joblib").write_bytes(b"not a model")
    (tmp_path / "metadata.json").write_text('{"model_version": "1"}')
    with tarfile.open(base / "input" / "candidate" / "model.tar.gz", "w:gz") as tar:
        for name in ("model.joblib", "metadata.json"):
            tar.add(tmp_path / name, name)

    ran = run(base)

    assert ran.returncode == 1
    assert "error: the new model cannot be measured: the model cannot be loaded: " in ran.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        ("onnx", "MODEL_FORMAT is 'onnx', but model.joblib has no form in ONNX: nearly all of a text's time goes into"),
        ("keras", "MODEL_FORMAT is 'keras': must be one of native, onnx, auto"),
    ],
)
def test_a_format_that_the_model_cannot_have_is_refused(base: Path, wanted: str, problem: str) -> None:
    ran = run(base, MODEL_FORMAT=wanted)

    assert ran.returncode == 1
    assert problem in ran.stderr.splitlines()[-1]


def test_auto_keeps_the_numpy_classifier_and_says_why(base: Path) -> None:
    assert run(base, MODEL_FORMAT="auto").returncode == 0
    evaluation = report(base)
    assert evaluation["format"] == "native"
    assert "model.joblib has no form in ONNX: nearly all of a text's time" in evaluation["format_reason"]


def test_the_model_registry_gets_the_metrics_that_it_shows(base: Path) -> None:
    assert run(base).returncode == 0

    (metrics,) = report(base, "metrics.json").values()
    assert list(report(base, "metrics.json")) == ["multiclass_classification_metrics"]
    assert metrics["confusion_matrix"]["spam"] == {"bad": 0, "good": 0, "not spam": 1, "spam": 1, "问题": 0}
    assert metrics["accuracy"]["value"] == pytest.approx(4 / 6)
    assert metrics["accuracy"]["standard_deviation"] == pytest.approx((4 / 6 * 2 / 6 / 6) ** 0.5)
    assert metrics["weighted_recall"] == {"value": pytest.approx(4 / 6), "standard_deviation": "NaN"}
    assert set(metrics) == {
        "confusion_matrix",
        "accuracy",
        "weighted_recall",
        "weighted_precision",
        "weighted_f1",
        "macro_f1",
    }


def test_the_model_card_has_the_fields_of_sagemakers(base: Path) -> None:
    in_service(base, STRANGER)
    assert run(base, DATASET="datasets/reviews/", TRAINING_ID="t-1").returncode == 0

    card = report(base, "model-card.json")
    assert set(card) == {
        "model_overview",
        "intended_uses",
        "training_details",
        "evaluation_details",
        "additional_information",
    }
    assert card["model_overview"]["problem_type"] == "Multiclass Classification"
    assert card["intended_uses"]["risk_rating"] in ("High", "Medium", "Low", "Unknown")
    job = card["training_details"]["training_job_details"]
    assert {"name": "loss", "value": "squared_hinge"} in job["user_provided_hyper_parameters"]
    assert all(isinstance(each["value"], str) for each in job["user_provided_hyper_parameters"])
    assert job["training_datasets"] == ["datasets/reviews/"]
    assert [each["name"] for each in card["evaluation_details"]] == [
        "Held-out texts",
        "The model in service on the same texts",
    ]
    for evaluation in card["evaluation_details"]:
        for group in evaluation["metric_groups"]:
            for metric in group["metric_data"]:
                assert metric["type"] in ("number", "matrix")
                assert isinstance(metric["value"], (int, float) if metric["type"] == "number" else list)
    assert card["additional_information"]["custom_details"]["training_id"] == "t-1"


def test_the_confusion_matrix_is_a_picture(base: Path) -> None:
    assert run(base).returncode == 0

    picture = (base / "output" / "evaluation" / "confusion-matrix.svg").read_text(encoding="utf-8")
    assert picture.startswith("<svg ")
    assert "accuracy 0.667" in picture
    assert ">问题<" in picture


def test_scores_are_those_of_scikit_learn() -> None:
    truth = ["a", "b", "c", "a", "b", "a", "d"]
    predicted = ["a", "c", "c", "b", "b", "e", "a"]

    judged = judge(truth, predicted)

    labels = list(judged.labels)
    assert judged.accuracy == accuracy_score(truth, predicted)
    assert judged.macro_f1 == pytest.approx(f1_score(truth, predicted, labels=sorted(set(truth)), average="macro"))
    assert [list(row) for row in judged.matrix] == confusion_matrix(truth, predicted, labels=labels).tolist()
    expected = precision_recall_fscore_support(truth, predicted, labels=labels, zero_division=0)
    found = [(each.precision, each.recall, each.f1, each.support) for each in judged.per_label]
    for column, values in enumerate(zip(*found, strict=True)):
        assert list(values) == pytest.approx(list(expected[column]))
