"""Batch transforms in the local AWS: a job that really runs the model, whose processes are killed on the way."""

from __future__ import annotations

import csv
import json
import os
import random
import re
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import boto3
import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from text_classification.logic.transform_requests import short_id

from sm_client import Client
from sm_client.client import stack_outputs
from sm_local.state import REGION
from tests.local_aws import Answer, LocalAws
from tests.permissions import resource_of, without
from tests.sagemaker_account import eventually
from tests.schedules import each_minute
from tests.tiny_model import EXAMPLES, train_tiny_model

pytestmark = pytest.mark.e2e


@dataclass(frozen=True)
class Transforms:
    """The deployed stack."""

    aws: LocalAws
    outputs: Mapping[str, str]
    model_version: str

    @property
    def s3(self) -> Any:
        return boto3.client("s3")

    @property
    def sagemaker(self) -> Any:
        return boto3.client("sagemaker")

    def put(self, key: str, body: bytes | str) -> None:
        content = body.encode() if isinstance(body, str) else body
        self.s3.put_object(Bucket=self.outputs["BucketName"], Key=key, Body=content)

    def read(self, key: str) -> bytes:
        found: bytes = self.s3.get_object(Bucket=self.outputs["BucketName"], Key=key)["Body"].read()
        return found

    def keys(self, prefix: str) -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.outputs["BucketName"], Prefix=prefix)
        return [each["Key"] for page in pages for each in page.get("Contents", ())]

    def call(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """Send a signed request to the API; give headers with underscores."""
        api, aws = urlsplit(self.outputs["ApiUrl"] + path), urlsplit(os.environ["AWS_ENDPOINT_URL"])
        url = f"{aws.scheme}://{aws.netloc}{api.path}"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        data = json.dumps(body).encode() if body is not None else b""
        request = AWSRequest(
            method=method,
            url=url,
            data=data,
            headers={"Host": api.netloc, "Content-Type": "application/json", **named},
        )
        credentials = boto3.Session().get_credentials()
        assert credentials is not None
        SigV4Auth(credentials.get_frozen_credentials(), "execute-api", REGION).add_auth(request)
        answer = requests.request(
            method, url, data=data, headers=dict(request.headers), verify=os.environ["AWS_CA_BUNDLE"], timeout=60
        )
        return Answer(answer.status_code, dict(answer.headers), answer.content)

    def patiently(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """Send a request as clients do, again when a busy machine has not answered in time."""
        for _ in range(5):
            answer = self.call(method, path, body, **headers)
            if answer.status not in (502, 503, 504):
                break
        return answer

    def start(self, **request: str) -> str:
        answer = self.patiently("POST", "v1/transforms", request, Idempotency_Key=uuid4().hex)
        assert answer.status == 202, answer.body
        assert answer.headers["Location"].endswith(f"/v1/transforms/{answer.json['transform_id']}")
        return str(answer.json["transform_id"])

    def look(self, transform_id: str) -> dict[str, Any]:
        answer = self.patiently("GET", f"v1/transforms/{transform_id}")
        assert answer.status == 200, answer.body
        return dict(answer.json)

    def execution(self, transform_id: str) -> str:
        arn = self.outputs["StateMachineArn"].replace(":stateMachine:", ":execution:")
        return f"{arn}:{transform_id}"

    def ended(self, transform_id: str, status: str = "succeeded", seconds: float = 240) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            seen = self.look(transform_id)
            time.sleep(0.5)
            return seen if seen["status"] != "running" else None

        seen = eventually(look, seconds)
        assert seen["status"] == status, seen
        return seen

    def job(self, transform_id: str, number: int = 1) -> str:
        """Return the name of a round's job, once there is one."""

        def look() -> str | None:
            found = self.sagemaker.list_transform_jobs(NameContains=f"{short_id(transform_id)}-{number}", MaxResults=5)
            return next((each["TransformJobName"] for each in found["TransformJobSummaries"]), None)

        return eventually(look)

    def processes(self, job: str) -> Iterator[int]:
        """Yield the processes of a job's models."""
        directory = self.aws.state.jobs / "transform" / job
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                if entry.name.isdecimal() and (entry / "cwd").readlink().is_relative_to(directory):
                    yield int(entry.name)

    def kill(self, job: str) -> int:
        """Kill a job's models while they work, and return how many processes they had."""
        killed = 0
        for pid in self.processes(job):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed += 1
        return killed

    def done(self, transform_id: str) -> int:
        return int(self.look(transform_id).get("files", {"done": 0})["done"])


def deploy(aws: LocalAws, model: Path, **context: object) -> Mapping[str, str]:
    answer = aws.cdk(
        "deploy",
        "--all",
        "--require-approval=never",
        f"--build={sys.executable} -m sm_constructs bundle --platform local",
        f"--app={sys.executable} -m tests.transforms.app",
        f"--output={aws.state.root / 'cdk.out.transforms'}",
        f"--context=model={model}",
        *(f"--context={name}={value}" for name, value in context.items()),
    )
    assert answer.returncode == 0, answer.stdout
    return stack_outputs("Transforms")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    directory = tmp_path_factory.mktemp("transform-model")
    return directory, train_tiny_model(directory)


@pytest.fixture(scope="module")
def transforms(local_aws: LocalAws, model: tuple[Path, str]) -> Transforms:
    directory, version = model
    return Transforms(local_aws, deploy(local_aws, directory), version)


def texts(count: int, seed: int) -> list[str]:
    """Return texts of some sentences, each different from all others."""
    chosen = random.Random(seed)  # noqa: S311
    return [f"{number} " + ", ".join(chosen.choice(EXAMPLES)[0] for _ in range(6)) for number in range(count)]


def lines(rows: Sequence[Mapping[str, object]]) -> str:
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)


def test_20000_lines_have_one_result_each_though_the_models_are_killed_on_the_way(transforms: Transforms) -> None:
    rows = {
        f"part-{part}.jsonl": [{"id": f"{part}-{n}", "text": text} for n, text in enumerate(texts(2_500, part))]
        for part in range(8)
    }
    for name, content in rows.items():
        transforms.put(f"transform/input/many/deep/{name}", lines(content))

    transform_id = transforms.start(input="transform/input/many/")
    job = transforms.job(transform_id)
    seen = set()
    killed = 0
    for _ in range(2):  # while some files have results and others have not
        before = transforms.done(transform_id)
        eventually(lambda: transforms.done(transform_id) > before, 90)  # noqa: B023 - called at once
        seen.add(transforms.done(transform_id))
        killed += transforms.kill(job)
    view = transforms.ended(transform_id)

    assert killed
    assert seen & set(range(1, 8)), "progress was not visible"
    assert view["files"] == {"total": 8, "done": 8}
    assert view["lines"] == {"transformed": 20_000, "refused": 0}
    for name, content in rows.items():
        found = [json.loads(line) for line in transforms.read(f"transform/output/many/deep/{name}").splitlines()]
        assert [(each["id"], each["text"]) for each in found] == [(each["id"], each["text"]) for each in content]
        for each in found:
            assert each["SageMakerOutput"]["label"] in {"good", "bad", "spam", "not spam"}
            assert each["SageMakerOutput"]["model_version"] == transforms.model_version
    assert not transforms.keys("transform/output/many/deep/part-0.jsonl.refused")


def test_a_job_that_is_stopped_is_followed_by_one_for_the_files_that_are_left(transforms: Transforms) -> None:
    for part in range(6):
        rows = [{"text": text} for text in texts(1_500, part)]
        transforms.put(f"transform/input/stopped/{part}.jsonl", lines(rows))
    transform_id = transforms.start(input="transform/input/stopped/")
    job = transforms.job(transform_id)
    eventually(lambda: transforms.done(transform_id) > 0, 90)
    transforms.sagemaker.stop_transform_job(TransformJobName=job)

    view = transforms.ended(transform_id)

    assert view["files"] == {"total": 6, "done": 6}
    assert view["lines"] == {"transformed": 9_000, "refused": 0}
    rounds = [
        [file for file, problem in json.loads(transforms.read(key)).items() if not problem]
        for key in transforms.keys(f"transform/work/{short_id(transform_id)}/")
        if key.endswith("/outcomes.json")
    ]
    assert len(rounds) == 2
    assert 0 < len(rounds[0]) < 6
    assert sorted(rounds[0] + rounds[1]) == [f"transform/input/stopped/{part}.jsonl" for part in range(6)]
    for part in range(6):
        found = transforms.read(f"transform/output/stopped/{part}.jsonl").splitlines()
        assert [json.loads(each)["text"] for each in found] == texts(1_500, part)


def test_both_kinds_of_files_are_labelled_and_refused_lines_are_listed_with_their_reasons(
    transforms: Transforms,
) -> None:
    transforms.put("transform/input/mixed/a.jsonl", lines([{"text": "free money", "id": 7}]) + '{"id": 8}\nnothing\n')
    transforms.put("transform/input/mixed/b.csv", 'free money\n"well, a meeting"\n"not closed\n')

    view = transforms.ended(transforms.start(input="transform/input/mixed/", output="transform/output/elsewhere/"))

    assert view["lines"] == {"transformed": 3, "refused": 3}
    (row,) = transforms.read("transform/output/elsewhere/a.jsonl").splitlines()
    assert (json.loads(row)["id"], json.loads(row)["SageMakerOutput"]["label"]) == (7, "spam")
    found = list(csv.reader(transforms.read("transform/output/elsewhere/b.csv").decode().splitlines()))
    assert [(text, label, version) for text, label, _, _, version in found] == [
        ("free money", "spam", transforms.model_version),
        ("well, a meeting", "not spam", transforms.model_version),
    ]
    refused = transforms.read("transform/output/elsewhere/a.jsonl.refused.jsonl").splitlines()
    assert [json.loads(each)["line"] for each in refused] == [2, 3]
    (unclosed,) = transforms.read("transform/output/elsewhere/b.csv.refused.jsonl").splitlines()
    assert "must not go over several lines" in json.loads(unclosed)["problem"]

    again = transforms.ended(transforms.start(input="transform/input/mixed/", output="transform/output/elsewhere/"))
    assert again["lines"] == {"transformed": 0, "refused": 0}, "what is done was done again"


def test_a_directory_goes_there_and_comes_back_labelled_by_the_client(transforms: Transforms, tmp_path: Path) -> None:
    (tmp_path / "new/deep").mkdir(parents=True)
    (tmp_path / "new/a.csv").write_text("free money\n")
    (tmp_path / "new/deep/b.jsonl").write_text(lines([{"text": "free money"}, {"text": ""}]))
    client = Client(transforms.outputs["ApiUrl"], outputs={"ArtifactBucketName": transforms.outputs["BucketName"]})

    done = client.wait_transform(client.start_transform(client.upload_files(tmp_path / "new", "by-client")))
    written = client.download_results(done, tmp_path / "labelled")

    assert (done.files, done.files_done, done.lines, done.lines_refused) == (2, 2, 2, 1)
    assert [str(path.relative_to(tmp_path / "labelled")) for path in written] == [
        "a.csv",
        "deep/b.jsonl",
        "deep/b.jsonl.refused.jsonl",
    ]
    assert written[0].read_text().startswith("free money,spam,")


def test_a_transform_that_fails_says_why_by_the_api_and_by_mail(transforms: Transforms) -> None:
    transform_id = transforms.start(input="transform/input/no-such-file.csv")

    view = transforms.ended(transform_id, "failed")

    assert view["error"] == {"code": "InvalidRequestError", "detail": "there is no transform/input/no-such-file.csv"}
    assert view["state"] == "Plan"
    sqs, url = boto3.client("sqs"), transforms.outputs["HeardUrl"]
    (message,) = eventually(lambda: sqs.receive_message(QueueUrl=url).get("Messages"))
    assert f"Transform {transform_id} failed" in message["Body"]
    assert "there is no transform/input/no-such-file.csv" in message["Body"]


def test_the_same_request_under_a_key_is_one_transform(transforms: Transforms) -> None:
    def post(**request: str) -> Answer:
        return transforms.patiently("POST", "v1/transforms", request, Idempotency_Key="tonight")

    first, second = post(input="transform/input/nothing/"), post(input="transform/input/nothing/")

    assert first.json["transform_id"] == second.json["transform_id"]
    assert transforms.ended(first.json["transform_id"])["files"] == {"total": 0, "done": 0}
    assert post(input="transform/input/nothing/").json["status"] == "succeeded"
    other = post(input="transform/input/other/")
    assert (other.status, other.headers["Content-Type"]) == (409, "application/problem+json")


@pytest.mark.parametrize("body", [{}, {"input": "datasets/a.jsonl"}, {"input": "transform/input/", "model": "x"}])
def test_a_bad_request_is_refused(transforms: Transforms, body: dict[str, str]) -> None:
    assert transforms.patiently("POST", "v1/transforms", body).status == 400
    assert transforms.patiently("GET", "v1/transforms/no-such-transform").status == 404


@pytest.fixture(scope="module")
def hasty(transforms: Transforms, model: tuple[Path, str]) -> Transforms:
    """The same stack, where one job that brings nothing is the end."""
    deploy(transforms.aws, model[0], max_attempts=1)
    return transforms


@pytest.mark.parametrize(
    ("construct", "action"),
    [
        ("TransformPlan", "s3:ListBucket"),
        ("TransformPlan", "s3:GetObject"),
        ("TransformPlan", "s3:PutObject"),
        ("TransformPlan", "sagemaker:DescribeEndpoint"),
        ("TransformPlan", "sagemaker:DescribeEndpointConfig"),
        ("TransformDeliver", "s3:DeleteObject"),
        ("TransformStateMachine", "sagemaker:AddTags"),
        ("TransformStateMachine", "sagemaker:CreateTransformJob"),
        ("TransformStateMachine", "sagemaker:DescribeTransformJob"),
        ("TransformStateMachine", "events:DescribeRule"),
        ("TransformStateMachine", "events:PutRule"),
        ("TransformStateMachine", "events:PutTargets"),
    ],
)
def test_a_transform_needs_each_permission(hasty: Transforms, construct: str, action: str) -> None:
    name = f"{construct}-{action.replace(':', '-')}"
    hasty.put(f"transform/input/{name}/a.csv", "free money\n")
    with without(resource_of("Transforms", "AWS::IAM::Role", f"{construct}Role"), action):
        view = hasty.ended(hasty.start(input=f"transform/input/{name}/"), "failed")

    assert re.search("not authorized|Access ?Denied|(?i:no permission)", view["error"]["detail"]), view


def test_a_transform_calls_functions_with_the_permission_to(hasty: Transforms) -> None:
    client = boto3.client("stepfunctions")
    with without(resource_of("Transforms", "AWS::IAM::Role", "TransformStateMachineRole"), "lambda:InvokeFunction"):
        execution = hasty.execution(hasty.start(input="transform/input/uncalled/"))

        def failure() -> str | None:
            events = client.get_execution_history(executionArn=execution)["events"]
            failures = [event["taskFailedEventDetails"] for event in events if event["type"] == "TaskFailed"]
            return str(failures[0]["cause"]) if failures else None

        cause = eventually(failure)
        client.stop_execution(executionArn=execution)  # it would try for minutes

    assert "not authorized" in cause
    assert "lambda:InvokeFunction" in cause


def test_a_failure_is_told_with_the_permission_to_publish(hasty: Transforms) -> None:
    sqs, url = boto3.client("sqs"), hasty.outputs["HeardUrl"]
    sqs.purge_queue(QueueUrl=url)
    with without(resource_of("Transforms", "AWS::IAM::Role", "TransformStateMachineRole"), "sns:Publish"):
        view = hasty.ended(hasty.start(input="transform/input/unheard.csv"), "failed")

    assert view["error"]["detail"] == "there is no transform/input/unheard.csv", "the reason must not be lost by that"
    assert not sqs.receive_message(QueueUrl=url).get("Messages")


def test_a_transform_that_is_stopped_stops_its_job_with_the_permission_to(hasty: Transforms) -> None:
    def stopped(name: str) -> str:
        hasty.put(f"transform/input/{name}/a.jsonl", lines([{"text": text} for text in texts(8_000, 1)]))
        transform_id = hasty.start(input=f"transform/input/{name}/")
        job = hasty.job(transform_id)
        boto3.client("stepfunctions").stop_execution(executionArn=hasty.execution(transform_id))

        def ended() -> str | None:
            status = hasty.sagemaker.describe_transform_job(TransformJobName=job)["TransformJobStatus"]
            return str(status) if status not in ("InProgress", "Stopping") else None

        seen = hasty.ended(transform_id, "failed")
        assert seen["error"] == {"code": "Aborted", "detail": "somebody stopped it"}
        return eventually(ended, 90)

    assert stopped("abandoned") == "Stopped"
    with without(
        resource_of("Transforms", "AWS::IAM::Role", "TransformStateMachineRole"), "sagemaker:StopTransformJob"
    ):
        assert stopped("orphaned") == "Completed"


def test_a_file_that_is_put_among_the_inputs_is_labelled_by_itself(hasty: Transforms, model: tuple[Path, str]) -> None:
    transforms = hasty
    deploy(transforms.aws, model[0], start_on_upload=1)
    transforms.put("transform/input/uploads/notes.txt", "not this one\n")
    transforms.put("transform/input/uploads/today.csv", "free money\n")

    def labelled() -> list[str]:
        time.sleep(0.5)
        return transforms.keys("transform/output/uploads/")

    assert eventually(labelled, 120) == ["transform/output/uploads/today.csv"]
    assert transforms.read("transform/output/uploads/today.csv").startswith(b"free money,spam,")


def test_a_schedule_labels_what_is_new(hasty: Transforms) -> None:
    hasty.put("transform/input/nightly/today.csv", "free money\n")

    with each_minute("Transforms"):
        keys = eventually(lambda: hasty.keys("transform/output/nightly/"), 120)

    assert keys == ["transform/output/nightly/today.csv"]
