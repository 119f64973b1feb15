"""Package a trained model and measure it and the one in service: SageMaker's processing job, ``python evaluate.py``.

Reads below ``PROCESSING_DIR`` (``/opt/ml/processing`` when it is not set) ``input/candidate/model.tar.gz``, which
training wrote, ``input/test/test.jsonl`` and, where a model is in service, the one archive in ``input/in-service/``,
whatever its name. Writes

- ``output/model/model.tar.gz``: the packaged model
- ``output/evaluation/evaluation.json``: what decides about a promotion
- ``output/evaluation/metrics.json``: what SageMaker's model registry shows
- ``output/evaluation/model-card.json``: the content of a SageMaker model card
- ``output/evaluation/confusion-matrix.svg``

``MODEL_FORMAT`` says in which format the model is packaged: ``native``, ``onnx`` or ``auto``. ``TRAINING_ID``,
``DATASET`` and ``DATASET_HASH`` are only written down.
"""

from __future__ import annotations

import json
import os
import sys
import tarfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from archive import read_archive, write_archive
from channels import DataError, Example, read_channel
from confusion_picture import confusion_picture
from formats import FormatError, package_as
from measuring import Measured, ProbeError, measure_archive, unanswered
from reports import model_card, registry_metrics

_BASE = "/opt/ml/processing"
_LONGEST_MESSAGE = 1_000  # SageMaker shows 1 KB of it as the job's ExitMessage


class EvaluationError(RuntimeError):
    """What the job was given cannot be evaluated; the message says why."""


def evaluate(base: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """Do the job below ``base``; return what ``evaluation.json`` says.

    Raises:
        EvaluationError: The candidate or the test data cannot be used.
    """
    try:
        examples = read_channel(base / "input" / "test")
    except DataError as error:
        raise EvaluationError(f"the test data cannot be used: {error}") from error
    if not examples:
        raise EvaluationError("the test data has no texts")
    archive = base / "output" / "model" / "model.tar.gz"
    with TemporaryDirectory() as work:
        trained = _unpacked_candidate(base / "input" / "candidate", Path(work, "trained"))
        try:
            wanted = environment.get("MODEL_FORMAT") or "native"
            chosen = package_as(wanted, trained, Path(work), [example.text for example in examples])
        except (FormatError, FileNotFoundError, ProbeError) as error:
            raise EvaluationError(str(error)) from error
        write_archive(chosen.directory, archive)
        metadata = json.loads((trained / "metadata.json").read_text(encoding="utf-8"))
    try:
        candidate = measure_archive(archive, examples)
    except ProbeError as error:
        raise EvaluationError(f"the new model cannot be measured: {error}") from error
    in_service = _measure_in_service(base / "input" / "in-service", examples)
    run = {
        "training_id": environment.get("TRAINING_ID", ""),
        "dataset": environment.get("DATASET", ""),
        "dataset_hash": environment.get("DATASET_HASH", ""),
        "format": chosen.format,
    }
    evaluation = {
        **run,
        "format_reason": chosen.reason,
        "model_version": candidate.model_version,
        "candidate": candidate.document(),
        "in_service": in_service.document() if in_service else None,
    }
    card = model_card(candidate, in_service, metadata=metadata, run=run)
    _write_reports(base / "output" / "evaluation", evaluation, card, candidate)
    return evaluation


def _unpacked_candidate(directory: Path, target: Path) -> Path:
    archive = directory / "model.tar.gz"
    try:
        read_archive(archive, target)
    except FileNotFoundError:
        raise EvaluationError(f"there is no {archive}") from None
    except (tarfile.TarError, OSError, EOFError) as error:
        raise EvaluationError(f"{archive} cannot be unpacked: {error}") from error
    return target


def _measure_in_service(directory: Path, examples: Sequence[Example]) -> Measured | None:
    """Return how the model in service does, if there is one; one that does not work here answers nothing."""
    archives = sorted(directory.iterdir()) if directory.is_dir() else []
    if not archives:
        return None
    if len(archives) > 1:
        raise EvaluationError(f"{directory} has {', '.join(each.name for each in archives)}: must be one archive")
    (archive,) = archives
    try:
        return measure_archive(archive, examples)
    except ProbeError as error:
        return unanswered(examples, archive.stat().st_size, str(error))


def _write_reports(
    directory: Path, evaluation: Mapping[str, object], card: Mapping[str, object], candidate: Measured
) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name, document in (
        ("evaluation.json", evaluation),
        ("metrics.json", registry_metrics(candidate.judged)),
        ("model-card.json", card),
    ):
        text = json.dumps(document, ensure_ascii=False, indent=2)
        (directory / name).write_text(f"{text}\n", encoding="utf-8")
    judged = candidate.judged
    title = f"{candidate.model_version}: accuracy {judged.accuracy:.3f}, macro-F1 {judged.macro_f1:.3f}"
    picture = confusion_picture(judged.labels, judged.matrix, title=title)
    (directory / "confusion-matrix.svg").write_text(picture, encoding="utf-8")


def main() -> None:
    """Do the job as the environment says.

    Raises:
        SystemExit: It cannot be done (code 1): the last line of the error stream says why, and so does
            ``/opt/ml/output/message``, which SageMaker shows as the job's ``ExitMessage``.
    """
    base = Path(os.environ.get("PROCESSING_DIR") or _BASE)
    try:
        evaluation = evaluate(base, os.environ)
    except EvaluationError as error:
        message = " ".join(str(error).split())
        with suppress(OSError):
            (base.parent / "output" / "message").write_text(message[:_LONGEST_MESSAGE], encoding="utf-8")
        sys.exit(f"error: {message}")
    for name in ("candidate", "in_service"):
        if found := evaluation[name]:
            sys.stdout.write(f"{name}: accuracy={found['accuracy']:.6f} macro_f1={found['macro_f1']:.6f}\n")
    sys.stdout.write(f"model_version={evaluation['model_version']} format={evaluation['format']}\n")


if __name__ == "__main__":
    main()
