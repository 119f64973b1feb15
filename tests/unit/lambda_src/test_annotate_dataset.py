"""Annotating data sets: how they are cut, and what becomes of every line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from text_classification.logic.dataset_annotation import annotated
from text_classification.logic.dataset_parts import lines, parts
from text_classification.logic.requests import InvalidRequestError, parse_dataset_annotation
from textprep import Language


@given(
    content=st.lists(st.sampled_from([b"", b"\n", b"a", b"line", b"\xe5\xa5\xbd", b" "])).map(b"".join),
    part_bytes=st.integers(1, 12),
)
def test_every_line_is_in_one_part_however_the_object_is_cut(content: bytes, part_bytes: int) -> None:
    def read(start: int, end: int) -> bytes:
        assert 0 <= start < end <= len(content) + 65_536
        return content[start:end]

    found = [line for part in parts([("k", len(content))], "", part_bytes) for line in lines(part, read)]

    assert found == [line for line in content.split(b"\n") if line.strip()]


def test_a_line_longer_than_what_is_read_at_a_time_is_whole() -> None:
    content = b"x" * 200_000 + b"\ny"
    reads = []

    def read(start: int, end: int) -> bytes:
        reads.append(end - start)
        return content[start:end]

    found = [lines(part, read) for part in parts([("k", len(content))], "", 100_000)]

    assert found == [[b"x" * 200_000], [], [b"y"]]
    assert max(reads) <= 100_001


class Echo:
    """Annotates each text by itself, and remembers how it was asked."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def annotate(self, texts: Sequence[str]) -> Sequence[dict[str, Any]]:
        self.calls.append(list(texts))
        return [{"echo": text} for text in texts]


def line(**fields: object) -> bytes:
    return json.dumps(fields).encode()


def test_each_line_keeps_its_fields_and_its_place() -> None:
    en, zh = Echo(), Echo()
    found = annotated(
        [
            line(text="good", label="a"),
            line(text="很好", id=7),
            b"\xff{",
            line(text="很好", language="en"),
            line(text="good", language="fr"),
            line(text=""),
            line(label="no text"),
        ],
        {"en": en, "zh": zh},
    )

    assert found == [
        {"text": "good", "label": "a", "annotations": {"echo": "good"}},
        {"text": "很好", "id": 7, "annotations": {"echo": "很好"}},
        {"line": "\ufffd{", "annotations": {"error": "not UTF-8: byte 0"}},
        {"text": "很好", "language": "en", "annotations": {"echo": "很好"}},
        {"text": "good", "language": "fr", "annotations": {"error": "language is 'fr': must be one of en, zh"}},
        {"text": "", "annotations": {"error": "the text has 0 characters: must have from 1 to 10,000"}},
        {"line": '{"label": "no text"}', "annotations": {"error": "not an object with a text"}},
    ]
    assert (en.calls, zh.calls) == ([["good", "很好"]], [["很好"]])


def test_a_language_without_a_function_is_an_error_of_its_lines() -> None:
    (found,) = annotated([line(text="很好")], {})

    assert found["annotations"] == {"error": "there are no annotations for zh here"}


@given(st.lists(st.integers(1, 10_000), max_size=300))
def test_no_call_has_more_than_a_function_takes(sizes: list[int]) -> None:
    echo = Echo()
    annotators: dict[Language, Echo] = {"en": echo}
    found = annotated([line(text="x" * size) for size in sizes], annotators)

    assert [len(each["annotations"]["echo"]) for each in found] == sizes
    assert all(len(call) <= 100 and sum(map(len, call)) <= 20_000 for call in echo.calls)


@pytest.mark.parametrize(
    ("event", "problem"),
    [
        ({}, "dataset is missing; output is missing"),
        ({"dataset": "models/x/", "output": "datasets/o/"}, 'dataset is "models/x/": must match'),
        ({"dataset": "datasets/x.csv", "output": "datasets/o/"}, 'dataset is "datasets/x.csv": must match'),
        ({"dataset": "datasets/x/", "output": "datasets/o"}, 'output is "datasets/o": must match'),
        (
            {"dataset": "datasets/x/", "output": "datasets/x/o/"},
            "output is 'datasets/x/o/': must not lie in the data set",
        ),
    ],
)
def test_a_wrong_start_is_refused(event: Any, problem: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        parse_dataset_annotation(event)

    assert problem in str(refused.value)
