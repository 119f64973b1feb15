"""In which format a model goes into its archive: its own, or ONNX where that is faster, as measured here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from statistics import median

from measuring import Answers, ProbeError, ask
from package import Kind, kind_of, package

FORMATS = ("native", "onnx", "auto")
TOLERANCE = 1e-4
"""By how much a score may differ from one format to the other."""

_TEXTS = 200


class FormatError(ValueError):
    """A format that a model cannot have; the message says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """A packaged model.

    Args:
        directory: That has it.
        format: ``native`` or ``onnx``.
        reason: Why that one.
    """

    directory: Path
    format: str
    reason: str


def package_as(wanted: str, trained: Path, work: Path, texts: Sequence[str]) -> Chosen:
    """Package what training wrote, in the wanted format.

    Args:
        wanted: ``native``, ``onnx``, or ``auto`` for the one that is faster here.
        trained: What training wrote.
        work: A directory for what is made.
        texts: What to measure with.

    Raises:
        FormatError: The format is none of these, or this kind of model cannot have it.
        FileNotFoundError: ``trained`` lacks a file that training writes.
    """
    if wanted not in FORMATS:
        raise FormatError(f"MODEL_FORMAT is {wanted!r}: must be one of {', '.join(FORMATS)}")
    native = work / "native"
    package(trained, native)
    if wanted == "native":
        return Chosen(directory=native, format="native", reason="it was asked for")
    try:
        onnx = _exported(kind_of(trained), trained, work)
        times = _compared(native, onnx, texts[:_TEXTS])
    except FormatError as error:
        if wanted == "onnx":
            raise FormatError(f"MODEL_FORMAT is 'onnx', but {error}") from error
        return Chosen(directory=native, format="native", reason=str(error))
    measured = f"a text takes {times['onnx']:.3f} ms with ONNX Runtime and {times['native']:.3f} ms without"
    if wanted == "onnx" or times["onnx"] < times["native"]:
        return Chosen(directory=onnx, format="onnx", reason=measured)
    return Chosen(directory=native, format="native", reason=measured)


def _exported(kind: Kind, trained: Path, work: Path) -> Path:
    """Return the packaged model in ONNX.

    Raises:
        FormatError: There is no such form of this kind, or what makes it is not installed here.
    """
    if kind.export is None:
        raise FormatError(f"{kind.weights} has no form in ONNX: {kind.no_onnx}")
    try:
        import_module(kind.export).export(trained, work / "exported")
    except ImportError as error:
        raise FormatError(f"it cannot be made here: {error}") from error
    package(work / "exported", work / "onnx")
    return work / "onnx"


def _compared(native: Path, onnx: Path, texts: Sequence[str]) -> dict[str, float]:
    """Return the milliseconds that a text takes in each format: of two runs the better median.

    Raises:
        FormatError: The formats do not give the same answers, or ONNX Runtime is not installed here.
    """
    directories = {"native": native, "onnx": onnx}
    times: dict[str, list[float]] = {name: [] for name in directories}
    answers: dict[str, Answers] = {}
    for name in ("native", "onnx", "onnx", "native"):
        try:
            answers[name] = ask(directories[name], texts, timed=len(texts))
        except ProbeError as error:
            raise FormatError(f"it cannot be served here: {error}") from error
        times[name].append(median(answers[name].milliseconds))
    for one, other in zip(answers["native"].results, answers["onnx"].results, strict=True):
        if one is None or other is None or one["label"] != other["label"]:
            raise FormatError("a text gets another label with ONNX Runtime")
        if any(abs(score - other["scores"][label]) > TOLERANCE for label, score in one["scores"].items()):
            raise FormatError(f"a text gets a score that differs by more than {TOLERANCE} with ONNX Runtime")
    return {name: min(values) for name, values in times.items()}
