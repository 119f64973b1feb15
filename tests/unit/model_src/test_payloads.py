from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from payloads import (
    PayloadError,
    Prediction,
    read_csv,
    read_json,
    read_json_lines,
    write_csv,
    write_json,
    write_json_lines,
)

TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"])))
PREDICTION: Prediction = {
    "model_version": "0123456789ab",
    "results": [
        {"label": "好, 很好", "score": 0.75, "scores": {"好, 很好": 0.75, 'not "good"': 0.25}},
        {"label": 'not "good"', "score": 0.5, "scores": {"好, 很好": 0.5, 'not "good"': 0.5}},
    ],
}


@given(TEXTS)
def test_json_carries_any_texts(texts: list[str]) -> None:
    assert read_json(json.dumps({"texts": texts})) == texts


@given(TEXTS)
def test_json_lines_carry_any_texts(texts: list[str]) -> None:
    body = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts)
    assert read_json_lines(body) == texts


@given(TEXTS)
def test_csv_carries_any_texts(texts: list[str]) -> None:
    body = io.StringIO(newline="")
    csv.writer(body, quoting=csv.QUOTE_ALL).writerows([text] for text in texts)
    assert read_csv(body.getvalue()) == texts


@pytest.mark.parametrize(
    ("body", "texts"),
    [
        ("", []),
        ("one\ntwo", ["one", "two"]),
        ("one\r\ntwo\r\n", ["one", "two"]),
        ("one\rtwo\r", ["one", "two"]),
        ("one\n\nthree\n", ["one", "", "three"]),
        ('"two\nlines"\n', ["two\nlines"]),
        ('"comma, and ""quotes"""\n', ['comma, and "quotes"']),
        ("一\u2028二\n", ["一\u2028二"]),
    ],
)
def test_csv_has_one_text_a_line(body: str, texts: list[str]) -> None:
    assert read_csv(body) == texts


def test_json_lines_need_no_line_feed_at_the_end_and_ignore_other_fields() -> None:
    assert read_json_lines('{"text": "a", "id": 1}\n{"text": "b"}') == ["a", "b"]
    assert read_json_lines("") == []


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("", "the body is not JSON"),
        ('{"texts": ["a"', "the body is not JSON"),
        ("[" * 100_000, "the body is not JSON"),
        ('["a"]', 'must be an object like {"texts": ["..."]}'),
        ('{"text": "a"}', 'must be an object like {"texts": ["..."]}'),
        ('{"texts": "a"}', 'must be an object like {"texts": ["..."]}'),
        ('{"texts": ["a", 1]}', "texts[1] must be a string"),
        ('{"texts": [null]}', "texts[0] must be a string"),
    ],
)
def test_json_that_is_no_request_is_refused(body: str, problem: str) -> None:
    with pytest.raises(PayloadError) as caught:
        read_json(body)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ('{"text": "a"}\n{"text"', "line 2 is not JSON"),
        ('{"text": "a"}\n\n{"text": "b"}', "line 2 is not JSON"),
        ('"a"', 'line 1 must be an object like {"text": "..."}'),
        ('{"text": 1}', 'line 1 must be an object like {"text": "..."}'),
    ],
)
def test_a_wrong_json_line_is_named(body: str, problem: str) -> None:
    with pytest.raises(PayloadError) as caught:
        read_json_lines(body)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("a\nb,c\n", "line 2 has 2 columns: one text a line"),
        ('"a\n', "line 1 is not CSV"),
        ('"a"b\n', "line 1 is not CSV"),
        ("a" * 200_000, "line 1 is not CSV: field larger than field limit"),
    ],
)
def test_a_wrong_csv_line_is_named(body: str, problem: str) -> None:
    with pytest.raises(PayloadError) as caught:
        read_csv(body)
    assert problem in str(caught.value)


def test_json_answers_are_the_prediction() -> None:
    assert json.loads(write_json(PREDICTION)) == PREDICTION
    assert "很好" in write_json(PREDICTION)


def test_json_line_answers_each_name_the_model() -> None:
    lines = [json.loads(line) for line in write_json_lines(PREDICTION).splitlines()]
    assert lines == [{"model_version": "0123456789ab", **result} for result in PREDICTION["results"]]


def test_csv_answers_have_label_score_all_scores_and_version_a_line() -> None:
    rows = list(csv.reader(io.StringIO(write_csv(PREDICTION), newline=""), strict=True))
    assert [(label, float(score), version) for label, score, _, version in rows] == [
        ("好, 很好", 0.75, "0123456789ab"),
        ('not "good"', 0.5, "0123456789ab"),
    ]
    assert [json.loads(scores) for _, _, scores, _ in rows] == [result["scores"] for result in PREDICTION["results"]]


def test_no_texts_give_no_lines() -> None:
    nothing: Prediction = {"model_version": "0123456789ab", "results": []}
    assert write_csv(nothing) == write_json_lines(nothing) == ""
