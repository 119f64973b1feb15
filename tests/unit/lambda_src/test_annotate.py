"""The functions that annotate: their tokens, and what they refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from text_classification.logic.annotation import annotate
from text_classification.logic.segmentation import Segmenter, segmenter
from textprep import LANGUAGES, Language

from tests.unit.lambda_src.stand_in import Handler

SEGMENTERS: dict[Language, Segmenter] = {language: segmenter(language) for language in LANGUAGES}


def words(text: str, language: Language) -> list[str]:
    return [token.text for token in annotate(text, SEGMENTERS[language]).tokens]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Don't panic, it's 3.5% off!", ["Don't", "panic", ",", "it's", "3.5", "%", "off", "!"]),
        ("  Ｆｕｌｌ　width \r\n", ["Ｆｕｌｌ", "width"]),
        ("cafe\u0301 ﬁne", ["cafe\u0301", "ﬁne"]),
        ("👨\u200d👩\u200d👧 ok", ["👨\u200d👩\u200d👧", "ok"]),
        ("a½b", ["a½b"]),
        (" \u00a0\u3000\t", []),
    ],
)
def test_english_words(text: str, tokens: list[str]) -> None:
    assert words(text, "en") == tokens


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("我来到北京清华大学", ["我", "来到", "北京", "清华大学"]),
        ("质量很好， 下次还来买！", ["质量", "很", "好", "，", "下次", "还", "来", "买", "！"]),
        ("ｉＰｈｏｎｅ 很好", ["ｉＰｈｏｎｅ", "很", "好"]),
        ("好😀吗", ["好", "😀", "吗"]),
    ],
)
def test_chinese_words(text: str, tokens: list[str]) -> None:
    assert words(text, "zh") == tokens


# Single characters that become none, one or several words when they are normalised, among others.
TEXTS = st.text(
    st.characters(codec="utf-8") | st.sampled_from("ab中文,. \u3000\u0301\u200d½ﷺ￣\u0344한각👨\u1160\u11a8"),
    min_size=1,
)


@pytest.mark.parametrize("language", LANGUAGES)
@given(text=TEXTS)
@example("\ufdfa a")
@example("\u00a8")
@example(" \u0308 x")
@example("1½2")
def test_tokens_are_pieces_of_the_text_and_lose_nothing_but_white_space(language: Language, text: str) -> None:
    tokens = annotate(text, SEGMENTERS[language]).tokens

    assert all(token.text == text[token.start : token.end] for token in tokens)
    assert not any(token.text.isspace() or not token.text for token in tokens)
    ends = [0, *(token.end for token in tokens)]
    starts = [*(token.start for token in tokens), len(text)]
    gaps = [text[end:start] for end, start in zip(ends, starts, strict=True)]
    assert all(end <= start for end, start in zip(ends, starts, strict=True))
    assert "".join(gaps).strip() == ""


@pytest.fixture
def annotators(load: Callable[..., Handler]) -> Callable[[str], Handler]:
    return lambda language: load("annotate", LANGUAGE=language)


def test_each_text_gets_its_tokens_with_offsets(annotators: Callable[[str], Handler]) -> None:
    answer = annotators("zh")({"texts": ["很好", " ", "\U0001f600 好"]})

    assert json.loads(json.dumps(answer)) == {
        "annotations": [
            {"tokens": [{"text": "很", "start": 0, "end": 1}, {"text": "好", "start": 1, "end": 2}]},
            {"tokens": []},
            {"tokens": [{"text": "\U0001f600", "start": 0, "end": 1}, {"text": "好", "start": 2, "end": 3}]},
        ]
    }


def test_the_language_of_the_function_decides(annotators: Callable[[str], Handler]) -> None:
    answer = annotators("en")({"texts": ["很好"]})

    assert len(answer["annotations"][0]["tokens"]) == 2


@pytest.mark.parametrize(
    ("event", "error"),
    [
        ({}, "texts is missing"),
        ([], "the body is a list: must be an object"),
        (None, "the body is null: must be an object"),
        ("好", 'the body is "好": must be an object'),
        ({"texts": "好"}, 'texts is "好": must be a list'),
        (
            {"texts": ["", 1], "lang": "zh"},
            "texts[0] has 0 characters: must have from 1 to 10,000; texts[1] is 1: must be a string; "
            "lang is not known: allowed are texts",
        ),
        ({"texts": ["x" * 10_001]}, "texts[0] has 10,001 characters: must have from 1 to 10,000"),
        ({"texts": ["a"] * 101}, "texts has 101 entries: must have from 1 to 100"),
        (
            {"texts": ["x" * 10_000] * 2 + ["y"]},
            "texts have 20,001 characters together: at most 20,000 are allowed",
        ),
        ({"texts": ["\ud83d"]}, "texts[0] has half of a surrogate pair: must be Unicode text"),
        ({"texts": ["a\0"]}, "texts[0] has the character U+0000 at 1: remove it"),
    ],
)
def test_an_invalid_event_is_answered_with_all_that_is_wrong(
    annotators: Callable[[str], Handler], capsys: pytest.CaptureFixture[str], event: Any, error: str
) -> None:
    assert annotators("zh")(event) == {"error": error}
    line = json.loads(capsys.readouterr().out)
    assert line["level"] == "WARNING"
    assert "exception" not in line


def test_the_log_says_how_many_and_not_what(
    annotators: Callable[[str], Handler], capsys: pytest.CaptureFixture[str]
) -> None:
    annotators("en")({"texts": ["a secret", "words"]})

    output = capsys.readouterr().out
    line = json.loads(output)
    assert (line["texts"], line["tokens"]) == (2, 3)
    assert "secret" not in output


@pytest.mark.parametrize("value", ["fr", "", "auto"])
def test_a_function_for_another_language_does_not_start(annotators: Callable[[str], Handler], value: str) -> None:
    with pytest.raises(ValueError, match=f"LANGUAGE is '{value}': must be one of en, zh"):
        annotators(value)
