"""Puts the checked parts of a data set together: one report, and what the training reads.

The parts are read twice: for what is to be known before a row can be written, and to write it. In between only hashes
and numbers are in memory.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from text_classification.gateways.datasets import Datasets
from text_classification.logic.dataset_check import CleanRow, PartFindings, findings_key, rows_key
from text_classification.logic.dataset_classes import Classes, classes
from text_classification.logic.dataset_parts import stream_lines
from text_classification.logic.dataset_pieces import SPLITS, DatasetPart
from text_classification.logic.dataset_report import DatasetReport, Findings
from text_classification.logic.dataset_split import spread
from text_classification.logic.dataset_table import DatasetTable

_DROPPED, _VALIDATION, _TEST = -1, -2, -3
"""Where a row goes, unless it is the number of a shard."""


class DatasetError(Exception):
    """A data set that cannot be trained with. The message names all that is wrong, and where the report is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Combination:
    """Puts one training's data set together.

    Args:
        plan: What ``plan_training`` returned.
        datasets: Reads the parts and writes the rest.
    """

    plan: Mapping[str, Any]
    datasets: Datasets

    def run(self) -> dict[str, Any]:
        """Write the report and, where nothing is wrong, the training data; return what is known of it.

        Raises:
            DatasetError: Something is wrong.
            GatewayError: An object cannot be read or written. All of it may be repeated.
        """
        parts: list[DatasetPart] = json.loads(self._content(self.plan["parts"]))
        table, findings, sizes = self._read(parts)
        kept = classes(
            table.texts(),
            given=findings.given,
            seed=self.plan["seed"],
            validation=self.plan["validation"],
            test=self.plan["test"],
        )
        report = DatasetReport(plan=self.plan, findings=findings, table=table, classes=kept)
        dataset_hash = _dataset_hash(kept)
        key = f"{self.plan['prefix']}dataset-report.json"
        self.datasets.write(key, json.dumps(report.document(dataset_hash), ensure_ascii=False, indent=1).encode())
        if problems := report.problems():
            raise DatasetError(f"{self.plan['dataset']} cannot be trained with: {'; '.join(problems)}. See {key}")
        self._write(sizes, self._places(kept, table.rows))
        splits = kept.sizes()
        return {
            "rows": sum(splits.values()),
            **splits,
            "labels": {label: each.texts() for label, each in kept.by_label.items()},
            "duplicates": table.duplicates.count,
            "conflicts": table.conflicts.count,
            "dataset_hash": dataset_hash,
            "report": key,
        }

    def _read(self, parts: list[DatasetPart]) -> tuple[DatasetTable, Findings, dict[str, int]]:
        """Return the rows, what was found, and how many bytes of rows each part has."""
        table, findings, sizes = DatasetTable(), Findings(), dict[str, int]()
        before: Counter[str] = Counter()  # lines of each object in the pieces that have been read
        for part in parts:
            found: PartFindings = json.loads(self._content(findings_key(self.plan["work"], part["name"])))
            sizes[part["name"]] = found["bytes"]
            for row in self._rows(part["name"], found["bytes"]):
                table.add(row, before[row["key"]] + row["row"])
            for piece in found["pieces"]:
                findings.add(piece, before[piece["key"]])
                before[piece["key"]] += piece["lines"]
        return table, findings, sizes

    def _places(self, kept: Classes, rows: int) -> array[int]:
        """Return where each row goes."""
        places = array("b", [_DROPPED]) * rows
        shards = spread(
            ([text.text_hash for text in each.train] for each in kept.by_label.values()), self.plan["instance_count"]
        )
        for each in kept.by_label.values():
            for text in each.train:
                places[text.row] = shards[text.text_hash]
            for text in each.validation:
                places[text.row] = _VALIDATION
            for text in each.test:
                places[text.row] = _TEST
        return places

    def _write(self, sizes: Mapping[str, int], places: array[int]) -> None:
        prefix = self.plan["prefix"]
        keys = {number: f"{prefix}train/shard-{number:05}.jsonl" for number in range(self.plan["instance_count"])}
        keys |= {_VALIDATION: f"{prefix}validation/validation.jsonl", _TEST: f"{prefix}test/test.jsonl"}
        with ExitStack() as opened:
            write = {place: opened.enter_context(self.datasets.create(key)) for place, key in keys.items()}
            rows = (row for part, size in sizes.items() for row in self._rows(part, size))
            for place, row in zip(places, rows, strict=True):
                if place != _DROPPED:
                    fields = {"text": row["text"], "label": row["label"], "language": row["language"]}
                    write[place](f"{json.dumps(fields, ensure_ascii=False)}\n".encode())

    def _rows(self, part: str, size: int) -> Iterator[CleanRow]:
        key = rows_key(self.plan["work"], part)
        for line in stream_lines(size, lambda start, end: self.datasets.read(key, start, end)):
            yield json.loads(line)

    def _content(self, key: str) -> bytes:
        content = self.datasets.content(key)
        if content is None:
            raise DatasetError(f"{key} is missing: a part of the data set has not been checked")
        return content


def _dataset_hash(kept: Classes) -> str:
    """Return a hash of the texts with their labels and splits, whatever the order of rows and objects."""
    entries = (
        json.dumps([text.text_hash.hex(), label, split])
        for label, each in kept.by_label.items()
        for split in SPLITS
        for text in each.of(split)
    )
    return hashlib.sha256("\n".join(sorted(entries)).encode()).hexdigest()
