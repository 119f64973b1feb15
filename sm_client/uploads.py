"""Data sets on the way from a disk to the artifacts' bucket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

PREFIX = "datasets/"
SUFFIXES = (".jsonl", ".csv")


def planned(path: Path, name: str | None) -> tuple[str, dict[str, Path]]:
    """Return what a data set is called in the bucket, and the file of each of its objects.

    Args:
        path: A file, or a directory.
        name: What it is called under ``datasets/``. When omitted: as the file or directory is.

    Raises:
        FileNotFoundError: There is no such file or directory.
        ValueError: It is no ``*.jsonl`` or ``*.csv`` and has none.
    """
    called = (name or path.resolve().name).strip("/")
    if path.is_dir():
        dataset = f"{PREFIX}{called}/"
        files = {f"{dataset}{each.relative_to(path).as_posix()}": each for each in sorted(_files(path))}
    elif path.is_file():
        dataset = f"{PREFIX}{called if Path(called).suffix else called + path.suffix}"
        files = {dataset: path} if path.suffix in SUFFIXES else {}
    else:
        raise FileNotFoundError(f"there is no {path}")
    if not files:
        raise ValueError(f"{path}: neither a *.jsonl nor a *.csv, nor a directory of some")
    return dataset, files


def _files(directory: Path) -> Iterator[Path]:
    yield from (each for each in directory.rglob("*") if each.is_file() and each.suffix in SUFFIXES)
