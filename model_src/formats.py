"""In which format a model goes into its archive: its own, or ONNX where that is faster, as measured here."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from measuring import Answers, ask
from package import KINDS, Kind, kind_of, package

FORMATS = ("native", "onnx", "auto")
TOLERANCE = 1e-4
"""By how much a score may differ from one format to the other."""


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
    kind = kind_of(trained)
    if wanted == "native":
        return Chosen(directory=native, format="native", reason="asked for")
    if kind.export is None:
        if wanted == "onnx":
            raise FormatError(f"MODEL_FORMAT is 'onnx': a {kind.weights} has no ONNX form, as {kind.no_onnx}")
        return Chosen(directory=native, format="native", reason=kind.no_onnx)
    raise NotImplementedError(KINDS, Kind, Callable, Mapping, Answers, ask, shutil)
