"""What of an installed package a Lambda function does not need."""

from __future__ import annotations

import re
import struct
from pathlib import PurePosixPath

_DIRECTORIES = frozenset({"bin", "tests"})
_INSTALLER_NOTES = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json", ".lock"})
# Sources of compiled modules. Not ".cu", which thinc reads when it is imported.
_SOURCES = frozenset({".c", ".cc", ".cpp", ".h", ".hh", ".hpp", ".pxd", ".pxi", ".pyx", ".pyi"})
# 4 MB of tools that prepare models; loading and running one imports none of them.
_DEAD_WEIGHT = re.compile(r"onnxruntime/(backend|datasets|quantization|tools|transformers)/")

_ELF_64_LITTLE_ENDIAN = b"\x7fELF\x02\x01"
_LARGEST_PHNUM = 0xFFFF


def is_needed(name: PurePosixPath) -> bool:
    """Return whether a function may import or read the file of that name in ``site-packages``."""
    return (
        _DIRECTORIES.isdisjoint(name.parts)
        and name.name not in _INSTALLER_NOTES
        and name.suffix not in _SOURCES
        and not _DEAD_WEIGHT.match(str(name))
    )


def without_debug_symbols(content: bytes) -> bytes:
    """Return a shared library without what only debuggers and linkers read; anything else as it is.

    What is loaded stands in the program headers, and in the file before the debug symbols, so the file ends
    after the last of these segments and has no section headers. For any processor, and without binutils:
    ``strip`` wants the target's own, and damages libraries whose segments were moved by patchelf.

    See elf(5), https://man7.org/linux/man-pages/man5/elf.5.html.
    """
    if not content.startswith(_ELF_64_LITTLE_ENDIAN):
        return content
    (first,) = struct.unpack_from("<Q", content, 32)  # e_phoff
    size, count = struct.unpack_from("<HH", content, 54)  # e_phentsize, e_phnum
    if count == _LARGEST_PHNUM:  # the number stands in the first section header
        return content
    end = first + size * count
    for header in range(first, end, size):
        (offset,) = struct.unpack_from("<Q", content, header + 8)  # p_offset
        (length,) = struct.unpack_from("<Q", content, header + 32)  # p_filesz
        end = max(end, offset + length)
    stripped = bytearray(content[:end])
    struct.pack_into("<Q", stripped, 40, 0)  # e_shoff
    struct.pack_into("<HHH", stripped, 58, 0, 0, 0)  # e_shentsize, e_shnum, e_shstrndx
    return bytes(stripped)
