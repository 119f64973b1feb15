from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import inference
import joblib
import model_versions
import pytest
import train as train_module
from channels import DataError, Example
from hyperparameters import LOSSES, Hyperparameters
from metrics import Metrics, measure, metric_lines
from model_versions import example_digest
from package import package
from train import Metadata, main, train

from tests.tiny_model import EXAMPLES

SMALL = Hyperparameters(ngram_max=2, max_features=500)


@pytest.fixture
def channel(tmp_path: Path) -> Path:
    return write_channel(tmp_path / "train", EXAMPLES)


def write_channel(directory: Path, rows: tuple[tuple[str, str], ...]) -> Path:
    directory.mkdir()
    lines = (json.dumps({"text": text, "label": label}) for text, label in rows)
    (directory / "rows.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return directory


def train_in(
    directory: Path, channel: Path, hyperparameters: Hyperparameters = SMALL, *, held_out: Path | None = None
) -> Metadata:
    metadata = train(
        train_directory=channel, model_directory=directory, test_directory=held_out, hyperparameters=hyperparameters
    )
    assert metadata is not None
    return metadata


def model_version(examples: list[Example], hyperparameters: Hyperparameters, *, hosts: int = 1) -> str:
    return model_versions.model_version(map(example_digest, examples), asdict(hyperparameters), hosts=hosts)


def test_training_writes_a_model_and_says_what_it_is(tmp_path: Path, channel: Path) -> None:
    metadata = train_in(tmp_path / "model", channel)
    written = json.loads((tmp_path / "model" / "metadata.json").read_text())
    assert written["model_version"] == metadata.model_version
    assert written["labels"] == ["bad", "good", "not spam", "spam"]
    assert written["hyperparameters"]["ngram_max"] == 2
    assert written["texts"] == len(EXAMPLES)
    assert written["scikit_learn"] == "1.9.0"
    assert written["metrics"] == {}
    model = joblib.load(tmp_path / "model" / "model.joblib")
    assert list(model.labels) == written["labels"]
    assert written["regularization"] == model.regularization > 0


def test_the_same_data_and_choices_give_the_same_version_and_the_same_bytes(tmp_path: Path, channel: Path) -> None:
    first, second = (train_in(tmp_path / name, channel) for name in "ab")
    assert first == second
    assert (tmp_path / "a" / "model.joblib").read_bytes() == (tmp_path / "b" / "model.joblib").read_bytes()


@pytest.mark.parametrize(
    "changes",
    [
        {"ngram_max": 3},
        {"word_ngram_max": 1},
        {"max_features": 501},
        {"regularization": 0.3},
        {"loss": "hinge"},
        {"text_features": True},
        {"seed": 1},
    ],
)
def test_each_hyperparameter_changes_the_version(changes: dict[str, object]) -> None:
    examples = [Example(text="x", label="y", language="en")]
    chosen = Hyperparameters(**{"ngram_max": 2, "max_features": 500, **changes})  # type: ignore[arg-type]
    assert model_version(examples, chosen) != model_version(examples, SMALL)


def test_data_changes_the_version() -> None:
    versions = {
        model_version([Example(text=text, label=label, language="en")], SMALL)
        for text, label in (("a", "b"), ("ab", ""), ("a", "c"), ("b", "b"))
    }
    assert len(versions) == 4


def test_neither_the_order_of_the_data_nor_its_files_change_the_version_or_the_model(tmp_path: Path) -> None:
    backwards = tmp_path / "backwards"
    backwards.mkdir()
    for number, (text, label) in enumerate(reversed(EXAMPLES)):
        row = json.dumps({"text": text, "label": label})
        (backwards / f"shard-{number:05}.jsonl").write_text(row, encoding="utf-8")
    first = train_in(tmp_path / "a", write_channel(tmp_path / "train", EXAMPLES))
    second = train_in(tmp_path / "b", backwards)
    assert first.model_version == second.model_version
    assert (tmp_path / "a" / "model.joblib").read_bytes() == (tmp_path / "b" / "model.joblib").read_bytes()


def test_the_number_of_hosts_changes_the_version() -> None:
    assert model_version([], SMALL) != model_version([], SMALL, hosts=2) != model_version([], SMALL, hosts=3)


def test_code_changes_the_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "features.py").write_text("one")
    monkeypatch.setattr(model_versions, "__file__", str(tmp_path / "train.py"))
    before = model_version([], SMALL)
    (tmp_path / "features.py").write_text("two")
    assert model_version([], SMALL) != before


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_gives_probabilities_that_sum_to_one(tmp_path: Path, channel: Path, loss: str) -> None:
    train_in(tmp_path / "model", channel, Hyperparameters(loss=loss, max_features=500, regularization=0.01))
    package(tmp_path / "model", tmp_path / "packaged")
    prediction = inference.predict_fn([text for text, _ in EXAMPLES], inference.model_fn(str(tmp_path / "packaged")))
    assert not isinstance(prediction, inference.RequestError)
    assert [result["label"] for result in prediction["results"]] == [label for _, label in EXAMPLES]
    for result in prediction["results"]:
        assert sum(result["scores"].values()) == pytest.approx(1, abs=1e-12)
        assert all(0 <= score <= 1 for score in result["scores"].values())


