"""Checks one part of a data set: writes its rows that can be learned from, and what it found."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, TypedDict

from text_classification.gateways.datasets import Datasets
from text_classification.logic.dataset_pieces import DatasetPart, Piece, Split
from text_classification.logic.dataset_rows import LabelledText, PieceRows
from text_classification.logic.requests import MAX_CHARACTERS

MAX_REFERENCES = 1_000
"""How many rows of each kind a report names."""


class CleanRow(TypedDict):
    """A row as parts hand it on; ``row`` counts in the piece, for nobody knows yet how many rows are before it."""

    text: str
    label: str
    language: str
    hash: str
    split: Split | None
    source: str
    key: str
    row: int


class PieceFindings(TypedDict):
    """What is known of a piece when it has been read: ``broken`` are 1,000 rows at most, each with what is wrong."""

    key: str
    split: Split | None
    source: str
    lines: int
    rows: int
    problem: str | None
    broken: list[tuple[int, str]]
    broken_count: int
    long: list[tuple[int, int]]
    long_count: int


class PartFindings(TypedDict):
    """What is known of a part when it has been read; ``bytes`` are those of its rows."""

    bytes: int
    pieces: list[PieceFindings]


@dataclass(kw_only=True, slots=True)
class _Findings:
    piece: Piece
    rows: int = 0
    broken: list[tuple[int, str]] = field(default_factory=list)
    long: list[tuple[int, int]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def note(self, found: list[Any], kind: str, row: int, said: object) -> None:
        self.counts[kind] += 1
        if len(found) < MAX_REFERENCES:
            found.append((row, said))

    def document(self, rows: PieceRows) -> PieceFindings:
        return PieceFindings(
            key=self.piece["key"],
            split=self.piece["split"],
            source=self.piece["source"],
            lines=rows.lines,
            rows=self.rows,
            problem=rows.problem,
            broken=self.broken,
            broken_count=self.counts["broken"],
            long=self.long,
            long_count=self.counts["long"],
        )


def rows_key(prefix: str, part: str) -> str:
    """Return where the rows of a part are that can be learned from."""
    return f"{prefix}parts/{part}.jsonl"


def findings_key(prefix: str, part: str) -> str:
    """Return where it is written what was found in a part."""
    return f"{prefix}parts/{part}.findings.json"


def check_part(part: DatasetPart, prefix: str, datasets: Datasets) -> dict[str, int]:
    """Read a part, write its rows and findings, and return how many ``rows`` are fine and how many are ``broken``.

    Args:
        part: What is read.
        prefix: That of the training's work, which the keys written begin with.
        datasets: Reads and writes.

    Raises:
        GatewayError: An object cannot be read or written. All of it may be repeated.
    """
    findings = PartFindings(bytes=0, pieces=[])
    with datasets.create(rows_key(prefix, part["name"])) as write:
        for piece in part["pieces"]:
            found = _Findings(piece=piece)
            rows = PieceRows(
                piece=piece,
                read=lambda start, end, key=piece["key"]: datasets.read(key, start, end),  # type: ignore[misc]
            )
            for number, row in rows:
                if isinstance(row, str):
                    found.note(found.broken, "broken", number, row)
                    continue
                if len(row.text) > MAX_CHARACTERS:
                    found.note(found.long, "long", number, len(row.text))
                found.rows += 1
                line = _line(_clean(row, number, piece))
                findings["bytes"] += len(line)
                write(line)
            findings["pieces"].append(found.document(rows))
    datasets.write(findings_key(prefix, part["name"]), json.dumps(findings, ensure_ascii=False).encode())
    return {
        "rows": sum(each["rows"] for each in findings["pieces"]),
        "broken": sum(each["broken_count"] + bool(each["problem"]) for each in findings["pieces"]),
    }


def _clean(row: LabelledText, number: int, piece: Piece) -> CleanRow:
    return CleanRow(
        text=row.text,
        label=row.label,
        language=row.language,
        hash=row.text_hash,
        split=piece["split"],
        source=piece["source"],
        key=piece["key"],
        row=number,
    )


def _line(row: CleanRow) -> bytes:
    return f"{json.dumps(row, ensure_ascii=False)}\n".encode()
