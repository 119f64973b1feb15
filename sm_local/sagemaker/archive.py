"""Model archives: ``model.tar.gz``."""

from __future__ import annotations

import tarfile
from pathlib import Path


def unpack(archive: Path, directory: Path) -> None:
    """Unpack a ``model.tar.gz`` into a directory, which is made.

    Raises:
        tarfile.TarError: It is no such archive, or would write outside of the directory.
        OSError: It cannot be read.
        EOFError: It ends too early.
    """
    with tarfile.open(archive) as tar:
        directory.mkdir(parents=True, exist_ok=True)
        tar.extractall(directory, filter="data")