@pytest.mark.parametrize("loss", LOSSES)
def test_coefficients_lie_in_memory_as_predicting_reads_them(tmp_path: Path, channel: Path, loss: str) -> None:
    """The labels of a feature together: otherwise each text would read, or each call copy, far more than it needs."""
    train_in(tmp_path, channel, Hyperparameters(loss=loss, max_features=100))
    model = joblib.load(tmp_path / "model.joblib")
    for kind, weights in zip(model.kinds, model.weights, strict=True):
        assert weights.shape == (len(kind.columns), len(model.labels))
        assert weights.flags.c_contiguous


def test_no_more_features_of_a_kind_are_used_than_asked_for(channel: Path, tmp_path: Path) -> None:
    train_in(tmp_path, channel, Hyperparameters(ngram_min=2, ngram_max=2, word_ngram_max=1, max_features=30))
    characters, words = (kind.columns for kind in joblib.load(tmp_path / "model.joblib").kinds)
    assert len(characters) == len(words) == 30
    assert {len(ngram) for ngram in characters} == {2}


def test_held_out_texts_are_measured_in_all_and_by_language(tmp_path: Path, channel: Path) -> None:
    held_out = write_channel(
        tmp_path / "test",
        (
            ("很喜欢这本书", "good"),
            ("很失望，太差了", "bad"),
            ("win free money", "spam"),
            ("agenda of the meeting", "spam"),
        ),
    )
    metadata = train_in(tmp_path, channel, Hyperparameters(), held_out=held_out)
    assert metadata.metrics["zh"] == Metrics(texts=2, accuracy=1, macro_f1=1)
    assert metadata.metrics["en"].accuracy == 0.5
    assert metadata.metrics["all"].accuracy == 0.75


def test_held_out_texts_that_were_trained_on_are_not_measured(tmp_path: Path, channel: Path) -> None:
    held_out = write_channel(tmp_path / "test", (EXAMPLES[0], ("new and free money", "spam")))
    metadata = train_in(tmp_path, channel, Hyperparameters(), held_out=held_out)
    assert metadata.metrics["all"].texts == 1


def test_held_out_texts_that_were_all_trained_on_are_refused(tmp_path: Path, channel: Path) -> None:
    with pytest.raises(DataError, match="all its texts are in the training data"):
        train(train_directory=channel, model_directory=tmp_path, test_directory=channel)


