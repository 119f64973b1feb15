"""Data sets as they are planned, checked part by part and put together, in a bucket in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from text_classification.gateways import datasets as gateway
from text_classification.gateways.datasets import S3Datasets
from text_classification.logic import dataset_parts
from text_classification.logic.dataset_check import check_part
from text_classification.logic.dataset_combination import DatasetError
from text_classification.logic.dataset_pieces import dataset_objects
from text_classification.logic.dataset_pieces import dataset_parts as parts_of
from text_classification.logic.requests import InvalidRequestError

from tests.unit.lambda_src.training_world import World, json_lines, texts, world_in_memory


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with world_in_memory() as world:
        yield world


GOOD = json_lines(texts("good", 10) | texts("spam", 10))
REPORT = "trainings/t-1/dataset-report.json"


def refusal(world: World, **request: Any) -> str:
    with pytest.raises(DatasetError) as refused:
        world.check(world.plan(**request))
    return str(refused.value)


def test_a_data_set_becomes_shards_validation_and_test(world: World) -> None:
    world.put("datasets/d/a.jsonl", GOOD)
    world.put("datasets/d/b.csv", '\ufefflabel,text,language\r\nspam,"很好, ""真的""\nyes",zh\r\n\r\ngood,fine,\r\n')
    combined = world.check(world.plan(instance_count=2))

    shards = [world.rows(f"trainings/t-1/train/shard-0000{number}.jsonl") for number in range(2)]
    validation = world.rows("trainings/t-1/validation/validation.jsonl")
    test = world.rows("trainings/t-1/test/test.jsonl")
    assert [len(shard) for shard in shards] == [9, 9]
    assert sorted(row["label"] for row in validation) == sorted(row["label"] for row in test) == ["good", "spam"]
    rows = [row for part in (*shards, validation, test) for row in part]
    assert {"text": '很好, "真的"\nyes', "label": "spam", "language": "zh"} in rows
    assert {"text": "fine", "label": "good", "language": "en"} in rows
    assert len({row["text"] for row in rows}) == 22
    report = world.document(REPORT)
    assert combined == {
        "rows": 22,
        "train": 18,
        "validation": 2,
        "test": 2,
        "labels": {"good": 11, "spam": 11},
        "duplicates": 0,
        "conflicts": 0,
        "dataset_hash": report["dataset_hash"],
        "report": REPORT,
    }
    assert report["problems"] == report["warnings"] == []
    assert report["languages"] == {"en": 21, "zh": 1}
    assert report["labels"]["good"] == {"train": 9, "validation": 1, "test": 1}


def test_broken_rows_are_refused_by_their_row_numbers_also_behind_empty_lines_and_in_later_parts(world: World) -> None:
    lines = [*GOOD.splitlines(), "", '{"text": "", "label": "x"}', "{", "", *GOOD.splitlines(), '{"text": 3}', "[1]"]
    world.put("datasets/d/a.jsonl", "\n".join(lines))
    world.part_bytes = 100
    message = refusal(world)

    assert "4 rows broken: datasets/d/a.jsonl row 22 (text is empty), datasets/d/a.jsonl row 23 (not JSON: " in message
    assert "row 45 (label missing), datasets/d/a.jsonl row 46 (not an object with a text)" in message
    assert message.endswith(f"See {REPORT}")
    report = world.document(REPORT)
    assert [(row["key"], row["row"]) for row in report["broken"]["rows"]] == [
        ("datasets/d/a.jsonl", number) for number in (22, 23, 45, 46)
    ]
    assert len(report["problems"]) == 1
    assert not world.datasets.content("trainings/t-1/train/shard-00000.jsonl")


def test_broken_rows_of_csv_are_named_by_the_line_that_they_begin_in(world: World) -> None:
    latin = "good,g\xfcnstig\n".encode("latin-1")
    content = b'label,text\ngood,"two\nlines"\n' + latin + b'good\ngood,x,y\n,x\nspam,"never closed\n'
    world.put("datasets/d/a.csv", content)
    message = refusal(world)

    assert message.partition("broken: ")[2].partition("; ")[0].replace("datasets/d/", "").split(", ") == [
        "a.csv row 4 (not UTF-8: byte 34 of the object)",
        "a.csv row 5 (1 of 2 columns: quote texts with commas)",
        "a.csv row 6 (3 of 2 columns: quote texts with commas)",
        "a.csv row 7 (label is empty)",
        "a.csv row 8 (not CSV: unexpected end of data)",
    ]
    assert content[34] == 0xFC


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("text,kind\na,b\n", 'no column label: the header is "text, kind"'),
        ("text;label\na;b\n", 'no column text and label: the header is "text;label": separate columns by commas, not'),
        ("text,label,label\na,b,c\n", 'columns of the same name: the header is "text, label, label"'),
        (
            "text,label\na,b\n".encode("utf-16"),
            "not UTF-8: byte 0 of the object (it looks like UTF-16: save it as UTF-8)",
        ),
        ("text,label\na,b\n".encode("utf-16-le"), "the header has the character U+0000: it looks like UTF-16"),
    ],
)
def test_csv_without_its_columns_is_refused(world: World, content: bytes | str, problem: str) -> None:
    world.put("datasets/d/a.csv", content)
    world.put("datasets/d/b.jsonl", GOOD)

    assert f"datasets/d/a.csv: {problem}" in refusal(world)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"text": "a", "label": 1}, "label is 1: must be a string"),
        ({"text": "a\0", "label": "x"}, "text has the character U+0000 at 1: remove it"),
        ({"text": "\ud83d", "label": "x"}, "text has half of a surrogate pair"),
        ({"text": "a", "label": "x" * 257}, "label has 257 characters: must have from 1 to 256"),
        ({"text": "a", "label": "x", "language": "fr"}, 'language is "fr": must be one of en, zh, or empty'),
        ({"text": "a", "label": " "}, "label is empty"),
    ],
)
def test_what_is_wrong_with_a_row_is_said(world: World, row: dict[str, object], problem: str) -> None:
    world.put("datasets/d/a.jsonl", f"{json.dumps(row)}\n{GOOD}")

    assert f"1 row broken: datasets/d/a.jsonl row 1 ({problem}" in refusal(world)


def test_an_object_without_line_breaks_is_refused_and_not_read_to_its_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataset_parts, "MAX_LINE_BYTES", 1_000)
    monkeypatch.setattr(dataset_parts, "_MORE_BYTES", 100)
    world.part_bytes, read, positions = 500, S3Datasets.read, []

    def noted(datasets: S3Datasets, key: str, start: int, end: int) -> bytes:
        positions.append(end)
        return read(datasets, key, start, end)

    monkeypatch.setattr(S3Datasets, "read", noted)
    content = json.dumps([{"text": "good", "label": "x"}] * 500)
    world.datasets.write("datasets/d/array.jsonl", content.encode())
    plan = world.plan()
    (first, *_) = json.loads(world.datasets.content(plan["parts"]) or b"")
    check_part(first, plan["work"], world.datasets)

    assert max(positions) == 1_500
    assert "1 row broken: datasets/d/array.jsonl row 1 (longer than 1,000 bytes: " in refusal(world)


def test_of_many_broken_rows_twenty_are_told_and_a_thousand_written_down(world: World) -> None:
    world.put("datasets/d/a.jsonl", GOOD + "{\n" * 1_500)
    message = refusal(world)

    assert "1,500 rows broken" in message
    assert message.count("a.jsonl row") == 20
    assert "and 1,480 more" in message
    report = world.document(REPORT)
    assert (report["broken"]["count"], len(report["broken"]["rows"])) == (1_500, 1_000)


def test_duplicates_and_conflicts_are_left_out_and_named(world: World) -> None:
    world.put("datasets/d/a.jsonl", GOOD)
    world.put("datasets/d/b.jsonl", json_lines({"  good  number ０ ": "good", "good number 1": "spam"}))
    combined = world.check(world.plan())

    assert (combined["rows"], combined["duplicates"], combined["conflicts"]) == (20, 1, 1)
    report = world.document(REPORT)
    first = {"key": "datasets/d/a.jsonl", "row": 1}
    assert report["duplicates"]["rows"] == [{"key": "datasets/d/b.jsonl", "row": 1, "first": first}]
    assert report["conflicts"]["rows"] == [
        {
            "key": "datasets/d/b.jsonl",
            "row": 2,
            "label": "spam",
            "first": {"key": "datasets/d/a.jsonl", "row": 2, "label": "good"},
        }
    ]
    assert report["warnings"] == [
        "1 duplicate left out: datasets/d/b.jsonl row 1",
        "1 row with the text of another and another label, of which the first is kept: datasets/d/b.jsonl row 2",
    ]


def test_duplicates_in_later_parts_are_named_by_their_row_in_the_object(world: World) -> None:
    world.put("datasets/d/a.jsonl", GOOD + "\n" + GOOD.splitlines()[0])
    world.part_bytes = 100
    world.check(world.plan())

    (duplicate,) = world.document(REPORT)["duplicates"]["rows"]
    assert (duplicate["row"], duplicate["first"]["row"]) == (22, 1)


def test_a_part_keeps_to_what_a_state_machine_hands_on() -> None:
    objects = [(f"datasets/feedback/{'很' * 300}{index}.jsonl", 10) for index in range(500)]
    listed = list(parts_of(dataset_objects("datasets/d/", [], objects, 1_000_000).pieces, 1_000_000))

    assert sum(len(part["pieces"]) for part in listed) == 500
    assert len(listed) > 1
    assert all(len(json.dumps(part)) < 220_000 for part in listed)


def test_feedback_wins_over_the_data_set_unless_it_is_not_wanted(world: World) -> None:
    world.put("datasets/d/a.jsonl", GOOD)
    for index in range(3):
        world.put(f"datasets/feedback/r-{index}.jsonl", json_lines({f"good number {index}": "spam"}, source="feedback"))
    combined = world.check(world.plan())

    assert combined["labels"] == {"good": 7, "spam": 13}
    assert combined["conflicts"] == 0
    assert world.document(REPORT)["corrections"]["count"] == 3
    assert world.check(world.plan(feedback=False))["labels"] == {"good": 10, "spam": 10}


def test_many_small_objects_are_one_part(world: World) -> None:
    world.put("datasets/d/a.jsonl", GOOD)
    for index in range(5):
        world.put(f"datasets/feedback/r-{index}.jsonl", json_lines({f"new {index}": "spam"}))
    plan = world.plan()

    (part,) = json.loads(world.datasets.content(plan["parts"]) or b"")
    assert [piece["source"] for piece in part["pieces"]] == ["dataset", *["feedback"] * 5]


def test_a_label_that_only_a_mistaken_correction_has_ends_no_training(world: World) -> None:
    world.put("datasets/d/a.jsonl", GOOD)
    world.put("datasets/feedback/r-0.jsonl", json_lines({"good number 0": "spamm"}))
    combined = world.check(world.plan())

    assert combined["labels"] == {"good": 9, "spam": 10}
    assert world.document(REPORT)["warnings"] == [
        "label 'spamm' is left out: only corrections have it, 1 text, and at least 3 are needed"
    ]


def test_other_objects_of_a_data_set_with_splits_are_for_training_and_leak_like_it(world: World) -> None:
    world.put("datasets/d/a.jsonl", GOOD)
    world.put("datasets/d/validation/a.jsonl", json_lines({"good number 3": "good", "spam number 3": "spam"}))
    world.put("datasets/feedback/r-0.jsonl", json_lines({"spam number 3": "good"}))
    combined = world.check(world.plan())

    validation = world.rows("trainings/t-1/validation/validation.jsonl")
    assert {row["text"]: row["label"] for row in validation} == {"good number 3": "good", "spam number 3": "good"}
    report = world.document(REPORT)
    assert [row["row"] for row in report["leakage"]["rows"]] == [1, 2]
    assert (combined["train"], combined["test"]) == (16, 2)


def test_given_splits_are_kept_and_leakage_is_removed_from_training(world: World) -> None:
    world.put("datasets/d/train/a.jsonl", GOOD)
    world.put("datasets/d/more.jsonl", json_lines(texts("good more", 3)).replace("good more", "good", 3))
    world.put("datasets/d/test/a.jsonl", json_lines({"good number 3": "good", "spam number 99": "spam"}))
    combined = world.check(world.plan())

    test = world.rows("trainings/t-1/test/test.jsonl")
    assert sorted(row["text"] for row in test) == ["good number 3", "spam number 99"]
    train = world.rows("trainings/t-1/train/shard-00000.jsonl")
    assert "good number 3" not in [row["text"] for row in train]
    assert combined["validation"] == 3
    report = world.document(REPORT)
    assert report["leakage"]["rows"] == [
        {
            "key": "datasets/d/train/a.jsonl",
            "row": 4,
            "split": "train",
            "first": {"key": "datasets/d/test/a.jsonl", "row": 1, "split": "test"},
        }
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (json_lines(texts("good", 5)), "fewer than 2 labels (good): there is nothing to tell apart"),
        (
            json_lines(texts("good", 5) | texts("spam", 2)),
            "label 'spam' has 2 different texts: at least 3 are needed",
        ),
    ],
)
def test_what_cannot_be_learned_is_refused(world: World, content: str, problem: str) -> None:
    world.put("datasets/d/a.jsonl", content)

    assert problem in refusal(world)


@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_split_that_is_brought_and_has_no_text_is_refused_before_anything_is_trained(
    world: World, split: str
) -> None:
    world.put("datasets/d/train/a.jsonl", GOOD)
    world.put(f"datasets/d/{split}/a.csv", "text,label\n")

    assert f"the {split} split that the data set brings has no text of its own" in refusal(world)


def test_a_label_that_only_held_out_texts_have_does_not_count_as_one_to_learn(world: World) -> None:
    world.put("datasets/d/train/a.jsonl", json_lines(texts("good", 9)))
    world.put("datasets/d/test/a.jsonl", json_lines(texts("spam", 3)))

    assert "fewer than 2 labels (good): there is nothing to tell apart" in refusal(world)


def test_long_texts_and_objects_that_are_not_read_are_warned_of(world: World) -> None:
    world.put("datasets/d/a.jsonl", GOOD + json_lines({"x" * 10_001: "good"}))
    world.put("datasets/d/notes.txt", "notes")
    world.put("datasets/d/empty.csv", "")
    world.check(world.plan())

    assert world.document(REPORT)["warnings"] == [
        "1 text longer than 10,000 characters, which the API refuses: datasets/d/a.jsonl row 21",
        "not read, for they are no *.jsonl or *.csv or are empty: datasets/d/empty.csv, datasets/d/notes.txt",
    ]


@pytest.mark.parametrize("key", ["datasets/d/notes.txt", "datasets/d/empty.jsonl", "datasets/other.jsonl"])
def test_a_data_set_that_is_not_there_is_refused(world: World, key: str) -> None:
    world.put(key, "" if "empty" in key else GOOD)
    with pytest.raises(DatasetError, match=r"datasets/d/ has no \*\.jsonl and no \*\.csv with anything in it"):
        world.plan()


def test_one_object_is_a_data_set_without_others_that_begin_like_it(world: World) -> None:
    world.put("datasets/d.jsonl", GOOD)
    world.put("datasets/d.jsonl.jsonl", GOOD)

    (part,) = json.loads(world.datasets.content(world.plan(dataset="datasets/d.jsonl")["parts"]) or b"")
    assert [piece["key"] for piece in part["pieces"]] == ["datasets/d.jsonl"]


@pytest.mark.parametrize("training_id", ["", "a" * 81, "a b", None])
def test_an_execution_whose_name_makes_no_names_is_refused(world: World, training_id: str) -> None:
    with pytest.raises(InvalidRequestError, match="must be 1 to 80 characters of A-Z, a-z, 0-9, - and _"):
        world.plan(training_id)


def test_objects_larger_than_one_upload_are_written_in_parts_and_read_bit_by_bit(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "_UPLOAD_BYTES", 5 * 1024 * 1024)
    content = [b"x" * 4_000_000, b"y" * 4_000_000, b"z" * 4_000_000]
    with world.datasets.create("k") as write:
        for each in content:
            write(each)

    assert world.datasets.content("k") == b"".join(content)


def test_nothing_is_written_after_a_failure(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "_UPLOAD_BYTES", 10)

    def fail(datasets: S3Datasets) -> None:
        with datasets.create("k") as write:
            write(b"x" * 20)
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail(world.datasets)

    assert world.datasets.content("k") is None
    assert "Uploads" not in world.datasets.client.list_multipart_uploads(Bucket=world.datasets.bucket)
