"""Rounds of batch transforms, with a bucket in memory and a SageMaker whose results the tests write."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, cast

import boto3
import pytest
from moto import mock_aws
from text_classification.gateways.calls import TimeBudget
from text_classification.gateways.errors import MisconfiguredError
from text_classification.gateways.executions import Execution
from text_classification.gateways.hosting import SageMakerHosting
from text_classification.gateways.served_model import ServedModel
from text_classification.gateways.transform_objects import TransformObjects
from text_classification.logic import transform_rounds
from text_classification.logic.errors import ConflictError, NotFoundError
from text_classification.logic.execution_names import check_name
from text_classification.logic.executions import start_once
from text_classification.logic.requests import InvalidRequestError
from text_classification.logic.transform_lines import checked_lines, csv_problem, json_problem
from text_classification.logic.transform_requests import (
    TransformRequest,
    parse_transform,
    parse_transform_body,
)
from text_classification.logic.transform_rounds import Rounds
from text_classification.logic.transforms import explain_transform, look_at

BUDGET = TimeBudget(total_seconds=10)
BUCKET = "artifacts"
REQUEST = TransformRequest(input="transform/input/today/")


class SageMaker:
    """Describes an endpoint."""

    def __init__(self) -> None:
        self.config: dict[str, Any] = {"ProductionVariants": [{"VariantName": "AllTraffic", "ModelName": "model-7"}]}

    def describe_endpoint(self, **_: str) -> dict[str, Any]:
        variant = {"VariantName": "AllTraffic", "CurrentWeight": 1.0}
        return {"EndpointName": "reviews", "EndpointConfigName": "c", "ProductionVariants": [variant]}

    def describe_endpoint_config(self, **_: str) -> dict[str, Any]:
        return self.config


@dataclass
class World:
    objects: TransformObjects
    rounds: Rounds
    sagemaker: SageMaker

    def put(self, name: str, *lines: bytes | str) -> None:
        body = b"\n".join(line.encode() if isinstance(line, str) else line for line in lines)
        self.objects.datasets.write(f"transform/input/today/{name}", body + b"\n")

    def read(self, key: str) -> bytes | None:
        return self.objects.datasets.content(key)

    def keys(self, prefix: str) -> list[str]:
        return [each.key for each in self.objects.found(prefix)]

    def plan(self, number: int = 1, request: TransformRequest = REQUEST) -> dict[str, Any]:
        return dict(json.loads(json.dumps(self.rounds.plan("t-1", number, request))))

    def transform(self, job: dict[str, str], *, without: str = "", flat: bool = False) -> None:
        """Do what SageMaker does with a manifest, but for files of one name."""
        first, *names = json.loads(self.read(job["manifest"].removeprefix(f"s3://{BUCKET}/")) or b"")
        prefix = first["prefix"].removeprefix(f"s3://{BUCKET}/")
        for name in names:
            if without and name.endswith(without):
                continue
            body = (self.read(prefix + name) or b"").splitlines()
            if job["content_type"] == "text/csv":
                out = [line + b",good,0.9,{},v1" for line in body]
            else:
                out = [json.dumps(json.loads(line) | {"SageMakerOutput": {"label": "good"}}).encode() for line in body]
            key = name.rpartition("/")[2] if flat else name
            output = job["output"].removeprefix(f"s3://{BUCKET}/")
            self.objects.datasets.write(f"{output}/{key}.out", b"".join(line + b"\n" for line in out))

    def deliver(self, number: int = 1) -> dict[str, Any]:
        return self.rounds.deliver("t-1", number)

    def all_rounds(self) -> dict[str, Any]:
        number = 1
        while (planned := self.plan(number))["files"] or planned["more"]:
            if planned["files"]:
                self.transform(planned["job"])
                assert self.deliver(number)["problems"] == []
            number += 1
        return dict(planned["summary"])


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket=BUCKET)
        objects = TransformObjects(client=client, bucket=BUCKET, budget=BUDGET)
        sagemaker = SageMaker()
        rounds = Rounds(
            objects=objects,
            model=ServedModel(
                hosting=SageMakerHosting(client=cast(Any, sagemaker), endpoint_name="reviews", budget=BUDGET)
            ),
            job_prefix="label",
            max_line_bytes=1_000,
            has_time=lambda: True,
        )
        yield World(objects, rounds, sagemaker)


def line(text: str, **others: object) -> str:
    return json.dumps({"text": text, **others}, ensure_ascii=False)


def test_each_line_has_its_result_under_the_same_path(world: World) -> None:
    world.put("a.jsonl", line("good", id=1), line("坏", id=2))
    world.put("more/b.csv", "fine", '"well, fine"')

    summary = world.all_rounds()

    found = [json.loads(each) for each in (world.read("transform/output/today/a.jsonl") or b"").splitlines()]
    assert [(each["id"], each["SageMakerOutput"]["label"]) for each in found] == [(1, "good"), (2, "good")]
    assert world.read("transform/output/today/more/b.csv") == b'fine,good,0.9,{},v1\n"well, fine",good,0.9,{},v1\n'
    assert summary["files"] == {"total": 2, "done": 2}
    assert summary["lines"] == {"transformed": 4, "refused": 0}


def test_a_job_takes_the_model_in_service_and_files_of_one_kind(world: World) -> None:
    world.put("a.csv", "fine")
    world.put("b.jsonl", line("good"))

    planned = world.plan()

    assert planned["files"] == 1
    assert planned["job"] == {
        "name": "label-46e9bc3476c92ea2-1",
        "model": "model-7",
        "manifest": "s3://artifacts/transform/work/46e9bc3476c92ea2/0001/manifest.json",
        "output": "s3://artifacts/transform/work/46e9bc3476c92ea2/0001/out",
        "content_type": "text/csv",
    }
    manifest = json.loads(world.read("transform/work/46e9bc3476c92ea2/0001/manifest.json") or b"")
    assert manifest == [{"prefix": "s3://artifacts/transform/"}, "input/today/a.csv"]


def test_an_endpoint_without_models_says_so(world: World) -> None:
    world.sagemaker.config = {"ProductionVariants": [{"VariantName": "AllTraffic"}]}
    world.put("a.csv", "fine")

    with pytest.raises(MisconfiguredError, match="inference components"):
        world.plan()


def test_lines_that_the_model_would_refuse_are_left_out_and_listed(world: World) -> None:
    world.put("a.jsonl", line("good"), '{"id": 7}', "", line(""), line("fine"), b"\xff", line("x" * 1_000))

    summary = world.all_rounds()

    results = (world.read("transform/output/today/a.jsonl") or b"").splitlines()
    assert [json.loads(each)["text"] for each in results] == ["good", "fine"]
    refused = (world.read("transform/output/today/a.jsonl.refused.jsonl") or b"").splitlines()
    assert [(each["line"], each["problem"]) for each in map(json.loads, refused)] == [
        (2, "not an object with a text"),
        (4, "text has 0 characters: must have from 1 to 10,000"),
        (6, "not UTF-8: byte 0"),
        (7, "has more than 1,000 bytes, which is the most that one call of the model takes"),
    ]
    assert summary["lines"] == {"transformed": 2, "refused": 4}


def test_a_list_of_refused_lines_is_emptied_when_the_file_is_mended(world: World) -> None:
    world.put("a.jsonl", line("good"), "broken")
    world.all_rounds()
    world.put("a.jsonl", line("good"), line("mended"))

    world.all_rounds()

    assert world.read("transform/output/today/a.jsonl.refused.jsonl") == b""
    assert len((world.read("transform/output/today/a.jsonl") or b"").splitlines()) == 2


def test_a_file_with_nothing_for_the_model_is_done_without_it(world: World) -> None:
    world.put("a.jsonl", "broken")

    planned = world.plan()

    assert (planned["files"], planned["more"], planned["job"]) == (0, False, None)
    assert world.read("transform/output/today/a.jsonl") == b""
    assert planned["summary"]["files"] == {"total": 1, "done": 1}
    assert planned["summary"]["lines"] == {"transformed": 0, "refused": 1}


def test_a_file_that_is_not_as_lines_should_be_is_copied_as_they_should_be(world: World) -> None:
    world.objects.datasets.write("transform/input/today/a.csv", b"\xef\xbb\xbfgood\r\n\r\nfine")

    job = world.plan()["job"]

    (copy,) = world.keys("transform/work/46e9bc3476c92ea2/0001/in/")
    assert world.read(copy) == b"good\nfine\n"
    world.transform(job)
    assert world.deliver()["delivered"] == 1
    assert not world.keys("transform/work/46e9bc3476c92ea2/0001/in/")
    assert not world.keys("transform/work/46e9bc3476c92ea2/0001/out/")


def test_what_is_done_is_not_done_again_until_it_changes(world: World) -> None:
    world.put("a.csv", "fine")
    world.all_rounds()
    assert world.plan()["files"] == 0

    world.put("b.csv", "new")
    assert [each["key"] for each in _planned(world)] == ["transform/input/today/b.csv"]


def _planned(world: World) -> list[dict[str, Any]]:
    assert world.plan(7)["files"]
    return list(json.loads(world.read("transform/work/46e9bc3476c92ea2/0007/plan.json") or b""))


def test_after_a_failure_the_files_with_results_are_delivered_and_the_others_are_tried_again(world: World) -> None:
    world.put("a.csv", "one")
    world.put("b.csv", "two")
    job = world.plan()["job"]
    world.transform(job, without="b.csv")

    delivered = world.deliver()

    assert (delivered["files"], delivered["delivered"]) == (2, 1)
    assert delivered["problems"] == ["transform/input/today/b.csv has no results"]
    assert [each["key"] for each in _planned(world)] == ["transform/input/today/b.csv"]


@pytest.mark.parametrize(
    ("results", "problem"),
    [
        (b"one,x\n", "has fewer results than the 2 lines that the model got"),
        (b"one,x\ntwo,x\ntwo,x\n", "has more results than the 2 lines that the model got"),
        (b"two,x\none,x\n", "has results whose line 1 is not about the text of that line"),
        (b"one,x\ntwo\n", "has results whose line 2 is not about the text of that line"),
    ],
    ids=["missing", "doubled", "order", "not joined"],
)
def test_results_that_are_not_those_of_the_lines_are_not_delivered(world: World, results: bytes, problem: str) -> None:
    world.put("a.csv", "one", "two")
    world.plan()
    world.objects.datasets.write("transform/work/46e9bc3476c92ea2/0001/out/input/today/a.csv.out", results)

    assert world.deliver()["problems"] == [f"transform/input/today/a.csv {problem}"]
    assert world.read("transform/output/today/a.csv") is None


def test_results_of_a_file_that_was_changed_meanwhile_are_not_delivered(world: World) -> None:
    world.put("a.csv", "one")
    world.transform(world.plan()["job"])
    world.put("a.csv", "two")

    assert world.deliver()["problems"] == ["transform/input/today/a.csv was changed while it was transformed"]
    assert world.plan(2)["files"] == 1


def test_results_are_found_whatever_of_their_path_is_kept(world: World) -> None:
    world.put("deep/er/a.csv", "one")
    world.transform(world.plan()["job"], flat=True)

    assert world.deliver()["delivered"] == 1


def test_what_there_is_no_time_for_is_left_to_the_next_call(world: World) -> None:
    for name in "abc":
        world.put(f"{name}.csv", name)
    hurried = replace(world, rounds=replace(world.rounds, has_time=lambda: False))
    planned = hurried.plan()
    assert planned["files"] == 1
    hurried.transform(planned["job"])

    assert hurried.deliver() == {"files": 1, "delivered": 0, "more": True, "problems": []}
    assert world.deliver() == {"files": 1, "delivered": 1, "more": False, "problems": []}
    assert world.deliver() == {"files": 1, "delivered": 1, "more": False, "problems": []}, "Lambda may call it twice"
    assert world.plan(2)["summary"]["files"] == {"total": 3, "done": 1}


def test_files_with_problems_are_not_compared_again_by_each_call(world: World) -> None:
    for name in "abc":
        world.put(f"{name}.csv", name)
    world.transform(world.plan()["job"], without="a.csv")

    def next_call() -> dict[str, Any]:
        time = iter([True, False, False])
        return replace(world, rounds=replace(world.rounds, has_time=lambda: next(time))).deliver()

    problem = "transform/input/today/a.csv has no results"
    assert next_call() == {"files": 3, "delivered": 0, "more": True, "problems": [problem]}
    assert next_call() == {"files": 3, "delivered": 1, "more": True, "problems": [problem]}
    assert next_call() == {"files": 3, "delivered": 2, "more": False, "problems": [problem]}


def test_a_transform_that_nobody_could_look_at_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match=r"the execution's name is 'nightly-2026.11.26': must be 1 to 80"):
        check_name("nightly-2026.11.26", kind="transform_id")
    assert check_name("nightly-2026-11-26", kind="transform_id") == "nightly-2026-11-26"


def test_a_round_has_no_more_files_than_one_job_should(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transform_rounds, "MAX_FILES", 2)
    for name in "abc":
        world.put(f"{name}.csv", name)

    assert world.plan()["files"] == 2


def test_a_file_that_is_too_large_is_refused_by_its_name(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transform_rounds, "MAX_FILE_BYTES", 2)
    world.put("a.csv", "three")

    with pytest.raises(InvalidRequestError, match=r"transform/input/today/a.csv has 6 bytes: at most 2, so split it"):
        world.plan()


def test_a_single_file_goes_where_its_directory_would(world: World) -> None:
    world.put("a.csv", "one")
    world.put("a.csv.csv", "not this one")
    request = TransformRequest(input="transform/input/today/a.csv", output="transform/output/elsewhere/")

    planned = world.plan(request=request)
    world.transform(planned["job"])
    world.deliver()

    assert world.keys("transform/output/") == ["transform/output/elsewhere/a.csv"]
    with pytest.raises(InvalidRequestError, match=r"there is no transform/input/today/b.csv"):
        world.plan(request=TransformRequest(input="transform/input/today/b.csv"))
    assert world.plan(request=TransformRequest(input="transform/input/tomorrow/"))["files"] == 0


@pytest.mark.parametrize("text", ['{"text": "a", "text": 7}', '{"text": null}', '"a"', "{", '{"text": "a\\u0000"}'])
def test_json_that_is_no_text_is_refused(text: str) -> None:
    assert json_problem(text.encode())


@pytest.mark.parametrize("text", ['"open', 'a"b"c,d', '""', "a,b", "x" * 10_001])
def test_csv_that_is_not_one_text_is_refused(text: str) -> None:
    assert csv_problem(text.encode())


def test_lines_are_cut_the_same_wherever_blocks_end(monkeypatch: pytest.MonkeyPatch) -> None:
    from text_classification.logic import transform_lines

    content = "".join(f"line {number} {'好' * number}\n" for number in range(30)).encode()

    def found(block: int) -> list[bytes]:
        monkeypatch.setattr(transform_lines, "_BLOCK_BYTES", block)
        lines = checked_lines(lambda begin, end: content[begin:end], len(content), kind=".csv", max_bytes=60)
        return [each.content for each in lines if each.is_record]

    assert {tuple(found(block)) for block in (1, 7, 64, 10_000)} == {tuple(content.splitlines()[:18])}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({}, "input is missing"),
        ({"input": "datasets/a.jsonl"}, "input is"),
        ({"input": "transform/input/a.txt"}, "input is"),
        ({"input": "transform/input/a.jsonl.refused.jsonl"}, "names a list of refused lines"),
        ({"input": "transform/input/a/", "output": "transform/input/b/"}, "output is"),
        ({"input": "transform/input/", "model": "x"}, "model is not known"),
    ],
)
def test_a_request_that_breaks_rules_is_refused(document: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidRequestError, match=words):
        parse_transform(document)
    with pytest.raises(InvalidRequestError, match=words):
        parse_transform_body(json.dumps(document).encode())


class Executions:
    """Remembers executions as Step Functions does."""

    def __init__(self) -> None:
        self.known: dict[str, Execution] = {}

    def start(self, name: str, document: str) -> bool:
        if name in self.known:
            return False
        self.known[name] = Execution(name=name, status="RUNNING", input=document, started_at=datetime.now(UTC))
        return True

    def find(self, name: str) -> Execution | None:
        return self.known.get(name)

    def state(self, name: str) -> str | None:
        return "Transform" if name in self.known else None


def test_a_transform_is_started_once_and_another_body_under_its_key_is_a_conflict() -> None:
    executions = Executions()

    assert (
        start_once(REQUEST.document, "t-1", executions) == start_once(REQUEST.document, "t-1", executions) == "running"
    )
    with pytest.raises(ConflictError):
        start_once(TransformRequest(input="transform/input/").document, "t-1", executions)


def test_progress_is_seen_while_sagemaker_works(world: World) -> None:
    executions = Executions()
    start_once(REQUEST.document, "t-1", executions)
    assert look_at("t-1", executions, world.objects)["status"] == "running"
    for name in "abc":
        world.put(f"{name}.csv", name)
    job = world.plan()["job"]
    world.transform(job, without="c.csv")

    seen = look_at("t-1", executions, world.objects)

    assert (seen["status"], seen["state"], seen["files"]) == ("running", "Transform", {"total": 3, "done": 2})
    world.deliver()
    assert look_at("t-1", executions, world.objects)["files"] == {"total": 3, "done": 2}


def test_why_a_transform_failed_is_seen(world: World) -> None:
    executions = Executions()
    start_once(REQUEST.document, "t-1", executions)
    executions.known["t-1"] = replace(
        executions.known["t-1"],
        status="FAILED",
        ended_at=datetime.now(UTC),
        error="TransformError",
        cause="a.csv has no results",
    )

    seen = look_at("t-1", executions, world.objects)

    assert seen["status"] == "failed"
    assert seen["error"] == {"code": "TransformError", "detail": "a.csv has no results"}
    with pytest.raises(NotFoundError):
        look_at("t-2", executions, world.objects)


def test_the_words_for_a_failure_name_the_job_and_the_files() -> None:
    cause = json.dumps({"TransformJobName": "j", "TransformJobStatus": "Failed", "FailureReason": "boom"})

    failure = explain_transform("t-1", {"Error": "States.TaskFailed", "Cause": cause}, ["a.csv has no results"])

    assert failure["cause"] == "transform job j failed: boom; a.csv has no results"
    assert explain_transform("t-1", "", ["a.csv has no results"])["cause"] == "a.csv has no results"
    assert explain_transform("t-1", None, None)["cause"]
