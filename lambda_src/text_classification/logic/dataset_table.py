"""What is kept of each row of a data set while it is put together: numbers and hashes, not texts.

With a million rows a function takes 500 MB in all.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from text_classification.logic.dataset_check import MAX_REFERENCES, CleanRow
from text_classification.logic.dataset_pieces import SPLITS, Split

_NO_SPLIT = 0


@dataclass(kw_only=True, slots=True)
class References:
    """Rows of one kind: how many, and the first 1,000 of them."""

    count: int = 0
    rows: list[dict[str, object]] = field(default_factory=list)

    def add(self, **row: object) -> None:
        self.count += 1
        if len(self.rows) < MAX_REFERENCES:
            self.rows.append(row)


@dataclass(kw_only=True, slots=True)
class _Names:
    """Numbers for names that repeat."""

    names: list[str] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)

    def number(self, name: str) -> int:
        number = self.numbers.get(name)
        if number is None:
            number = self.numbers[name] = len(self.names)
            self.names.append(name)
        return number


@dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """A text of the data set, however many rows have it."""

    text_hash: bytes
    label: str
    language: str
    split: Split | None
    feedback: bool
    row: int


@dataclass(kw_only=True, slots=True)
class DatasetTable:
    """The rows of a data set, as they are read: each text once, with the label and the row that it is kept by.

    The first row with a text wins, unless one with feedback follows. Of given splits test wins over validation and that
    over train.
    """

    duplicates: References = field(default_factory=References)
    conflicts: References = field(default_factory=References)
    corrections: References = field(default_factory=References)
    leakage: References = field(default_factory=References)
    rows: int = 0
    _keys: _Names = field(default_factory=_Names)
    _labels: _Names = field(default_factory=_Names)
    _languages: _Names = field(default_factory=_Names)
    _texts: dict[bytes, int] = field(default_factory=dict)
    # Of each row
    _row_key: array[int] = field(default_factory=lambda: array("i"))
    _row_number: array[int] = field(default_factory=lambda: array("q"))
    # Of each text
    _label: array[int] = field(default_factory=lambda: array("i"))
    _language: array[int] = field(default_factory=lambda: array("i"))
    _kept: array[int] = field(default_factory=lambda: array("q"))
    _split: bytearray = field(default_factory=bytearray)
    _feedback: bytearray = field(default_factory=bytearray)

    def add(self, row: CleanRow, number: int) -> None:
        """Take the next row, which is the object's ``number``-th."""
        self._row_key.append(self._keys.number(row["key"]))
        self._row_number.append(number)
        text_hash = bytes.fromhex(row["hash"])
        text = self._texts.setdefault(text_hash, len(self._texts))
        if text == len(self._label):
            self._label.append(self._labels.number(row["label"]))
            self._language.append(self._languages.number(row["language"]))
            self._kept.append(self.rows)
            self._split.append(_split_number(row["split"]))
            self._feedback.append(row["source"] == "feedback")
        else:
            self._add_again(text, row)
        self.rows += 1

    def texts(self) -> Iterator[Text]:
        """Yield each text once."""
        for text_hash, text in self._texts.items():
            split = self._split[text]
            yield Text(
                text_hash=text_hash,
                label=self._labels.names[self._label[text]],
                language=self._languages.names[self._language[text]],
                split=None if split == _NO_SPLIT else SPLITS[split - 1],
                feedback=bool(self._feedback[text]),
                row=self._kept[text],
            )

    def labels(self) -> Counter[str]:
        """Return how many texts have each label."""
        return Counter({self._labels.names[label]: count for label, count in Counter(self._label).items()})

    def _add_again(self, text: int, row: CleanRow) -> None:
        here = self._place(self.rows)
        first = self._place(self._kept[text])
        kept_label = self._labels.names[self._label[text]]
        corrects = row["source"] == "feedback" and not self._feedback[text]
        if row["label"] == kept_label:
            self.duplicates.add(**here, first=first)
        else:
            found = self.corrections if corrects else self.conflicts
            found.add(**here, label=row["label"], first={**first, "label": kept_label})
        if corrects:
            self._label[text] = self._labels.number(row["label"])
            self._language[text] = self._languages.number(row["language"])
            self._kept[text] = self.rows
            self._feedback[text] = True
        split, before = _split_number(row["split"]), self._split[text]
        if split and before and split != before:
            self.leakage.add(**here, split=row["split"], first={**first, "split": SPLITS[before - 1]})
        self._split[text] = max(split, before)

    def _place(self, row: int) -> dict[str, Any]:
        return {"key": self._keys.names[self._row_key[row]], "row": self._row_number[row]}


def _split_number(split: Split | None) -> int:
    return _NO_SPLIT if split is None else SPLITS.index(split) + 1
