"""Files of jobs: what is too large is reported, and what cannot be written is not lost."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from typing import Any

import pytest
from text_classification.gateways.errors import UnavailableError
from text_classification.gateways.job_objects import JobObjects
from text_classification.logic import job_files
from text_classification.logic.job_files import FileSubmitter, JobFile, Report

from tests.unit.lambda_src.job_world import World, job_world

LARGE = "好" * 9_000  # with four of them a request goes to S3


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with job_world(monkeypatch) as world:
        yield world


def submit(world: World, *lines: bytes, size: int | None = None, large_jobs: bool = False) -> Report:
    """Submit a file, which is said to have that size."""
    body = b"\n".join(lines)
    key = "jobs/incoming/a.jsonl"
    etag = world.objects.client.put_object(Bucket=world.objects.bucket, Key=key, Body=body)["ETag"]
    submitter = FileSubmitter(
        table=world.table,
        objects=world.objects,
        retention_seconds=3600,
        annotated_languages=frozenset({"en"}),
        large_jobs=large_jobs,
    )
    return submitter.submit(JobFile(key=key, etag=etag, sequencer="1", size=len(body) if size is None else size))


def reported(world: World) -> list[dict[str, Any]]:
    return [json.loads(line) for line in world.objects.read("jobs/submitted/a.jsonl").splitlines()]


def line(*texts: str) -> bytes:
    return json.dumps({"texts": texts}, ensure_ascii=False).encode()


def test_requests_that_are_too_large_for_the_table_are_all_in_s3_when_the_jobs_are_there(world: World) -> None:
    lines = [line(str(number), *[LARGE] * 4) for number in range(30)]

    assert submit(world, *lines).jobs == 30

    for number, entry in enumerate(reported(world)):
        request = json.loads(world.objects.read(str(world.job(entry["job_id"]).request_key)))
        assert request["texts"][0] == str(number)


def test_the_byte_order_mark_of_a_file_is_no_part_of_its_first_line(world: World) -> None:
    report = submit(world, codecs.BOM_UTF8 + line("a"), line("b"), codecs.BOM_UTF8 + line("c"))

    assert (report.jobs, report.problems) == (2, 1)


def test_no_job_is_there_whose_request_could_not_be_written(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise UnavailableError("no connection", {})

    monkeypatch.setattr(JobObjects, "write", refuse)

    with pytest.raises(UnavailableError):
        submit(world, line("a"), line(*[LARGE] * 4))

    assert world.table.client.scan(TableName="jobs")["Count"] == 0


def test_a_line_that_is_too_long_is_reported_and_the_others_are_jobs(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_files, "MAX_LINE_BYTES", 1_000)

    assert submit(world, line("a"), line("b" * 2_000), line("c")) == Report(
        key="jobs/submitted/a.jsonl", jobs=2, problems=1
    )

    assert reported(world)[1] == {"line": 2, "problem": "the line has more than 1,000 bytes"}


def test_what_is_wrong_with_a_line_is_told_in_brief(world: World) -> None:
    columns = {f"{'很长的列名' * 5}{number}": 1 for number in range(30)}

    submit(world, json.dumps(columns, ensure_ascii=False).encode())

    (entry,) = reported(world)
    assert len(entry["problem"]) == 501
    assert entry["problem"].endswith("…")


def test_a_file_that_is_too_large_is_reported_and_not_read(world: World) -> None:
    report = submit(world, line("a"), size=1024**3 + 1)

    assert (report.jobs, report.problems) == (0, 1)
    assert "at most 1,073,741,824 are read" in reported(world)[0]["problem"]


def test_lines_beyond_the_most_are_reported(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_files, "MAX_LINES", 2)

    assert submit(world, line("a"), line("b"), line("c"), line("d")).jobs == 2

    assert reported(world)[2]["line"] == 3


def test_annotations_are_for_as_many_texts_as_a_caller_may_send_also_where_jobs_may_be_larger(world: World) -> None:
    lines = [json.dumps({"texts": ["a"] * texts, "annotations": True}).encode() for texts in (100, 101)]

    assert submit(world, *lines, large_jobs=True).jobs == 1

    assert reported(world)[1]["problem"] == "texts has 101 entries: must have from 1 to 100 with annotations"