def test_a_label_of_another_language_counts_as_an_error() -> None:
    class Spam:
        def predict(self, texts: list[str]) -> list[str]:
            return ["spam" if text == "wrong" else "good" for text in texts]

    examples = [Example(text=text, label="good", language="zh") for text in ("right", "wrong", "right 2", "right 3")]
    measured = measure(Spam(), examples)["zh"]
    assert measured.accuracy == 0.75
    assert measured.macro_f1 == pytest.approx(2 * 0.75 / 1.75)


def test_metrics_are_printed_as_metric_definitions_find_them() -> None:
    lines = "\n".join(
        metric_lines(
            {"all": Metrics(texts=2, accuracy=0.5, macro_f1=0.25), "zh": Metrics(texts=1, accuracy=1, macro_f1=1)}
        )
    )
    assert re.findall("test:macro_f1=([0-9.]+)", lines) == ["0.250000"]
    assert re.findall("test:accuracy=([0-9.]+)", lines) == ["0.500000"]
    assert re.findall("test:zh:macro_f1=([0-9.]+)", lines) == ["1.000000"]


def test_one_label_alone_is_refused(tmp_path: Path) -> None:
    channel = write_channel(tmp_path / "train", (("a", "good"), ("b", "good")))
    with pytest.raises(DataError, match="all texts are labelled 'good': at least two labels"):
        train_in(tmp_path, channel)


def test_no_text_at_all_is_refused(tmp_path: Path) -> None:
    channel = write_channel(tmp_path / "train", ())
    with pytest.raises(DataError, match="there are no texts: at least two labels"):
        train_in(tmp_path, channel)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_label_with_one_text_is_trained_with_every_loss(tmp_path: Path, loss: str) -> None:
    channel = write_channel(tmp_path / "train", (("a", "good"), ("b", "good"), ("c", "bad")))
    assert train_in(tmp_path / "model", channel, Hyperparameters(loss=loss)).labels == ("bad", "good")
    package(tmp_path / "model", tmp_path / "packaged")
    prediction = inference.predict_fn(["b", "c"], inference.model_fn(str(tmp_path / "packaged")))
    assert not isinstance(prediction, inference.RequestError)
    assert [result["label"] for result in prediction["results"]] == ["good", "bad"]


def test_in_script_mode_sagemaker_says_where_everything_is(
    tmp_path: Path, channel: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    held_out = write_channel(tmp_path / "test", (("free money now", "spam"),))
    monkeypatch.setenv("SM_CHANNEL_TRAIN", str(channel))
    monkeypatch.setenv("SM_CHANNEL_TEST", str(held_out))
    monkeypatch.setenv("SM_CHANNEL_VALIDATION", str(write_channel(tmp_path / "validation", (("太差", "spam"),))))
    monkeypatch.setenv("SM_MODEL_DIR", str(tmp_path / "model"))
    numbers = ["--ngram_max", "2", "--word-ngram-max", "1", "--max-features", "200", "--regularization", "0.5"]
    main([*numbers, "--loss", "log_loss", "--text-features", "true", "--seed", "7"])
    written = json.loads((tmp_path / "model" / "metadata.json").read_text())
    assert written["hyperparameters"] == {
        "ngram_min": 1,
        "ngram_max": 2,
        "word_ngram_max": 1,
        "max_features": 200,
        "regularization": 0.5,
        "loss": "log_loss",
        "text_features": True,
        "seed": 7,
    }
    printed = capsys.readouterr().out
    assert f"model_version={written['model_version']}" in printed
    assert "test:accuracy=1.000000" in printed
    assert re.findall("^validation:macro_f1=([0-9.]+)$", printed, re.MULTILINE) == ["0.000000"]
    assert re.findall("^validation:accuracy=([0-9.]+)$", printed, re.MULTILINE) == ["0.000000"]
    assert written["metrics"]["all"]["texts"] == written["validation"]["all"]["texts"] == 1


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        (["--learning-rate", "3"], 2, "unknown: --learning-rate 3; hyperparameters are --ngram-min, --ngram-max"),
        (["--ngram", "3"], 2, "unknown: --ngram 3"),
        (["--loss", "l2"], 2, "loss is 'l2': must be one of log_loss, hinge, squared_hinge"),
        (["--text-features", "1"], 2, "--text-features: '1' must be true or false"),
        (["--ngram-min", "x"], 2, "invalid int value: 'x'"),
        (["--text_features", "True", "--loss", "l2"], 2, "loss is 'l2'"),
        (["--train", "/nowhere"], 1, "/nowhere has no *.jsonl or *.csv file"),
    ],
)
def test_the_command_line_says_what_is_wrong_and_ends(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, problem: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--train", str(tmp_path), "--model-dir", str(tmp_path / "model"), *arguments])
    message = str(caught.value.code) if code == 1 else capsys.readouterr().err
    assert problem in message
    assert (caught.value.code == 2) == (code == 2)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(("option", "variable"), [("--train", "SM_CHANNEL_TRAIN"), ("--model-dir", "SM_MODEL_DIR")])
def test_a_missing_directory_is_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, option: str, variable: str
) -> None:
    monkeypatch.setenv("SM_CHANNEL_TRAIN", "somewhere")
    monkeypatch.setenv("SM_MODEL_DIR", "somewhere")
    monkeypatch.setenv(variable, "")
    with pytest.raises(SystemExit):
        main([])
    assert f"give {option} or set {variable}" in capsys.readouterr().err


