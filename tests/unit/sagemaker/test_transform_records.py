"""Records of transform jobs, as AWS's documentation has them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sm_local.sagemaker.jobs.json_paths import compiled
from sm_local.sagemaker.jobs.records import DataProcessing, RecordError, mini_batches

JSON, CSV = "application/json", "text/csv"


@pytest.mark.parametrize(
    ("path", "document", "selected"),
    [
        ("$", {"a": 1}, {"a": 1}),
        ("$.features", {"features": [1, 2], "id": 3}, [1, 2]),
        ("$.a.b", {"a": {"b": 1}}, 1),
        ("$['a b']", {"a b": 1}, 1),
        ("$['id','SageMakerOutput']", {"id": 1, "x": 2, "SageMakerOutput": 3}, {"id": 1, "SageMakerOutput": 3}),
        ("$[1:]", [1, 2, 3], [2, 3]),
        ("$[:-1]", [1, 2, 3], [1, 2]),
        ("$[0,2]", [1, 2, 3], [1, 3]),
        ("$.texts[-1]", {"texts": ["a", "b"]}, "b"),
    ],
)
def test_a_path_selects(path: str, document: Any, selected: Any) -> None:
    assert compiled(path)(document) == selected


@pytest.mark.parametrize("path", ["a", "$..a", "$[?(@.a)]", "$.a[", ""])
def test_a_path_of_another_kind_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"cannot be read|does not begin"):
        compiled(path)


@pytest.mark.parametrize(
    ("options", "batches"),
    [
        ({"lines": False, "several": True, "most_bytes": 0}, [[b"a\nbb\r\n\nc"]]),
        ({"lines": True, "several": False, "most_bytes": 9}, [[b"a"], [b"bb"], [b"c"]]),
        ({"lines": True, "several": True, "most_bytes": 0}, [[b"a", b"bb", b"c"]]),
        ({"lines": True, "several": True, "most_bytes": 5}, [[b"a", b"bb"], [b"c"]]),
    ],
)
def test_a_file_is_split_into_requests(options: Any, batches: Any) -> None:
    assert list(mini_batches(b"a\nbb\r\n\nc", **options)) == batches


def test_a_record_that_is_too_large_is_refused() -> None:
    with pytest.raises(RecordError, match="4 bytes is larger than MaxPayloadInMB"):
        list(mini_batches(b"aaaa", lines=True, several=True, most_bytes=3))


def test_answers_are_joined_to_json_records() -> None:
    processing = DataProcessing(
        input_filter="$.text", output_filter="$['id','SageMakerOutput']", join=True, content_type=JSON
    )
    records = [b'{"id": 1, "text": "a"}', b'{"id": 2, "text": "b"}']
    assert processing.request(records) == b'"a"\n"b"'
    kept = processing.result(records, b'{"label": "x"}\n{"label": "y"}\n')
    assert [json.loads(line) for line in kept.splitlines()] == [
        {"id": 1, "SageMakerOutput": {"label": "x"}},
        {"id": 2, "SageMakerOutput": {"label": "y"}},
    ]


def test_records_that_are_no_objects_stand_beside_their_answers() -> None:
    processing = DataProcessing(join=True, content_type=JSON)
    assert json.loads(processing.result([b"[1, 2]"], b"3")) == {"SageMakerInput": [1, 2], "SageMakerOutput": 3}


def test_answers_are_further_columns_of_csv_records() -> None:
    processing = DataProcessing(input_filter="$[1:]", output_filter="$[0,-1]", join=True, content_type=CSV)
    records = [b'7,"a, b"', b"8,c"]
    assert processing.request(records) == b'"a, b"\nc'
    assert processing.result(records, b"spam\nham") == b"7,spam\n8,ham"


def test_an_answer_is_filtered_without_being_joined() -> None:
    processing = DataProcessing(output_filter="$.label", content_type=CSV, accept=JSON)
    assert processing.result([b"a"], '{"label": "垃圾", "score": 1}'.encode()) == '"垃圾"'.encode()


def test_an_answer_goes_unchanged_when_nothing_is_asked_for() -> None:
    assert DataProcessing().result([b"a", b"b"], b"\x00\n\n") == b"\x00\n\n"


@pytest.mark.parametrize(
    ("records", "answer", "words"),
    [
        ([b"{}", b"{}"], b"{}", "2 records have 1 answers"),
        ([b"{"], b"{}", "a record is not JSON"),
        ([b"{}"], b"{}", r"a record has no \$\.id"),
    ],
)
def test_what_does_not_fit_is_an_error(records: list[bytes], answer: bytes, words: str) -> None:
    processing = DataProcessing(output_filter="$.id", join=True, content_type=JSON)
    with pytest.raises(RecordError, match=words):
        processing.result(records, answer)
