r"""A data set of JSON lines, cut into parts that are read and annotated one by one, in any order, at the same time.

A part is a range of bytes of an object. It has the lines that begin in the range, so that every line is in one part,
whichever way the ranges are cut.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypedDict

MAX_LINE_BYTES = 16 * 1024**2
"""What has no line break for that long is no JSON lines: no more of it is read."""
_MORE_BYTES = 65_536


class Part(TypedDict):
    """The lines of an object that begin in a range of its bytes, and where they go.

    ``end`` is not part of the range; ``size`` is the whole object's. ``name`` sorts in the order of the data set.
    """

    key: str
    start: int
    end: int
    size: int
    name: str


def parts(objects: Iterable[tuple[str, int]], prefix: str, part_bytes: int) -> Iterator[Part]:
    """Yield the parts of objects with JSON lines.

    Args:
        objects: Key and size of each.
        prefix: What all keys begin with; names have the rest.
        part_bytes: How many bytes a part has at the most.

    >>> [part["name"] for part in parts([("d/a.jsonl", 5), ("d/b.jsonl", 2)], "d/", 4)]
    ['a-00000.jsonl', 'a-00001.jsonl', 'b-00000.jsonl']
    """
    for key, size in objects:
        name = (key.removeprefix(prefix) or key.rpartition("/")[2]).removesuffix(".jsonl")
        for number, start in enumerate(range(0, size, part_bytes)):
            yield Part(
                key=key, start=start, end=min(start + part_bytes, size), size=size, name=f"{name}-{number:05}.jsonl"
            )


def lines(part: Part, read: Callable[[int, int], bytes]) -> list[bytes]:
    r"""Return the lines of a part without their ends; empty ones are left out.

    Args:
        part: The part.
        read: Returns the bytes of the object from a position to another, or to its end.

    >>> content = b"one\ntwo\nthree"
    >>> [lines(part, lambda start, end: content[start:end]) for part in parts([("d", 13)], "", 5)]
    [[b'one', b'two'], [b'three'], []]
    """
    return [line for line in all_lines(part, read) if line.strip()]


def all_lines(part: Part, read: Callable[[int, int], bytes]) -> list[bytes]:
    r"""Return the lines of a part without their ends, empty ones, too, so that they can be counted.

    Of one that is longer than :data:`MAX_LINE_BYTES` the beginning.

    >>> content = b"one\n\nthree"
    >>> [all_lines(part, lambda start, end: content[start:end]) for part in parts([("d", 10)], "", 4)]
    [[b'one'], [b'', b'three'], []]
    """
    # With the byte before the range one sees whether a line begins with the range.
    content = read(max(part["start"] - 1, 0), part["end"])
    if part["start"]:
        content = content.partition(b"\n")[2]
    position = part["end"]
    last = min(part["size"], part["end"] + MAX_LINE_BYTES)
    while content and not content.endswith(b"\n") and position < last:
        more = read(position, position + _MORE_BYTES)
        position += len(more)
        end, newline, _ = more.partition(b"\n")
        content += end + newline
    found = content.split(b"\n")
    return found if found[-1] else found[:-1]


def stream_lines(size: int, read: Callable[[int, int], bytes], block_bytes: int = 8 * 1024 * 1024) -> Iterator[bytes]:
    r"""Yield the lines of an object with their ends, with no more of it in memory than a block and a line.

    Args:
        size: The object's, in bytes.
        read: Returns the bytes of the object from a position to another, or to its end.
        block_bytes: How much is read at a time.

    >>> content = b"one\r\n\nthree"
    >>> list(stream_lines(len(content), lambda start, end: content[start:end], block_bytes=2))
    [b'one\r\n', b'\n', b'three']
    """
    pieces: list[bytes] = []
    for start in range(0, size, block_bytes):
        *complete, rest = read(start, min(start + block_bytes, size)).split(b"\n")
        for line in complete:
            yield b"".join([*pieces, line, b"\n"])
            pieces.clear()
        pieces.append(rest)
    if last := b"".join(pieces):
        yield last


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One line of a data set.

    Args:
        fields: What it says.
        text: Its text; whatever it is.
    """

    fields: dict[str, Any]
    text: object


def row(line: bytes) -> Row | str:
    r"""Return what a line says, or why it cannot be read.

    >>> row(b'{"text": "good", "label": "x"}').text
    'good'
    >>> row(b"[1]"), row(b"\xff"), row(b'{"label": "x"}')
    ('not an object with a text', 'not UTF-8: byte 0', 'not an object with a text')
    """
    if len(line) > MAX_LINE_BYTES:
        return f"longer than {MAX_LINE_BYTES:,} bytes: end each JSON object with a line break, and have none within it"
    try:
        fields = json.loads(line.decode())
    except UnicodeDecodeError as error:
        return f"not UTF-8: byte {error.start}"
    except (ValueError, RecursionError) as error:
        return f"not JSON: {error}"
    if not isinstance(fields, dict) or "text" not in fields:
        return "not an object with a text"
    return Row(fields=fields, text=fields["text"])
