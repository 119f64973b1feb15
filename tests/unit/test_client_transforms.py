"""Batch transforms by the client and its command line, against a real HTTP server that answers as told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from sm_client import Client, Failure, Transform, TransformFailedError, TransformRunningError
from tests.unit.aws_answers import stack_answer
from tests.unit.recording_api import API_URL, Api, serving
from tests.unit.test_client_cli import run

STACK = (200, stack_answer(ApiUrl=API_URL, ArtifactBucketName="artifacts").encode())
STARTED = {"transform_id": "t1", "status": "running", "request_id": "r-1"}
RUNNING = {
    **STARTED,
    "state": "Transform",
    "started_at": "2026-01-02T03:04:05.678Z",
    "input": "transform/input/reviews/",
    "output": "transform/output/reviews/",
    "files": {"total": 40, "done": 17},
    "lines": {"transformed": 0, "refused": 0},
}
SUCCEEDED = {
    **RUNNING,
    "status": "succeeded",
    "state": None,
    "ended_at": "2026-01-02T03:14:05.678Z",
    "files": {"total": 40, "done": 40},
    "lines": {"transformed": 12_000, "refused": 3},
}
FAILED: dict[str, Any] = {
    **RUNNING,
    "status": "failed",
    "state": "Deliver",
    "error": {"code": "TransformError", "detail": "transform/input/reviews/a.csv has no results"},
}


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with serving() as api:
        yield api


@pytest.fixture
def client(api: Api) -> Client:
    return api.client()


def test_a_transform_is_asked_for_with_what_is_given_alone(client: Client, api: Api) -> None:
    api.answers = [(202, STARTED)]
    started = client.start_transform("transform/input/reviews/")
    client.start_transform("transform/input/reviews/", output="transform/output/new/", idempotency_key="k")

    assert started == Transform(transform_id="t1", status="running", request_id="r-1")
    first, second = api.requests
    assert (first.method, first.path) == ("POST", "/dev/v1/transforms")
    assert json.loads(first.body) == {"input": "transform/input/reviews/"}
    assert len(first.headers["idempotency-key"]) == 32
    assert json.loads(second.body) == {"input": "transform/input/reviews/", "output": "transform/output/new/"}
    assert second.headers["idempotency-key"] == "k"


def test_watching_yields_whenever_files_are_done_and_ends_with_the_transform(client: Client, api: Api) -> None:
    more = {**RUNNING, "files": {"total": 40, "done": 18}}
    api.answers = [(200, STARTED), (200, RUNNING), (200, RUNNING), (200, more), (200, SUCCEEDED)]

    assert [each.progress for each in client.watch_transform("t1")] == [
        "running",
        "Transform, 17 of 40 files",
        "Transform, 18 of 40 files",
        "succeeded, 40 of 40 files",
    ]


def test_waiting_returns_a_transform_that_succeeded_and_raises_for_others(client: Client, api: Api) -> None:
    api.answers = [(200, RUNNING), (200, SUCCEEDED)]
    done = client.wait_transform("t1")
    assert (done.files_done, done.lines, done.lines_refused) == (40, 12_000, 3)
    api.answers = [(200, FAILED)]
    with pytest.raises(TransformFailedError, match=r"transform t1 failed: TransformError: .*a\.csv has") as failed:
        client.wait_transform(done)
    assert failed.value.transform.error == Failure(code="TransformError", detail=FAILED["error"]["detail"])
    api.answers = [(200, RUNNING)]
    with pytest.raises(TransformRunningError, match=r"transform t1 is still running \(Transform, 17 of 40 files\)"):
        client.wait_transform("t1", timeout_s=0)


class Bucket:
    """The artifacts' bucket, and a client that looks at a transform without an API."""

    def __init__(self) -> None:
        session = boto3.Session("AKIATEST", "secret", region_name="us-east-1")
        self.s3 = session.client("s3")
        self.s3.create_bucket(Bucket="artifacts")
        self.client = Client(API_URL, session=session, outputs={"ArtifactBucketName": "artifacts"})

    def put(self, *keys: str, body: bytes = b"x") -> None:
        for key in keys:
            self.s3.put_object(Bucket="artifacts", Key=key, Body=body)

    def keys(self) -> list[str]:
        return [each["Key"] for each in self.s3.list_objects_v2(Bucket="artifacts")["Contents"]]

    def download(self, seen: dict[str, Any], directory: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        monkeypatch.setattr(self.client, "transform", lambda _: Transform.from_json(seen))
        return [str(path.relative_to(directory)) for path in self.client.download_results("t1", directory)]


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield Bucket()


def test_files_are_uploaded_where_transforms_look_for_them(bucket: Bucket, tmp_path: Path) -> None:
    (tmp_path / "reviews").mkdir()
    for name in ("a.jsonl", "b.csv", "notes.txt"):
        (tmp_path / "reviews" / name).write_text(name)

    assert bucket.client.upload_files(tmp_path / "reviews") == "transform/input/reviews/"
    assert bucket.client.upload_files(tmp_path / "reviews/b.csv", "other") == "transform/input/other.csv"
    assert bucket.keys() == [
        "transform/input/other.csv",
        "transform/input/reviews/a.jsonl",
        "transform/input/reviews/b.csv",
    ]


def test_the_results_of_a_prefix_are_all_that_is_there(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put("transform/output/reviews/a.csv", "transform/output/reviews/a.csv.refused.jsonl", body=b"of a")
    bucket.put("transform/output/reviews/deep/b.jsonl", "transform/output/others/c.csv")
    bucket.put("transform/output/reviews/deep/b.jsonl.refused.jsonl", body=b"")  # refused once, and no longer

    written = bucket.download(SUCCEEDED, tmp_path / "new", monkeypatch)

    assert written == ["a.csv", "a.csv.refused.jsonl", "deep/b.jsonl"]
    assert (tmp_path / "new/a.csv").read_bytes() == b"of a"


def test_the_results_of_one_object_are_its_own(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = {**FAILED, "input": "transform/input/a.csv", "output": "transform/output/"}
    bucket.put("transform/output/a.csv", "transform/output/a.csv.refused.jsonl", "transform/output/a.csv.csv")

    assert bucket.download(one, tmp_path, monkeypatch) == ["a.csv", "a.csv.refused.jsonl"]
    assert bucket.download({**STARTED, "status": "failed"}, tmp_path, monkeypatch) == []


def test_nothing_is_written_elsewhere_or_too_early(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put("transform/output/reviews/../../../out.csv")

    with pytest.raises(ValueError, match="leads out of"):
        bucket.download(SUCCEEDED, tmp_path / "in", monkeypatch)
    with pytest.raises(TransformRunningError):
        bucket.download(RUNNING, tmp_path, monkeypatch)
    assert not list(tmp_path.rglob("*.csv"))


LISTED = b"""<ListBucketResult><Name>artifacts</Name><IsTruncated>false</IsTruncated></ListBucketResult>"""


def test_the_command_line_labels_files(api: Api, tmp_path: Path) -> None:
    (tmp_path / "reviews.csv").write_text("a text\n")
    one = {**SUCCEEDED, "input": "transform/input/reviews.csv", "output": "transform/output/"}
    api.answers = [STACK, (200, b""), (202, STARTED), (200, RUNNING), (200, one), (200, one), (200, LISTED)]
    done = run(api, "label", str(tmp_path / "reviews.csv"), "--to", str(tmp_path / "labelled"))

    assert (done.returncode, done.stderr) == (0, "transform t1 is running\ntransform t1: Transform, 17 of 40 files\n")
    assert done.stdout.splitlines() == [
        "t1 succeeded",
        "  40 of 40 files, 12,000 lines, 3 refused",
        "  results: transform/output/",
    ]
    uploaded, started = api.requests[1], api.requests[2]
    assert uploaded.path.startswith("/artifacts/transform/input/reviews.csv")
    assert json.loads(started.body) == {"input": "transform/input/reviews.csv"}


def test_what_was_labelled_is_labelled_again_where_nothing_lies(api: Api, tmp_path: Path) -> None:
    (tmp_path / "reviews.csv").write_text("a text\n")
    api.answers = [STACK, (200, b""), (202, STARTED), (200, FAILED), (200, FAILED), (200, LISTED)]
    done = run(api, "label", str(tmp_path / "reviews.csv"), "--to", str(tmp_path), "--again")

    assert done.returncode == 3
    assert done.stderr.endswith("failed: TransformError: transform/input/reviews/a.csv has no results\n")
    output = json.loads(api.requests[2].body)["output"]
    assert output.startswith("transform/output/reviews.csv-")
    assert output.endswith("/")


def test_a_transform_is_started_and_looked_at(api: Api) -> None:
    api.answers = [STACK, (202, STARTED)]
    assert run(api, "transform", "transform/input/reviews/").stdout == "t1 running\n"
    api.answers = [*[(200, b"")] * 2, STACK, (200, RUNNING)]
    document = json.loads(run(api, "transform-status", "t1", "--json").stdout)
    assert (document["files"], document["files_done"], document["state"]) == (40, 17, "Transform")
    assert "written" not in document


def test_what_cannot_be_uploaded_is_wrong_usage(api: Api, tmp_path: Path) -> None:
    api.answers = [STACK]
    done = run(api, "label", "no-such-file", "--to", str(tmp_path))

    assert done.returncode == 2
    assert "there is no no-such-file" in " ".join(done.stderr.replace("│", " ").split())
