"""The rows of a data set to train with, and what is wrong with those that cannot be read.

Row numbers are line numbers in the object, from 1; a CSV row of several lines has that of its first.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from textprep import LANGUAGES, detect_language, normalize

from text_classification.logic.dataset_parts import all_lines, row, stream_lines
from text_classification.logic.dataset_pieces import Piece
from text_classification.logic.requests import shown

MAX_LABEL_CHARACTERS = 256
COLUMNS = ("text", "label")

_BOM = b"\xef\xbb\xbf"
_OTHER_BOMS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_CSV_FIELD_CHARACTERS = 100 * 1024 * 1024

Read = Callable[[int, int], bytes]
"""Returns the bytes of an object from a position to another, or to its end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelledText:
    """A row that can be learned from.

    Args:
        text: As it was sent.
        label: Its label, without white space at the ends.
        language: As stated, or as detected.
        text_hash: Of the normalised text: 128 bits, in hexadecimal digits.
    """

    text: str
    label: str
    language: str
    text_hash: str


@dataclass(kw_only=True, slots=True)
class PieceRows:
    """Iterates over the rows of a piece: number in the piece, and the row or what is wrong with it.

    Args:
        piece: The piece.
        read: Reads its object.
        lines: How many lines have been read, to number the rows of the next piece.
        problem: What is wrong with all of it, such as a missing column.
    """

    piece: Piece
    read: Read
    lines: int = 0
    problem: str | None = None

    def __iter__(self) -> Iterator[tuple[int, LabelledText | str]]:
        rows = self._csv() if self.piece["format"] == "csv" else self._json_lines()
        for number, fields in rows:
            yield number, fields if isinstance(fields, str) else labelled_text(fields)

    def _json_lines(self) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
        found = all_lines(self.piece, self.read)
        self.lines = len(found)
        for number, line in enumerate(found, start=1):
            if self.piece["start"] == 0 and number == 1:
                line = line.removeprefix(_BOM)  # noqa: PLW2901
            if line.strip():
                said = row(line)
                yield number, f"{said}{_hint(line)}" if isinstance(said, str) else said.fields

    def _csv(self) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
        before = csv.field_size_limit(_CSV_FIELD_CHARACTERS)  # of the whole process
        try:
            yield from self._csv_rows()
        finally:
            csv.field_size_limit(before)

    def _csv_rows(self) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
        text = _Utf8Lines(lines=stream_lines(self.piece["size"], self.read))
        reader = csv.reader(text, strict=True)
        header: list[str] | None = None
        while True:
            first = reader.line_num + 1
            fields: list[str] | str | None
            try:
                fields = next(reader, None)
            except csv.Error as error:
                fields = f"not CSV: {error}"
            self.lines = reader.line_num
            undecodable = text.wrong_in(first, reader.line_num)
            if fields is None:
                return
            if undecodable is not None and header is None:
                self.problem = undecodable
                return
            if undecodable is not None:
                yield first, undecodable
            elif isinstance(fields, str):
                yield first, fields
            elif len(fields) < 2 and not "".join(fields).strip():
                continue
            elif header is None:
                header = [name.strip() for name in fields]
                if problem := _header_problem(header):
                    self.problem = problem
                    return
            elif len(fields) != len(header):
                yield first, f"{len(fields)} of {len(header)} columns: quote texts with commas"
            else:
                yield first, dict(zip(header, fields, strict=True))


def labelled_text(fields: Mapping[str, Any]) -> LabelledText | str:
    """Return a row, or what is wrong with it.

    >>> labelled_text({"text": " ", "label": "x"}), labelled_text({"text": "good", "label": 1})
    ('text is empty', 'label is 1: must be a string')
    """
    missing = [name for name in COLUMNS if name not in fields]
    if missing:
        return f"{' and '.join(missing)} missing"
    for name in COLUMNS:
        if problem := _string_problem(name, fields[name]):
            return problem
    text, label = fields["text"], fields["label"].strip()
    if len(label) > MAX_LABEL_CHARACTERS:
        return f"label has {len(label):,} characters: must have from 1 to {MAX_LABEL_CHARACTERS}"
    language = fields.get("language") or "auto"
    if language != "auto" and language not in LANGUAGES:
        return f"language is {shown(language)}: must be one of {', '.join(LANGUAGES)}, or empty"
    normal = normalize(text)
    if not normal:
        return "text is empty"
    return LabelledText(
        text=text,
        label=label,
        language=detect_language(text) if language == "auto" else language,
        text_hash=blake2b(normal.encode(), digest_size=16).hexdigest(),
    )


@dataclass(kw_only=True, slots=True)
class _Utf8Lines:
    """Decodes lines one by one, so that one that is not UTF-8 is told by its number and does not end the reading."""

    lines: Iterator[bytes]
    wrong: dict[int, str] = field(default_factory=dict)

    def __iter__(self) -> Iterator[str]:
        position = 0
        for number, line in enumerate(self.lines, start=1):
            content = line.removeprefix(_BOM) if number == 1 else line
            try:
                yield content.decode()
            except UnicodeDecodeError as error:
                byte = position + len(line) - len(content) + error.start
                self.wrong[number] = f"not UTF-8: byte {byte} of the object{_hint(content)}"
                yield content.decode(errors="replace")
            position += len(line)

    def wrong_in(self, first: int, last: int) -> str | None:
        """Return what is wrong with the first line of some that cannot be decoded, and forget it."""
        if not self.wrong:
            return None
        return next((self.wrong.pop(number) for number in range(first, last + 1) if number in self.wrong), None)


def _string_problem(name: str, value: object) -> str | None:
    if not isinstance(value, str):
        return f"{name} is {shown(value)}: must be a string"
    if not value.strip():
        return f"{name} is empty"
    if (position := value.find("\0")) != -1:
        return f"{name} has the character U+0000 at {position}: remove it"
    try:
        value.encode()
    except UnicodeEncodeError:
        return f"{name} has half of a surrogate pair: must be Unicode text"
    return None


def _header_problem(header: list[str]) -> str | None:
    missing = [name for name in COLUMNS if name not in header]
    if "\0" in "".join(header):
        return "the header has the character U+0000: it looks like UTF-16, save it as UTF-8"
    shown_header = json.dumps(", ".join(header), ensure_ascii=False)[:100]
    if missing:
        separated = next((sign for sign in ";\t|" if sign in header[0]), None)
        hint = f": separate columns by commas, not by {separated!r}" if separated else ""
        return f"no column {' and '.join(missing)}: the header is {shown_header}{hint}"
    if len(set(header)) < len(header):
        return f"columns of the same name: the header is {shown_header}"
    return None


def _hint(line: bytes) -> str:
    encoding = _OTHER_BOMS.get(line[:2]) or ("UTF-16" if b"\0" in line[:4] else None)
    return f" (it looks like {encoding}: save it as UTF-8)" if encoding else ""
