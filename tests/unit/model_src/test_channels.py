from __future__ import annotations

import json
from pathlib import Path

import pytest
from channels import DataError, Example, read_channel


def write_lines(file: Path, *rows: object) -> None:
    file.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")


def test_json_lines_and_csv_files_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text('\ufefftext,label\r\n"a, b\nc",two\r\n', encoding="utf-8")
    write_lines(tmp_path / "a.jsonl", {"text": "x\u2028y", "label": "one", "source": "ignored"})
    (tmp_path / "notes.txt").write_text("not data")
    assert read_channel(tmp_path) == [
        Example(text="x\u2028y", label="one", language="en"),
        Example(text="a, b\nc", label="two", language="en"),
    ]


def test_the_order_of_files_is_that_of_their_names_and_not_of_the_disk(tmp_path: Path) -> None:
    names = [f"{number * 37 % 100:02}.jsonl" for number in range(100)]
    for name in names:
        write_lines(tmp_path / name, {"text": name, "label": "x"})
    assert [example.text for example in read_channel(tmp_path)] == sorted(names)


def test_of_a_repeated_text_the_first_label_wins_across_files(tmp_path: Path) -> None:
    write_lines(tmp_path / "1.jsonl", {"text": "same", "label": "first"}, {"text": "same", "label": "second"})
    write_lines(tmp_path / "2.jsonl", {"text": "same", "label": "third"}, {"text": "Same", "label": "other"})
    assert [(example.text, example.label) for example in read_channel(tmp_path)] == [
        ("same", "first"),
        ("Same", "other"),
    ]


def test_the_language_is_what_the_line_says_or_else_what_the_script_says(tmp_path: Path) -> None:
    write_lines(
        tmp_path / "1.jsonl",
        {"text": "very good", "label": "good", "language": "zh"},
        {"text": "很好", "label": "good"},
        {"text": "good", "label": "good"},
    )
    assert [example.language for example in read_channel(tmp_path)] == ["zh", "zh", "en"]


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.jsonl", '{"text": "x", "label": "y"}\n{"text"', "a.jsonl:2: not JSON"),
        ("a.jsonl", '["x", "y"]', "a.jsonl:1: must be an object"),
        ("a.jsonl", '{"text": "x"}', "a.jsonl:1: 'text' and 'label' must both be there"),
        ("a.jsonl", '{"text": " ", "label": "y"}', "a.jsonl:1: 'text' and 'label'"),
        ("a.jsonl", '{"text": "x", "label": 3}', "a.jsonl:1: 'text' and 'label'"),
        (
            "a.jsonl",
            '{"text": "x", "label": "y", "language": "fr"}',
            "a.jsonl:1: language is 'fr': must be one of en, zh",
        ),
        ("a.csv", "words,class\nx,y\n", "a.csv:2: 'text' and 'label'"),
        ("a.csv", 'text,label\n"x,y\n', "a.csv:1: not CSV"),
        ("a.txt", "x y", "has no *.jsonl or *.csv file"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_place(tmp_path: Path, name: str, content: str, problem: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError) as caught:
        read_channel(tmp_path)
    assert problem in str(caught.value)


def test_blank_lines_between_json_lines_are_no_data(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('\n{"text": "x", "label": "y"}\n\n')
    assert len(read_channel(tmp_path)) == 1
