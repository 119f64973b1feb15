"""Reading labelled texts from a training channel."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from textprep import LANGUAGES, Language, detect_language


class DataError(ValueError):
    """A training channel that cannot be used; the message names the file and line and what is allowed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """One labelled text.

    Args:
        text: The text, not empty.
        label: Its class, not empty.
        language: The part of the data that its metrics are counted in.
    """

    text: str
    label: str
    language: Language


def read_channel(directory: Path) -> list[Example]:
    """Return the examples of every ``*.jsonl`` and ``*.csv`` file in ``directory``, in the files' order.

    A JSON line is ``{"text": "…", "label": "…"}``, a CSV file has the header ``text,label``. Both may name
    a ``language``; where it is missing it is decided by script. Other fields are ignored. A text that
    occurs again is left out, whatever its label: the first one wins.

    Raises:
        DataError: There is no such file, or a line cannot be read, or lacks text or label.
    """
    files = sorted(path for path in directory.rglob("*") if path.suffix in (".jsonl", ".csv"))
    if not files:
        raise DataError(f"{directory} has no *.jsonl or *.csv file: put JSON lines or CSV with a header there")
    return list(without_repeats(example for file in files for example in _read_file(file)))


def without_repeats(examples: Iterable[Example]) -> Iterator[Example]:
    """Yield the examples whose text did not occur before."""
    seen: set[str] = set()
    for example in examples:
        if example.text not in seen:
            seen.add(example.text)
            yield example


def _read_file(file: Path) -> Iterator[Example]:
    rows = _json_rows(file) if file.suffix == ".jsonl" else _csv_rows(file)
    for place, row in rows:
        text, label = row.get("text"), row.get("label")
        if not (isinstance(text, str) and text.strip() and isinstance(label, str) and label):
            raise DataError(f"{place}: 'text' and 'label' must both be there and be strings that are not empty")
        language = row.get("language") or detect_language(text)
        if language not in LANGUAGES:
            raise DataError(f"{place}: language is {language!r}: must be one of {', '.join(LANGUAGES)}")
        yield Example(text=text, label=label, language=language)


def _json_rows(file: Path) -> Iterator[tuple[str, dict[str, object]]]:
    # Only "\n" ends a line: str.splitlines would also split at characters that JSON strings may hold.
    with file.open(encoding="utf-8", newline="\n") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            place = f"{file}:{number}"
            try:
                row = json.loads(line)
            except ValueError as error:
                raise DataError(f"{place}: not JSON: {error}") from error
            if not isinstance(row, dict):
                raise DataError(f"{place}: must be an object with 'text' and 'label'")
            yield place, row


def _csv_rows(file: Path) -> Iterator[tuple[str, dict[str, object]]]:
    with file.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines, strict=True)
        try:
            for row in reader:
                yield f"{file}:{reader.line_num}", dict(row)
        except csv.Error as error:
            raise DataError(f"{file}:{reader.line_num}: not CSV: {error}") from error
