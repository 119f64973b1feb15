"""Measuring a model archive on held-out texts: scores, latency, size."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from archive import read_archive
from channels import Example
from judged import Judged, judge
from textprep import LANGUAGES

TIMED_TEXTS = 200
_SECONDS = 3_000


class ProbeError(RuntimeError):
    """A model that cannot be loaded or does not answer; the message says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """What a model said of texts, in their order.

    Args:
        model_version: What it calls itself.
        results: A result for each text, with ``label`` and ``scores``, or nothing where it failed.
        errors: Why it failed, the first ones.
        milliseconds: What single texts took.
    """

    model_version: str | None
    results: Sequence[Mapping[str, Any] | None]
    errors: Sequence[str]
    milliseconds: Sequence[float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """How a model does on held-out texts.

    Args:
        model_version: What it calls itself.
        judged: How right it is.
        languages: The same, of the texts of each language that occurs.
        p50: Milliseconds that a single text takes, the median.
        p95: What 95 of 100 do not exceed.
        size_bytes: Of the archive.
        error: Why texts got no answer, the first reason.
    """

    model_version: str | None
    judged: Judged
    languages: Mapping[str, Judged]
    p50: float | None
    p95: float | None
    size_bytes: int
    error: str | None = None

    def document(self) -> dict[str, object]:
        """Return what ``evaluation.json`` says of it."""
        judged = self.judged
        return {
            "model_version": self.model_version,
            "texts": judged.texts,
            "unanswered": judged.unanswered,
            "error": self.error,
            "accuracy": judged.accuracy,
            "macro_f1": judged.macro_f1,
            "per_class": {label: asdict(scores) for label, scores in zip(judged.labels, judged.per_label, strict=True)},
            "confusion_matrix": {"labels": judged.labels, "rows": judged.matrix},
            "languages": {
                name: {"texts": each.texts, "accuracy": each.accuracy, "macro_f1": each.macro_f1}
                for name, each in self.languages.items()
            },
            "latency_ms": {"p50": self.p50, "p95": self.p95},
            "size_bytes": self.size_bytes,
        }


def ask(directory: Path, texts: Sequence[str], *, timed: int = TIMED_TEXTS) -> Answers:
    """Return what the packaged model in ``directory`` says of ``texts``, in a process of its own.

    Raises:
        ProbeError: It cannot be loaded, or takes too long.
    """
    with TemporaryDirectory() as exchange:
        request, answer = Path(exchange, "request.json"), Path(exchange, "answer.json")
        request.write_text(json.dumps({"texts": list(texts), "timed": timed}), encoding="utf-8")
        script = Path(__file__).with_name("probe.py")
        try:
            run = subprocess.run(
                [sys.executable, script, directory, request, answer],
                check=False,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise ProbeError(f"the model took more than {_SECONDS} s for {len(texts)} texts") from None
        if run.returncode:
            last = [line for line in run.stderr.splitlines() if line.strip()][-1:]
            raise ProbeError(f"the model cannot be loaded: {last[0] if last else f'exit code {run.returncode}'}")
        return Answers(**json.loads(answer.read_text(encoding="utf-8")))


def measure_archive(archive: Path, examples: Sequence[Example]) -> Measured:
    """Measure the model in a ``.tar.gz`` file.

    Raises:
        ProbeError: It cannot be unpacked or loaded, or answers no text.
    """
    texts = [example.text for example in examples]
    with TemporaryDirectory() as directory:
        try:
            read_archive(archive, Path(directory))
        except (tarfile.TarError, OSError, EOFError) as error:
            raise ProbeError(f"{archive} cannot be unpacked: {error}") from error
        if not Path(directory, "code", "inference.py").is_file():
            raise ProbeError(f"{archive} has no code/inference.py")
        answers = ask(Path(directory), texts)
    if not any(answers.results):
        raise ProbeError(f"the model answers no text: {''.join(answers.errors[:1])}")
    return measured(answers, examples, archive.stat().st_size)


def measured(answers: Answers, examples: Sequence[Example], size_bytes: int) -> Measured:
    """Return how right the answers are, and how long they took."""
    labels = [result["label"] if result else None for result in answers.results]
    ordered = sorted(answers.milliseconds)
    return Measured(
        model_version=answers.model_version,
        judged=judge([example.label for example in examples], labels),
        languages=_by_language(examples, labels),
        p50=_percentile(ordered, 0.5),
        p95=_percentile(ordered, 0.95),
        size_bytes=size_bytes,
        error=answers.errors[0] if answers.errors else None,
    )


def unanswered(examples: Sequence[Example], size_bytes: int, error: str) -> Measured:
    """Return what there is to say of a model that answers nothing."""
    answers = Answers(model_version=None, results=[None] * len(examples), errors=[error], milliseconds=[])
    return measured(answers, examples, size_bytes)


def _by_language(examples: Sequence[Example], labels: Sequence[str | None]) -> dict[str, Judged]:
    judged: dict[str, Judged] = {}
    for language in LANGUAGES:
        pairs = [
            (example.label, label)
            for example, label in zip(examples, labels, strict=True)
            if example.language == language
        ]
        if pairs:
            truth, predicted = zip(*pairs, strict=True)
            judged[language] = judge(truth, predicted)
    return judged


def _percentile(ordered: Sequence[float], part: float) -> float | None:
    return ordered[min(int(len(ordered) * part), len(ordered) - 1)] if ordered else None
