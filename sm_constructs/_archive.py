"""Archives whose bytes depend on nothing but the names and contents of the files in them."""

from __future__ import annotations

import hashlib
import struct
import tarfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

ALWAYS_EXCLUDED = ("__pycache__", "*.pyc", ".DS_Store", ".ipynb_checkpoints")
"""What tools leave behind between two synths: it would change the hash without changing the program."""

_MODE = 0o644
_LONGEST_BLOCK = 0xFFFF


def collect(directory: Path, *, exclude: Sequence[str] = ()) -> dict[str, Path]:
    """Map the name in an archive of every file under a directory to the file, sorted by name.

    Args:
        directory: Where to look.
        exclude: Shell patterns; a file or directory is left out when its name or its path below ``directory``
            matches one. ``__pycache__`` and the like are always left out.

    Raises:
        ValueError: Something is neither a file nor a directory. Symbolic links count as such: SageMaker does not
            extract them as the file that they point to.
    """
    patterns = (*ALWAYS_EXCLUDED, *exclude)
    return dict(sorted((name, directory / name) for name in _names(directory, "", patterns)))


def fingerprint(entries: Mapping[str, Path]) -> str:
    """Hash names and contents: the same on every machine, whatever its paths, clocks, umask or zlib.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for name, path in sorted(entries.items()):
        for part in (name.encode(), path.read_bytes()):
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
    return digest.hexdigest()


def write_tar_gz(entries: Mapping[str, Path], target: Path) -> None:
    """Write a ``.tar.gz`` file without this machine's times, owners and permissions in it.

    Nothing is compressed, because what zlib makes of the same bytes differs from one version and build to the next:
    the demo's model takes 4.8 MB and not 2.4 MB for it.
    """
    with TemporaryFile() as plain:
        with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for name, path in sorted(entries.items()):
                member = tarfile.TarInfo(name)  # of 1970-01-01, owned by 0
                member.size = path.stat().st_size
                member.mode = _MODE
                with path.open("rb") as content:
                    archive.addfile(member, content)
        plain.seek(0)
        with target.open("wb") as stored:
            _store(plain, stored)


def _store(content: IO[bytes], target: IO[bytes]) -> None:
    """Write a gzip file (RFC 1952) of stored blocks (RFC 1951, 3.2.4)."""
    target.write(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff")  # no name, no time, no operating system
    checksum = size = 0
    while block := content.read(_LONGEST_BLOCK):
        target.write(struct.pack("<BHH", 0, len(block), len(block) ^ 0xFFFF))
        target.write(block)
        checksum, size = zlib.crc32(block, checksum), size + len(block)
    target.write(struct.pack("<BHH", 1, 0, 0xFFFF))  # the last block, an empty one
    target.write(struct.pack("<LL", checksum, size % 2**32))


def _names(directory: Path, parent: str, patterns: Sequence[str]) -> Iterator[str]:
    for path in (directory / parent).iterdir():
        name = f"{parent}{path.name}"
        if any(fnmatchcase(text, pattern) for text in (path.name, name) for pattern in patterns):
            continue
        if path.is_symlink():
            raise ValueError(f"'{name}' is a symbolic link: copy what it points to, or exclude it")
        if path.is_dir():
            yield from _names(directory, f"{name}/", patterns)
        elif path.is_file():
            yield name
        else:
            raise ValueError(f"'{name}' is neither a file nor a directory: exclude it")
