"""A list of a model directory's files and their hashes: written when a model is packaged, checked before it is loaded.

Goes into the model archive as ``code/manifest.py``. Loading a model runs what its file says, and so does importing its
code. So the manifest has to be right before either is trusted; where it comes from (the archive that a role may write)
is what decides whom is trusted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

MANIFEST = "manifest.json"

# What TorchServe, in SageMaker's PyTorch container, puts beside the files of the archive that it was given.
_TORCHSERVE = ("MAR-INF/MANIFEST.json", "handler_service.py")


class ManifestError(RuntimeError):
    """A model directory that is not what was packaged; the message names the files."""


def write_manifest(directory: Path) -> None:
    """Write ``manifest.json`` with the SHA-256 of every other file in ``directory``."""
    names = sorted(name for name in _names(directory) if name != MANIFEST)
    document = {"sha256": {name: _hash(directory / name) for name in names}}
    text = json.dumps(document, ensure_ascii=False, indent=2)
    (directory / MANIFEST).write_text(f"{text}\n", encoding="utf-8")


def packaged_files(directory: Path) -> list[str]:
    """Return the names of the files that ``manifest.json`` lists, and its own.

    Raises:
        ManifestError: There is none, or it cannot be read.
    """
    return sorted([MANIFEST, *_read(directory)])


def verify(directory: Path) -> None:
    """Check that ``directory`` has exactly the files that were packaged.

    ``__pycache__`` in ``code/`` is left aside, as Python writes it when it imports the code.

    Raises:
        ManifestError: A file differs, is missing or was added, or there is no manifest; names them all.
    """
    expected = _read(directory)
    found = {name for name in _names(directory) if name not in (MANIFEST, *_TORCHSERVE)}
    problems = [
        *(f"{name} is missing" for name in sorted(expected.keys() - found)),
        *(f"{name} was added" for name in sorted(found - expected.keys())),
        *(f"{name} differs" for name in sorted(expected.keys() & found) if _hash(directory / name) != expected[name]),
    ]
    if problems:
        raise ManifestError(f"this is not the model that was packaged: {', '.join(problems)} ({directory})")


def _read(directory: Path) -> dict[str, str]:
    try:
        document = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
        hashes = document["sha256"]
        return {str(name): str(value) for name, value in hashes.items()}
    except FileNotFoundError:
        raise ManifestError(f"{directory} has no {MANIFEST}: package the model with package.py") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ManifestError(f"{directory / MANIFEST} cannot be read: package the model with package.py") from error


def _names(directory: Path) -> Iterator[str]:
    for path in directory.rglob("*"):
        name = path.relative_to(directory)
        if path.is_dir() and not path.is_symlink():
            continue
        if not (name.parts[0] == "code" and "__pycache__" in name.parts):
            yield name.as_posix()


def _hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
