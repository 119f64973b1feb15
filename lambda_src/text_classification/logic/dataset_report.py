"""What the check of a data set found, in words and as a document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from text_classification.logic.dataset_check import MAX_REFERENCES, PieceFindings
from text_classification.logic.dataset_classes import Classes
from text_classification.logic.dataset_pieces import Split
from text_classification.logic.dataset_table import DatasetTable, References
from text_classification.logic.requests import MAX_CHARACTERS

_NAMED = 20
"""How many rows of each kind a message names."""


@dataclass(kw_only=True, slots=True)
class Findings:
    """What the parts say, with rows numbered as in their objects.

    Args:
        read: How many rows have been read, the broken ones, too.
        given: The splits that the data set brings.
        unreadable: Objects of which nothing can be read, and why.
    """

    read: int = 0
    given: set[Split] = field(default_factory=set)
    broken: References = field(default_factory=References)
    long: References = field(default_factory=References)
    unreadable: dict[str, str] = field(default_factory=dict)
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, piece: PieceFindings, before: int) -> None:
        """Take what was found in a piece that has so many lines of its object before it."""
        key = piece["key"]
        self.read += piece["rows"] + piece["broken_count"]
        if piece["split"] is not None:
            self.given.add(piece["split"])
        if piece["problem"] is not None:
            self.unreadable[key] = piece["problem"]
        for row, problem in piece["broken"]:
            self.broken.add(key=key, row=before + row, problem=problem)
        for row, characters in piece["long"]:
            self.long.add(key=key, row=before + row, characters=characters)
        self.broken.count += piece["broken_count"] - len(piece["broken"])
        self.long.count += piece["long_count"] - len(piece["long"])
        if key in self.objects or len(self.objects) < MAX_REFERENCES:
            entry = self.objects.setdefault(
                key, {"key": key, "rows": 0, "broken": 0, "split": piece["split"], "source": piece["source"]}
            )
            entry["rows"] += piece["rows"]
            entry["broken"] += piece["broken_count"]


@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetReport:
    """All that is known of a data set.

    Args:
        plan: What ``plan_training`` returned.
        findings: Of the parts.
        table: The rows.
        classes: The texts that are kept.
    """

    plan: Mapping[str, Any]
    findings: Findings
    table: DatasetTable
    classes: Classes

    def problems(self) -> list[str]:
        """Return why the data set cannot be trained with, in words."""
        return list(self._problems())

    def warnings(self) -> list[str]:
        """Return what does not keep it from being trained with, in words."""
        return list(self._warnings())

    def document(self, dataset_hash: str) -> dict[str, Any]:
        """Return the report that S3 keeps."""
        sizes = self.classes.sizes()
        return {
            "training_id": self.plan["training_id"],
            "dataset": self.plan["dataset"],
            "dataset_hash": dataset_hash,
            "problems": self.problems(),
            "warnings": self.warnings(),
            "rows": {"read": self.findings.read, "kept": sum(sizes.values()), **sizes},
            "labels": {label: each.sizes() for label, each in self.classes.by_label.items()},
            "languages": self.classes.languages(),
            "objects": list(self.findings.objects.values()),
            "broken": asdict(self.findings.broken),
            "duplicates": asdict(self.table.duplicates),
            "conflicts": asdict(self.table.conflicts),
            "corrections": asdict(self.table.corrections),
            "leakage": asdict(self.table.leakage),
            "long": asdict(self.findings.long),
        }

    def _problems(self) -> Iterator[str]:
        for key, problem in list(self.findings.unreadable.items())[:_NAMED]:
            yield f"{key}: {problem}"
        broken = self.findings.broken
        if broken.count:
            listed = _listed([f"{_place(row)} ({row['problem']})" for row in broken.rows], broken.count)
            yield f"{_number(broken.count, 'row')} broken: {listed}"
        learned = [label for label, each in self.classes.by_label.items() if each.train]
        if len(learned) < 2:
            found = ", ".join(learned) or "none"
            yield f"fewer than 2 labels ({found}): there is nothing to tell apart"
        for label, count in self.classes.too_small.items():
            yield f"label {label!r} has {_number(count, 'different text')}: at least {self.classes.needed} are needed"
        sizes = self.classes.sizes()
        for split in sorted(self.findings.given - {"train"}):
            if not sizes[split]:
                yield f"the {split} split that the data set brings has no text of its own"
        instances = self.plan["instance_count"]
        if sizes["train"] < instances:
            yield f"{_number(sizes['train'], 'text')} to train with: fewer than instances, which are {instances}"

    def _warnings(self) -> Iterator[str]:
        table, findings = self.table, self.findings
        if findings.long.count:
            yield (
                f"{_number(findings.long.count, 'text')} longer than {MAX_CHARACTERS:,} characters, which the API "
                f"refuses: {_places(findings.long)}"
            )
        if table.duplicates.count:
            yield f"{_number(table.duplicates.count, 'duplicate')} left out: {_places(table.duplicates)}"
        if table.conflicts.count:
            yield (
                f"{_number(table.conflicts.count, 'row')} with the text of another and another label, of which the "
                f"first is kept: {_places(table.conflicts)}"
            )
        if table.leakage.count:
            yield (
                f"{_number(table.leakage.count, 'text')} in more than one given split, kept for the test, or else for "
                f"validation: {_places(table.leakage)}"
            )
        for label in self.classes.untrained:
            yield f"label {label!r} is in no training text: it cannot be learned"
        for label, count in self.classes.left_out.items():
            yield (
                f"label {label!r} is left out: only corrections have it, {_number(count, 'text')}, and at least "
                f"{self.classes.needed} are needed"
            )
        for label, each in self.classes.by_label.items():
            absent = [split for split, size in each.sizes().items() if size == 0 and split != "train"]
            if absent and each.train and label not in self.classes.too_small:
                yield f"label {label!r} is not in the given {' and '.join(absent)} split"
            if 0 < len(each.train) < self.plan["instance_count"]:
                yield f"label {label!r} has fewer training texts than there are instances"
        if ignored := self.plan.get("ignored"):
            yield f"not read, for they are no *.jsonl or *.csv or are empty: {', '.join(ignored)}"


def _places(references: References) -> str:
    return _listed([_place(row) for row in references.rows], references.count)


def _place(row: Mapping[str, Any]) -> str:
    return f"{row['key']} row {row['row']}"


def _listed(shown: Sequence[str], count: int) -> str:
    named = list(shown[:_NAMED])
    if hidden := count - len(named):
        named.append(f"and {hidden:,} more")
    return ", ".join(named)


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
