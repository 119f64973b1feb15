"""Files on the way from a disk to the artifacts' bucket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

DATASETS = "datasets/"
TRANSFORMS = "transform/input/"
SUFFIXES = (".jsonl", ".csv")


def planned(path: Path, name: str | None, prefix: str) -> tuple[str, dict[str, Path]]:
    """Return what a file or a directory of files is called in the bucket, and the file of each of its objects.

    Args:
        path: A file, or a directory.
        name: What it is called under the prefix. When omitted: as the file or directory is.
        prefix: :data:`DATASETS` or :data:`TRANSFORMS`.

    Raises:
        FileNotFoundError: There is no such file or directory.
        ValueError: It is no ``*.jsonl`` or ``*.csv`` and has none.
    """
    called = (name or path.resolve().name).strip("/")
    if path.is_dir():
        key = f"{prefix}{called}/"
        files = {f"{key}{each.relative_to(path).as_posix()}": each for each in sorted(_files(path))}
    elif path.is_file():
        key = f"{prefix}{called if Path(called).suffix else called + path.suffix}"
        files = {key: path} if path.suffix in SUFFIXES else {}
    else:
        raise FileNotFoundError(f"there is no {path}")
    if not files:
        raise ValueError(f"{path}: neither a *.jsonl nor a *.csv, nor a directory of some")
    return key, files


def _files(directory: Path) -> Iterator[Path]:
    yield from (each for each in directory.rglob("*") if each.is_file() and each.suffix in SUFFIXES)
