"""The small network of PyTorch: what it sees, that it learns, that training is repeatable."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tiny_model import EXAMPLES

torch = pytest.importorskip("torch", reason="PyTorch is not in uv.lock: make test-torch has it")

import torch_network  # noqa: E402
from channels import DataError, Example, read_channel  # noqa: E402
from corpus import pool  # noqa: E402
from hashing import Shape, features  # noqa: E402
from hosts import Alone  # noqa: E402
from torch_fitting import Training, fit  # noqa: E402
from torch_network import Network, load  # noqa: E402
from torch_train import main, train  # noqa: E402

SHAPE = Shape(buckets=4096, dimensions=16)
TRAINING = Training(epochs=20, batch_size=8)


def test_features_are_the_same_in_every_process() -> None:
    code = "from hashing import *; print([*features(['很喜欢'], Shape())])"
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
    corpus = pool([Example(text=text, label=label, language="en") for text, label in EXAMPLES], Alone())

    first, second = (fit(corpus, SHAPE, TRAINING, Alone()) for _ in range(2))
    other = fit(corpus, SHAPE, Training(epochs=20, batch_size=8, seed=1), Alone())

    assert weights(first) == weights(second)
    assert weights(first) != weights(other)


def test_the_version_follows_from_data_and_choices(channel: Path, tmp_path: Path) -> None:
    def version(training: Training) -> object:
        arguments = {"train_directory": channel, "model_directory": tmp_path, "shape": SHAPE}
        metadata = train(**arguments, training=training)  # type: ignore[arg-type]
        assert metadata is not None
        return metadata["model_version"]

    assert version(Training(epochs=1)) == version(Training(epochs=1)) != version(Training(epochs=2))


def test_the_command_line_trains_and_measures(
    channel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held_out = tmp_path / "test"
    held_out.mkdir()
    (held_out / "held_out.csv").write_text("text,label\n质量很差,bad\nfree money for you,spam\n", encoding="utf-8")

    directories = ["--train", str(channel), "--test", str(held_out), "--validation", str(held_out)]
    main([*directories, "--model-dir", str(tmp_path / "model"), "--epochs", "20", "--batch_size", "16"])

    metadata = json.loads((tmp_path / "model" / "metadata.json").read_text())
    printed = capsys.readouterr().out
    assert f"model_version={metadata['model_version']}" in printed
    assert "test:accuracy=1.000000" in printed
    assert "validation:macro_f1=1.000000" in printed
    losses = [float(loss) for loss in re.findall(r"train:loss=([0-9.]+)", printed)]
    assert len(losses) == 20
    assert losses[-1] < losses[0] / 2
    assert metadata["metrics"]["zh"]["texts"] == metadata["validation"]["zh"]["texts"] == 1
    assert metadata["training"]["batch_size"] == 16
    assert metadata["labels"] == ["bad", "good", "not spam", "spam"]


def test_one_label_is_refused(tmp_path: Path) -> None:
    (tmp_path / "one.jsonl").write_text('{"text": "a", "label": "x"}\n')

    with pytest.raises(DataError, match="at least two labels are needed"):
        train(train_directory=tmp_path, model_directory=tmp_path / "model")


def test_held_out_texts_that_were_trained_on_are_refused(channel: Path, tmp_path: Path) -> None:
    assert read_channel(channel)
    with pytest.raises(DataError, match="nothing can be measured"):
        train(train_directory=channel, model_directory=tmp_path, test_directory=channel, training=Training(epochs=1))


def test_choices_out_of_range_and_unknown_ones_are_refused(
    channel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, problem in (
        (
            ["--epochs", "0", "--batch-size", "0"],
            "epochs is 0: must be from 1 to 1000; batch_size is 0: must be from 1",
        ),
        (["--ngram-min", "4"], "ngram_min is 4: must not be above ngram_max, which is 3"),
        (["--momentum", "1"], "unknown: --momentum 1; hyperparameters are --ngram-min"),
    ):
        with pytest.raises(SystemExit) as caught:
            main(["--train", str(channel), "--model-dir", str(tmp_path), *arguments])
        assert caught.value.code == 2
        assert problem in capsys.readouterr().err
