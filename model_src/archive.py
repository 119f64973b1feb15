"""Writing a ``model.tar.gz`` whose bytes depend on nothing but the names and contents of its files.

No times, owners, permissions or order of a file system are in it. Nothing is compressed, as zlib makes other bytes of
the same content from one version to the next; what is large in a model is compressed by itself.
"""

from __future__ import annotations

import io
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryFile

from manifest import packaged_files

_BLOCK = 65_535
_HEADER = b"\x1f\x8b\x08" + bytes(6) + b"\xff"  # RFC 1952: no name, no time, no system


def write_archive(directory: Path, target: Path) -> None:
    """Write the files that the manifest in ``directory`` lists, and the manifest, to ``target``.

    Raises:
        ManifestError: There is no manifest.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryFile() as plain, target.open("wb") as zipped:
        with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for name in packaged_files(directory):
                content = (directory / name).read_bytes()
                member = tarfile.TarInfo(name)  # of 1970-01-01, of user and group 0
                member.size, member.mode = len(content), 0o644
                tar.addfile(member, io.BytesIO(content))
        plain.seek(0)
        zipped.writelines(_stored(iter(lambda: plain.read(_BLOCK), b"")))


def read_archive(archive: Path, directory: Path) -> None:
    """Unpack a ``.tar.gz`` file into ``directory``; nothing outside of it is written.

    Raises:
        tarfile.TarError: It is no such file, or would write elsewhere.
    """
    with tarfile.open(archive) as tar:
        tar.extractall(directory, filter="data")


def _stored(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a gzip file that has the blocks as they are: RFC 1951, section 3.2.4."""
    yield _HEADER
    checksum = size = 0
    for block in blocks:
        checksum, size = zlib.crc32(block, checksum), size + len(block)
        yield _block_header(len(block), last=False) + block
    yield _block_header(0, last=True)
    yield checksum.to_bytes(4, "little") + (size % 2**32).to_bytes(4, "little")


def _block_header(size: int, *, last: bool) -> bytes:
    return bytes([last]) + size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little")
