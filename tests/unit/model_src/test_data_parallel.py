"""What several hosts train together is what one trains alone; first in threads, then in processes of their own."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import data_parallel
import fitting
import joblib
import numpy as np
import pytest
import train as train_module
from channels import Example
from classifier import TextClassifier
from corpus import pool
from hosts import Alone, connected
from hyperparameters import Hyperparameters

from sm_local.datasets import chinese_reviews, without_repeats
from tests.tiny_model import EXAMPLES

HOSTS = ["127.0.0.1", "127.0.0.2"]
EXAMPLES_4 = [Example(text=text, label=label, language="en") for text, label in EXAMPLES]
EXAMPLES_2 = [example for example in EXAMPLES_4 if example.label in ("good", "bad")]


@pytest.fixture(autouse=True)
def port(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("DATA_PARALLEL_PORT", str(server.getsockname()[1]))


def alone(examples: Sequence[Example], chosen: Hyperparameters) -> TextClassifier:
    corpus = pool(examples, Alone())
    return fitting.fit([each.text for each in corpus.examples], [each.label for each in corpus.examples], chosen)


def together(parts: Sequence[Sequence[Example]], chosen: Hyperparameters) -> list[TextClassifier | None]:
    def host(rank: int) -> TextClassifier | None:
        names = [f"127.0.0.{number}" for number in range(1, len(parts) + 1)]
        with connected(names, names[rank], job="job", coming=20, silence=20) as group:
            corpus = pool(parts[rank], group)
            texts = [each.text for each in corpus.examples]
            share = data_parallel.Share(texts=texts, places=corpus.places, y=corpus.y, labels=corpus.labels)
            return data_parallel.fit(share, chosen, group)

    with ThreadPoolExecutor() as threads:
        return list(threads.map(host, range(len(parts))))


@pytest.mark.parametrize("examples", [EXAMPLES_4, EXAMPLES_2], ids=["four labels", "two labels"])
@pytest.mark.parametrize(
    "chosen",
    [
        Hyperparameters(max_features=300),
        Hyperparameters(max_features=300, loss="log_loss", regularization=0.02),
        Hyperparameters(max_features=300, text_features=True, word_ngram_max=0),
    ],
    ids=["squared hinge", "log loss", "numbers"],
)
def test_the_hosts_find_the_model_that_one_finds(examples: list[Example], chosen: Hyperparameters) -> None:
    one = alone(examples, chosen)

    found, *others = (
        together([examples[:3], examples[3:20], examples[20:]], chosen)
        if len(examples) > 20
        else together([examples[:5], examples[5:]], chosen)
    )

    assert found is not None
    assert others == [None] * len(others)
    assert (found.labels, found.regularization) == (one.labels, one.regularization)
    for kind, expected in zip(found.kinds, one.kinds, strict=True):
        for text in ("很喜欢这本书", "free money"):
            assert kind.row(text)[0].tolist() == expected.row(text)[0].tolist()
            assert kind.row(text)[1] == pytest.approx(expected.row(text)[1], abs=1e-6)
    for weights, right in zip(found.weights, one.weights, strict=True):
        assert weights.astype(float) == pytest.approx(right.astype(float), abs=0.005)
    texts = [example.text for example in examples]
    assert found.predict_proba(texts) == pytest.approx(one.predict_proba(texts), abs=0.01)


def test_labels_that_do_not_fit_into_memory_together_come_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = Hyperparameters(max_features=300, regularization=0.3)
    monkeypatch.setattr(data_parallel, "_MOST_WEIGHTS", 1_300)  # of about 600 features

    found, _ = together([EXAMPLES_4[:20], EXAMPLES_4[20:]], chosen)

    assert found is not None
    for weights, right in zip(found.weights, alone(EXAMPLES_4, chosen).weights, strict=True):
        assert weights.astype(float) == pytest.approx(right.astype(float), abs=0.005)


def test_who_has_which_texts_changes_nothing_but_rounding() -> None:
    chosen = Hyperparameters(max_features=300)

    first, other = (
        together(parts, chosen)[0]
        for parts in (
            [EXAMPLES_4[:20], EXAMPLES_4[20:]],
            [EXAMPLES_4[::-2], EXAMPLES_4[::2]],
        )
    )

    assert first is not None
    assert other is not None
    assert [kind.row("free money 很喜欢这本书")[0].tolist() for kind in first.kinds] == [
        kind.row("free money 很喜欢这本书")[0].tolist() for kind in other.kinds
    ]
    texts = [text for text, _ in EXAMPLES]
    assert first.predict_proba(texts) == pytest.approx(other.predict_proba(texts), abs=0.002)


def test_a_text_that_two_hosts_have_counts_once() -> None:
    def labels(rank: int) -> tuple[list[str], list[int], int]:
        with connected(HOSTS, HOSTS[rank], job="job", coming=20, silence=20) as group:
            label = ("good", "bad")[rank]
            examples = [Example(text=text, label=label, language="en") for text in ("both", f"only on {rank}")]
            corpus = pool(examples, group)
            assert corpus.has("both")
            assert corpus.has("only on 0")
            assert not corpus.has("only on 2")
            return [example.text for example in corpus.examples], corpus.y.tolist(), len(corpus.digests)

    with ThreadPoolExecutor() as threads:
        (first, y, digests), (second, second_y, none) = threads.map(labels, range(2))

    assert (sorted(first), second) == (["both", "only on 0"], ["only on 1"])
    assert sorted(y) == [0, 1, 1]
    assert (second_y, digests, none) == (y, 3, 0)


def run(host: str, channel: Path, model: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {"SM_HOSTS": json.dumps(HOSTS), "SM_CURRENT_HOST": host, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, train_module.__file__, "--train", channel, "--model-dir", model, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def test_two_processes_reach_the_score_of_one_on_real_reviews(tmp_path: Path) -> None:
    texts = without_repeats(chinese_reviews().read())
    random.Random(0).shuffle(texts)  # noqa: S311
    rows = [json.dumps({"text": text.text, "label": text.label}) for text in texts[:3_000]]
    for name, part in (("all/a", rows[:2000]), ("0/a", rows[:1200]), ("1/b", rows[1200:2000]), ("test/t", rows[2000:])):
        file = tmp_path / f"{name}.jsonl"
        file.parent.mkdir()
        file.write_text("\n".join(part), encoding="utf-8")
    options = ["--ngram-max", "2", "--word-ngram-max", "1", "--validation", str(tmp_path / "test")]

    hosts = [run(host, tmp_path / str(rank), tmp_path / f"model-{rank}", *options) for rank, host in enumerate(HOSTS)]
    printed = [host.communicate(timeout=60) for host in hosts]
    alone = train_module.train(
        train_directory=tmp_path / "all",
        model_directory=tmp_path / "alone",
        validation_directory=tmp_path / "test",
        hyperparameters=Hyperparameters(ngram_max=2, word_ngram_max=1),
    )

    assert [host.returncode for host in hosts] == [0, 0], printed
    assert "127.0.0.2 is done: 127.0.0.1 writes the model" in printed[1][0]
    assert not (tmp_path / "model-1").exists()
    written = json.loads((tmp_path / "model-0" / "metadata.json").read_text())
    assert (written["texts"], written["hosts"]) == (2000, 2)
    assert alone is not None
    score = alone.validation["all"].macro_f1
    assert score > 0.75
    assert written["validation"]["all"]["macro_f1"] == pytest.approx(score, abs=0.005)
    assert f"validation:macro_f1={written['validation']['all']['macro_f1']:.6f}" in printed[0][0]


def test_hosts_that_were_interrupted_go_on_with_what_the_first_has_kept(tmp_path: Path) -> None:
    for rank, part in enumerate((EXAMPLES[:20], EXAMPLES[20:])):
        (tmp_path / str(rank)).mkdir()
        rows = [json.dumps({"text": text, "label": label}) for text, label in part]
        (tmp_path / str(rank) / "rows.jsonl").write_text("\n".join(rows), encoding="utf-8")

    def train(name: str) -> str:
        options = ["--max-features", "300", "--checkpoint-dir", str(tmp_path / "checkpoints")]
        hosts = [run(host, tmp_path / str(rank), tmp_path / name, *options) for rank, host in enumerate(HOSTS)]
        printed = [host.communicate(timeout=60) for host in hosts]
        assert [host.returncode for host in hosts] == [0, 0], printed
        assert "resumed" not in printed[1][0]
        return printed[0][0]

    assert "resumed" not in train("at-once")
    assert train("resumed").count("resumed") == 9

    models = [joblib.load(tmp_path / name / "model.joblib") for name in ("at-once", "resumed")]
    first, second = (model.predict_proba([text for text, _ in EXAMPLES]) for model in models)
    assert first == pytest.approx(second, abs=0.002)


def test_a_shard_that_cannot_be_read_ends_both_processes_and_both_say_why(tmp_path: Path) -> None:
    for rank, text in enumerate(('{"text": "a", "label": "good"}', "{")):
        (tmp_path / str(rank)).mkdir()
        (tmp_path / str(rank) / f"shard-{rank:05}.jsonl").write_text(text)

    hosts = [run(host, tmp_path / str(rank), tmp_path / "model") for rank, host in enumerate(HOSTS)]
    errors = [host.communicate(timeout=60)[1] for host in hosts]

    assert [host.returncode for host in hosts] == [1, 1]
    assert "error: 127.0.0.2: DataError: " in errors[0]
    assert all("shard-00001.jsonl:1: not JSON" in error for error in errors)
    assert not (tmp_path / "model").exists()


def test_the_hinge_loss_is_refused_for_several_hosts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SM_HOSTS", '["algo-1", "algo-2"]')

    with pytest.raises(SystemExit) as caught:
        train_module.main(["--train", str(tmp_path), "--model-dir", str(tmp_path), "--loss", "hinge"])

    assert caught.value.code == 2
    assert "loss is 'hinge': on 2 hosts it must be log_loss or squared_hinge" in capsys.readouterr().err
    with pytest.raises(ValueError, match="on several hosts it must be one of log_loss, squared_hinge"):
        data_parallel.fit(
            data_parallel.Share(texts=[], places=np.zeros(0, np.int64), y=np.zeros(0, np.int64), labels=()),
            Hyperparameters(loss="hinge"),
            Alone(),
        )
