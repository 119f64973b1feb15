"""What several processes train together, and what is trained after an interruption, is what one trains at once."""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not in uv.lock: make test-torch has it")

import torch_train  # noqa: E402
from hashing import Shape  # noqa: E402
from torch_fitting import CHECKPOINT, Training  # noqa: E402
from torch_network import load  # noqa: E402

from tests.tiny_model import EXAMPLES  # noqa: E402

HOSTS = ["127.0.0.1", "127.0.0.2"]
SHAPE = Shape(buckets=4096, dimensions=16)


@pytest.fixture(autouse=True)
def port(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("DATA_PARALLEL_PORT", str(server.getsockname()[1]))


def start(host: str | None, channel: Path, model: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {"SM_HOSTS": json.dumps(HOSTS), "SM_CURRENT_HOST": host} if host else {}
    options = [
        "--train",
        str(channel),
        "--model-dir",
        str(model),
        "--buckets",
        "4096",
        "--dimensions",
        "16",
        *arguments,
    ]
    return subprocess.Popen(
        [sys.executable, torch_train.__file__, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )


def together(parts: list[Path], model: Path, *arguments: str) -> list[tuple[str, str]]:
    hosts = [start(host, part, model, *arguments) for host, part in zip(HOSTS, parts, strict=True)]
    printed = [host.communicate(timeout=120) for host in hosts]
    assert [host.returncode for host in hosts] == [0, 0], printed
    return printed


def write(file: Path, rows: list[tuple[str, str]]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps({"text": text, "label": label}) for text, label in rows)
    file.write_text("\n".join(lines), encoding="utf-8")
    return file.parent


def state(model: Path) -> dict[str, Any]:
    network, _ = load(model)
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def generated(count: int) -> list[tuple[str, str]]:
    """Return texts of three labels that share most of their words, so that scores stay below 1."""
    dice = random.Random(5)  # noqa: S311
    words = {"a": "red green blue", "b": "green blue black", "c": "blue black red"}
    rows = []
    for number in range(count):
        label = dice.choice("abc")
        noise = dice.choices(["red", "green", "blue", "black", "white", "grey"], k=4)
        rows.append((" ".join([*dice.choices(words[label].split(), k=3), *noise, str(number)]), label))
    return rows


def test_two_processes_train_the_network_of_one(tmp_path: Path) -> None:
    rows = generated(900)
    test = write(tmp_path / "test" / "t.jsonl", rows[600:])
    whole = write(tmp_path / "whole" / "w.jsonl", rows[:600])
    parts = [
        write(tmp_path / "first" / "shard-00000.jsonl", rows[:350]),
        write(tmp_path / "second" / "shard-00001.jsonl", rows[350:600]),
    ]
    arguments = ["--epochs", "4", "--validation", str(test)]

    (first, _), (second, _) = together(parts, tmp_path / "two", *arguments)
    one = start(None, whole, tmp_path / "one", *arguments)
    assert one.communicate(timeout=60)[0]

    metadata = [json.loads((tmp_path / name / "metadata.json").read_text()) for name in ("one", "two")]
    scores = [each["validation"]["all"]["macro_f1"] for each in metadata]
    assert 0.4 < scores[0] < 1
    assert scores[1] == pytest.approx(scores[0], abs=0.005)
    assert [each["hosts"] for each in metadata] == [1, 2]
    assert "127.0.0.2 is done: 127.0.0.1 writes the model" in second
    assert "train:loss" not in second
    assert first.count("train:loss=") == 4
    for name, tensor in state(tmp_path / "one").items():
        assert torch.allclose(tensor, state(tmp_path / "two")[name], atol=1e-3), name


def test_a_host_without_a_text_in_a_batch_takes_part(tmp_path: Path) -> None:
    parts = [
        write(tmp_path / "first" / "a.jsonl", list(EXAMPLES[:-1])),
        write(tmp_path / "second" / "b.jsonl", list(EXAMPLES[-1:])),
    ]

    together(parts, tmp_path / "model", "--epochs", "2", "--batch-size", "4")

    assert json.loads((tmp_path / "model" / "metadata.json").read_text())["texts"] == len(EXAMPLES)


@pytest.mark.parametrize("hosts", [1, 2])
def test_an_interrupted_training_goes_on_to_what_it_would_have_been(channel: Path, tmp_path: Path, hosts: int) -> None:
    kept = str(tmp_path / "checkpoints")
    parts = [
        write(tmp_path / "first" / "a.jsonl", list(EXAMPLES[:20])),
        write(tmp_path / "second" / "b.jsonl", list(EXAMPLES[20:])),
    ]

    def run(name: str, *arguments: str) -> str:
        options = ["--epochs", "5", "--batch-size", "8", *arguments]
        if hosts == 2:
            return together(parts, tmp_path / name, *options)[0][0]
        process = start(None, channel, tmp_path / name, *options)
        printed, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        return printed

    run("at-once")
    run("kept", "--checkpoint-dir", kept)
    interrupted = torch.load(Path(kept, CHECKPOINT), weights_only=True)
    assert interrupted["epoch"] == 5
    shutil.rmtree(kept)

    # What it leaves after the third epoch, of a training that is to have five.
    code = (
        "import sys, torch_fitting, torch_train\n"
        "save = torch_fitting.Checkpoints.save\n"
        "def interrupted(self, epoch, network, optimizer):\n"
        "    save(self, epoch, network, optimizer)\n"
        "    if epoch == 3: raise KeyboardInterrupt\n"
        "torch_fitting.Checkpoints.save = interrupted\n"
        "torch_train.main(sys.argv[1:])\n"
    )
    options = ["--model-dir", str(tmp_path / "never"), "--buckets", "4096", "--dimensions", "16"]
    options += ["--epochs", "5", "--batch-size", "8", "--checkpoint-dir", kept]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, "--train", str(part), *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=Path(torch_train.__file__).parent,
            env={
                **os.environ,
                "OMP_NUM_THREADS": "1",
                **({"SM_HOSTS": json.dumps(HOSTS), "SM_CURRENT_HOST": host} if hosts == 2 else {}),
            },
        )
        for host, part in (zip(HOSTS, parts, strict=True) if hosts == 2 else [("", channel)])
    ]
    assert all(process.wait(timeout=60) for process in processes)
    assert not (tmp_path / "never").exists()

    printed = run("resumed", "--checkpoint-dir", kept)

    assert "resumed after epoch 3" in printed
    assert [line.split()[0] for line in printed.splitlines() if "train:loss" in line] == ["epoch=4", "epoch=5"]
    for name, tensor in state(tmp_path / "at-once").items():
        assert torch.equal(tensor, state(tmp_path / "resumed")[name]), name


def test_the_checkpoint_of_another_training_is_not_used(
    channel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def train(epochs: int) -> None:
        torch_train.train(
            train_directory=channel,
            model_directory=tmp_path / "model",
            checkpoint_directory=tmp_path / "checkpoints",
            shape=SHAPE,
            training=Training(epochs=epochs),
        )

    train(1)
    train(2)

    printed = capsys.readouterr().out
    assert "checkpoint.pt is of another training, and is not used" in printed
    assert printed.count("epoch=1 ") == 2
    assert not list((tmp_path / "checkpoints").glob("*.part"))


def test_a_host_that_fails_ends_the_other_one_which_says_why(tmp_path: Path) -> None:
    parts = [
        write(tmp_path / "first" / "a.jsonl", list(EXAMPLES)),
        write(tmp_path / "second" / "b.jsonl", [("", "bad")]),
    ]

    hosts = [start(host, part, tmp_path / "model") for host, part in zip(HOSTS, parts, strict=True)]
    errors = [host.communicate(timeout=60)[1] for host in hosts]

    assert [host.returncode for host in hosts] == [1, 1]
    assert "error: 127.0.0.2: DataError: " in errors[0]