def test_it_runs_as_a_script_from_any_directory(tmp_path: Path, channel: Path) -> None:
    script = Path(train_module.__file__)
    run = subprocess.run(
        [sys.executable, script, "--train", channel, "--model-dir", tmp_path / "model", "--max-features", "100"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={},
    )
    assert run.stdout.startswith("model_version=")
    assert (tmp_path / "model" / "model.joblib").is_file()


def test_an_interrupted_training_goes_on_to_the_model_that_it_would_have_been(tmp_path: Path, channel: Path) -> None:
    # Of three regularizations and three folds each, killed in the fifth: ended as by a signal, without a chance.
    dies = (
        "import os, sys, fitting, train\n"
        "solve, done = fitting._solve, []\n"
        "def dying(*arguments):\n"
        "    done.append(1) if len(done) < 4 else os._exit(137)\n"
        "    return solve(*arguments)\n"
        "fitting._solve = dying\n"
        "train.main(sys.argv[1:])\n"
    )

    def run(name: str, *program: str) -> tuple[int, str]:
        options = ["--train", channel, "--model-dir", tmp_path / name, "--max-features", "500", "--ngram-max", "2"]
        here = Path(train_module.__file__).parent
        process = subprocess.run(
            [sys.executable, *program, *map(str, options), "--checkpoint-dir", str(tmp_path / "checkpoints")],
            stdout=subprocess.PIPE,
            text=True,
            check=False,
            cwd=here,
        )
        return process.returncode, process.stdout

    train_in(tmp_path / "at-once", channel)
    assert run("never", "-c", dies) == (137, "")

    code, printed = run("resumed", "train.py")

    assert code == 0
    assert re.findall("resumed with the scores of regularization ([0-9.]+) and fold ([0-9])", printed) == [
        ("3.33333", "0"),
        ("3.33333", "1"),
        ("3.33333", "2"),
        ("1", "0"),
    ]
    for file in ("metadata.json", "model.joblib"):
        assert (tmp_path / "resumed" / file).read_bytes() == (tmp_path / "at-once" / file).read_bytes()


def test_what_another_training_has_kept_is_not_used(
    tmp_path: Path, channel: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(seed: str) -> str:
        kept = ["--checkpoint-dir", str(tmp_path / "checkpoints")]
        main(["--train", str(channel), "--model-dir", str(tmp_path / "model"), *kept, "--seed", seed])
        return capsys.readouterr().out

    assert "resumed" not in run("1")
    assert "resumed" not in run("2")
    assert run("1").count("resumed") == 9
