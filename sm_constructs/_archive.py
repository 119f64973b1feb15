"""Archives whose bytes depend on nothing but the names and contents of the files in them."""

from __future__ import annotations

import gzip
import hashlib
import tarfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

ALWAYS_EXCLUDED = ("__pycache__", "*.pyc", ".DS_Store", ".ipynb_checkpoints")
"""What tools leave behind between two synths: it would change the hash without changing the program."""

_MODE = 0o644
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


def collect(directory: Path, *, prefix: str = "", exclude: Sequence[str] = ()) -> dict[str, Path]:
    """Map the archive name of every file under a directory to the file, sorted by name.

    Args:
        directory: Where to look.
        prefix: What the names in the archive begin with, such as ``"python/"``. When omitted: nothing.
        exclude: Shell patterns; a file is left out when one matches its path below the directory or any part
            of it. ``__pycache__`` and the like are always left out.

    Raises:
        ValueError: A symbolic link, which neither SageMaker nor Lambda extracts as the file it points to.
    """
    entries = {}
    for path in _files(directory, directory, (*ALWAYS_EXCLUDED, *exclude)):
        entries[prefix + path.relative_to(directory).as_posix()] = path
    return dict(sorted(entries.items()))


def fingerprint(entries: Mapping[str, Path]) -> str:
    """Hash names and contents: the same on every machine, whatever its paths, clocks, umask or zlib."""
    digest = hashlib.sha256()
    for name, path in sorted(entries.items()):
        for part in (name.encode(), path.read_bytes()):
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
    return digest.hexdigest()


def write_tar_gz(entries: Mapping[str, Path], target: Path) -> None:
    """Write a ``.tar.gz`` without times, owners or permissions of this machine in it."""
    with (
        target.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=raw, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name, path in sorted(entries.items()):
            member = tarfile.TarInfo(name)
            member.size = path.stat().st_size
            member.mode = _MODE
            with path.open("rb") as content:
                archive.addfile(member, content)


def write_zip(entries: Mapping[str, Path], target: Path) -> None:
    """Write a ``.zip`` without times or permissions of this machine in it."""
    with zipfile.ZipFile(target, "w") as archive:
        for name, path in sorted(entries.items()):
            member = zipfile.ZipInfo(name, date_time=_ZIP_EPOCH)
            member.create_system = 3  # Unix, also where the archive is written on Windows
            member.external_attr = _MODE << 16
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, path.read_bytes())


def _files(directory: Path, root: Path, exclude: Sequence[str]) -> Iterator[Path]:
    for path in directory.iterdir():
        relative = PurePosixPath(path.relative_to(root).as_posix())
        if any(fnmatchcase(part, pattern) for part in (str(relative), relative.name) for pattern in exclude):
            continue
        if path.is_symlink():
            raise ValueError(f"'{relative}' is a symbolic link: copy what it points to, or exclude it")
        if path.is_dir():
            yield from _files(path, root, exclude)
        else:
            yield path
