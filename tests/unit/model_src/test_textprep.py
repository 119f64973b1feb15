from __future__ import annotations

import subprocess
import sys
import time
import unicodedata
from pathlib import Path

import pytest
import textprep
from hypothesis import example, given
from hypothesis import strategies as st
from textprep import LANGUAGES, detect_language, normalize, normalize_with_offsets

MODEL_SOURCES = Path(textprep.__file__).parents[1]

# Whatever makes offsets hard: marks that are reordered, letters and Hangul that compose, one character that
# becomes several, with spaces in them or not, white space of all kinds, emoji with joiners and selectors.
HARD = (
    "e\u0301\u0323\u030a\u1100\u1161\u11a8\u3133가\uff76\uff9e\u09c7\u09be½ﬁ①Ａ\u00a8\ufdfa"
    " \t\r\n\u3000\u00a0\u0085👩\u200d🚀\ufe0f好"
)
TEXTS = st.text(st.one_of(st.sampled_from(HARD), st.characters()))


@pytest.mark.parametrize(
    ("sent", "normal"),
    [
        ("plain text", "plain text"),
        ("ＡＢＣ　１２３", "ABC 123"),
        ("ﬁne ½ ①", "fine 1⁄2 1"),
        ("e\u0301", "é"),
        ("ｶﾞ", "ガ"),
        ("\u1112\u1161\u11ab", "한"),
        ("a\r\n\r\n\tb\u00a0 c", "a b c"),
        (" \u3000好\n", "好"),
        ("👩\u200d🚀 ok", "👩\u200d🚀 ok"),
        (" \t\r\n", ""),
        ("", ""),
    ],
)
def test_normalizing_applies_nfkc_and_collapses_white_space(sent: str, normal: str) -> None:
    assert normalize(sent) == normal


@pytest.mark.parametrize(
    ("sent", "part", "original"),
    [
        ("ﬁne　好", "好", "好"),
        ("ﬁne　好", "f", "ﬁ"),
        ("cafe\u0301s", "é", "e\u0301"),
        ("one \r\n two", " ", " \r\n "),
        ("ＡＢＣ", "B", "Ｂ"),
        ("ｶﾞｽ", "ガ", "ｶﾞ"),
        ("\u1112\u1161\u11ab!", "한", "\u1112\u1161\u11ab"),
        ("가\u11a8!", "각", "가\u11a8"),
        ("½ off", "⁄", "½"),
        ("ＡＢ 👩\u200d🚀 Ｃ", "👩\u200d🚀", "👩\u200d🚀"),
        ("q\u0307\u0323x½", "x", "x"),
        ("q\u0307\u0323x½", "\u0323", "q\u0307\u0323"),
        ("q\u0307x½", "q", "q"),
        ("  Ａ", "A", "Ａ"),
    ],
)
def test_a_part_of_the_normal_form_leads_back_to_what_was_sent(sent: str, part: str, original: str) -> None:
    normalized = normalize_with_offsets(sent)
    index = normalized.text.index(part)
    start, end = normalized.original_span(index, index + len(part))
    assert sent[start:end] == original


@pytest.mark.parametrize(("start", "end"), [(0, 0), (2, 1), (-1, 1), (0, 4)])
def test_a_range_that_is_empty_or_outside_is_refused(start: int, end: int) -> None:
    with pytest.raises(ValueError, match="empty or outside a text of 3"):
        normalize_with_offsets("ＡＢＣ").original_span(start, end)


@given(TEXTS)
@example("q\u093c\uff9e\u0334")
def test_the_two_ways_to_normalize_agree_and_once_is_enough(text: str) -> None:
    normal = normalize(text)
    assert normalize_with_offsets(text).text == normal
    assert normalize(normal) == normal
    assert unicodedata.is_normalized("NFKC", normal)


@given(TEXTS)
def test_each_character_has_a_span_inside_the_text_and_spans_never_go_back(text: str) -> None:
    normalized = normalize_with_offsets(text)
    assert len(normalized.spans) == len(normalized.text)
    assert all(0 <= start < end <= len(text) for start, end in normalized.spans)
    for (start, end), (next_start, next_end) in zip(normalized.spans, normalized.spans[1:], strict=False):
        assert start <= next_start
        assert end <= next_end


@given(TEXTS)
def test_what_was_sent_between_two_spans_normalizes_to_what_stands_between_them(text: str) -> None:
    normalized = normalize_with_offsets(text)
    words = normalized.text.split(" ")
    position = 0
    for word in words:
        if word:
            start, end = normalized.original_span(position, position + len(word))
            assert normalize(text[start:end]).find(word) >= 0
        position += len(word) + 1


@given(TEXTS)
def test_a_text_in_normal_form_maps_to_itself(text: str) -> None:
    normal = normalize(text)
    assert normalize_with_offsets(normal).spans == tuple((index, index + 1) for index in range(len(normal)))


@pytest.mark.parametrize("text", ["好" * 10_000, "ＡＢ" * 5_000, "e" + "\u0301" * 9_999, "\u1100\u1161" * 5_000])
def test_the_longest_text_is_mapped_in_no_time(text: str) -> None:

    began = time.process_time()
    normalize_with_offsets(text)
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("这本书很好", "zh"),
        ("A good book", "en"),
        ("我的 iPhone 15 Pro Max 很好用", "zh"),
        ("The word 中文 means Chinese language", "en"),
        ("ok 好", "zh"),
        ("𠮷", "zh"),
        ("〇", "zh"),
        ("", "en"),
        ("12:30 👍 !?", "en"),
        ("これはほんです", "en"),
        ("한국어", "en"),
        ("Прекрасно", "en"),
    ],
)
def test_the_script_decides_the_language(text: str, language: str) -> None:
    assert detect_language(text) == language


@given(st.text())
def test_every_text_has_one_of_the_languages(text: str) -> None:
    assert detect_language(text) in LANGUAGES


def test_it_imports_nothing_but_the_standard_library() -> None:
    code = "import sys; import textprep; print(*{name.partition('.')[0] for name in sys.modules})"
    run = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, cwd=MODEL_SOURCES
    )
    assert set(run.stdout.split()) - set(sys.stdlib_module_names) == {"textprep", "__main__"}
