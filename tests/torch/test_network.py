"""The small network of PyTorch: what it sees, that it learns, that training is repeatable."""

from __future__ import annotations

import doctest
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tiny_model import EXAMPLES

torch = pytest.importorskip("torch", reason="PyTorch is not in uv.lock: make test-torch has it")

import torch_network  # noqa: E402
from channels import DataError, Example, read_channel  # noqa: E402
from torch_network import Network, Shape, features, load  # noqa: E402
from torch_train import Training, fit, main, train  # noqa: E402

SHAPE = Shape(buckets=4096, dimensions=16)
TRAINING = Training(epochs=20, batch_size=8)


def test_the_examples_in_docstrings_are_true() -> None:
    failed, attempted = doctest.testmod(torch_network)
    assert (failed, attempted > 0) == (0, True)


def test_features_are_the_same_in_every_process() -> None:
    code = "from torch_network import *; print([*features(['很喜欢'], Shape())])"
    sources = Path(torch_network.__file__).parent
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=sources)

    assert json.loads(there.stdout) == list(features(["很喜欢"], Shape()))


def test_wide_characters_and_case_make_no_difference() -> None:
    plain, wide = features(["win free money", " ＷＩＮ　Free\r\nｍｏｎｅｙ "], SHAPE)

    assert plain == wide


def test_it_learns(packaged: Path) -> None:
    network, _ = load(packaged)

    assert network.predict([text for text, _ in EXAMPLES]) == [label for _, label in EXAMPLES]


@pytest.mark.parametrize("text", ["", " \n", "\ud800", "a" * 10_000, "👩\u200d🚀"])
def test_any_string_gets_probabilities(packaged: Path, text: str) -> None:
    network, _ = load(packaged)

    (row,) = network.probabilities([text])

    assert sum(row) == pytest.approx(1, abs=1e-12)


def test_texts_in_a_batch_do_not_change_each_other(packaged: Path) -> None:
    network, _ = load(packaged)
    texts = ["", "win free money", "很喜欢"]

    alone = [network.probabilities([text])[0] for text in texts]

    for together, row in zip(network.probabilities(texts), alone, strict=True):
        assert together == pytest.approx(row, abs=1e-6)


def weights(network: Network) -> list[float]:
    flat: list[float] = network.output.weight.detach().flatten().tolist()
    return flat


def test_equal_data_and_choices_give_an_equal_model_and_others_another() -> None:
    examples = [Example(text=text, label=label, language="en") for text, label in EXAMPLES]
    labels = sorted({label for _, label in EXAMPLES})

    first, second = (fit(examples, labels, SHAPE, TRAINING) for _ in range(2))
    other = fit(examples, labels, SHAPE, Training(epochs=20, batch_size=8, seed=1))

    assert weights(first) == weights(second)
    assert weights(first) != weights(other)


def test_the_version_follows_from_data_and_choices(channel: Path, tmp_path: Path) -> None:
    def version(training: Training) -> object:
        arguments = {"train_directory": channel, "model_directory": tmp_path, "shape": SHAPE}
        return train(**arguments, training=training)["model_version"]  # type: ignore[arg-type]

    assert version(Training(epochs=1)) == version(Training(epochs=1)) != version(Training(epochs=2))


def test_the_command_line_trains_and_measures(
    channel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held_out = tmp_path / "test"
    held_out.mkdir()
    (held_out / "held_out.csv").write_text("text,label\n质量很差,bad\nfree money for you,spam\n", encoding="utf-8")

    main(["--train", str(channel), "--test", str(held_out), "--model-dir", str(tmp_path / "model"), "--epochs", "20"])

    metadata = json.loads((tmp_path / "model" / "metadata.json").read_text())
    printed = capsys.readouterr().out
    assert f"model_version={metadata['model_version']}" in printed
    assert "test:accuracy=1.000000" in printed
    assert metadata["metrics"]["zh"]["texts"] == 1
    assert metadata["labels"] == ["bad", "good", "not spam", "spam"]


def test_one_label_is_refused(tmp_path: Path) -> None:
    (tmp_path / "one.jsonl").write_text('{"text": "a", "label": "x"}\n')

    with pytest.raises(DataError, match="at least two labels are needed"):
        train(train_directory=tmp_path, model_directory=tmp_path / "model")


def test_held_out_texts_that_were_trained_on_are_refused(channel: Path, tmp_path: Path) -> None:
    assert read_channel(channel)
    with pytest.raises(DataError, match="nothing can be measured"):
        train(train_directory=channel, model_directory=tmp_path, test_directory=channel, training=Training(epochs=1))
