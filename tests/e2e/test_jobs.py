"""Jobs in the local AWS: accepted through the API, worked on from the queue, looked at through the API."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest

from sm_client import Job, batches
from sm_local.datasets import LabelledText
from sm_local.demo import Outcome, as_jobs
from tests.jobs.app import MAX_RECEIVE_COUNT
from tests.jobs.load import POISON, consumers, mapping
from tests.jobs.measure import drain
from tests.jobs.stack import JobsStack, deploy_jobs
from tests.local_aws import LocalAws
from tests.permissions import role_of_function, without
from tests.sagemaker_account import eventually

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def deployed(local_aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> JobsStack:
    stack = deploy_jobs(local_aws, tmp_path_factory.mktemp("jobs"))
    # Shorter than on AWS, where it is six times the function's timeout: a killed consumer's messages come back sooner.
    boto3.client("sqs").set_queue_attributes(QueueUrl=stack.outputs["QueueUrl"], Attributes={"VisibilityTimeout": "32"})
    return stack


@pytest.fixture
def jobs(deployed: JobsStack) -> Iterator[JobsStack]:
    yield deployed
    deployed.faults()
    deployed.close()


def ended(jobs: JobsStack, job_id: str, status: str = "succeeded", seconds: float = 90) -> Job:
    """Return a job that ends with that status."""
    (job,) = jobs.client.wait([job_id], timeout_s=seconds)
    assert job.status == status, job
    return job


def labels(jobs: JobsStack, job_id: str, seconds: float = 90) -> list[str]:
    """Return the labels of a job that succeeds."""
    return [result.label for result in jobs.client.results(ended(jobs, job_id, seconds=seconds))]


def accepted(jobs: JobsStack, *texts: str, key: str | None = None) -> str:
    """Return the id of a job that was accepted."""
    return jobs.client.submit(texts, idempotency_key=key).job_id


def taken(url: str) -> list[Any]:
    """Take messages out of a queue and return their bodies."""
    sqs = boto3.client("sqs")
    found = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
        for message in messages:
            found.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return found


def dead(jobs: JobsStack) -> set[str]:
    """Return the jobs of dead letters, those that an endpoint told of included."""
    look = {"QueueUrl": jobs.outputs["DeadLetterQueueUrl"], "MaxNumberOfMessages": 10, "VisibilityTimeout": 1}
    found: dict[str, Any] = {}
    while new := [
        message
        for message in boto3.client("sqs").receive_message(**look).get("Messages", [])
        if message["MessageId"] not in found
    ]:
        found |= {message["MessageId"]: json.loads(message["Body"]) for message in new}
    return {body.get("job_id") or body["inferenceId"].partition(".")[0] for body in found.values()}


def test_a_job_is_accepted_worked_on_and_looked_at(jobs: JobsStack) -> None:
    answer = jobs.post({"texts": ["you won a prize", "这本书很好"], "annotations": True})

    assert answer.status == 202, answer.body
    job_id = answer.json["job_id"]
    assert answer.json["status"] == "queued"
    assert answer.headers["Location"].endswith(f"/v1/jobs/{job_id}")
    ended(jobs, job_id)
    view = jobs.get(job_id).json
    assert [(each["label"], each["language"]) for each in view["results"]] == [("spam", "en"), ("good", "zh")]
    assert all(each["annotations"]["tokens"] for each in view["results"])
    assert view["model_version"] == "faulty-1"
    bucket, _, key = view["result_url"].removeprefix("s3://").partition("/")
    document = json.loads(boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
    assert document["results"] == view["results"]


def test_what_has_ended_is_announced_to_the_topic_and_the_event_bus(jobs: JobsStack) -> None:
    good, bad = accepted(jobs, "fine"), accepted(jobs, POISON)
    ended(jobs, good)
    ended(jobs, bad, "failed")

    def announced(url: str, wanted: set[str]) -> dict[str, Any]:
        found: dict[str, Any] = {}

        def look() -> bool:
            found.update({body["job_id"]: body for body in (each.get("detail", each) for each in taken(url))})
            return wanted <= found.keys()

        eventually(look)
        return found

    heard = announced(jobs.outputs["HeardUrl"], {good, bad})
    seen = announced(jobs.outputs["SeenUrl"], {good, bad})
    filtered = announced(jobs.outputs["FailuresUrl"], {bad})
    assert heard[good]["status"] == "succeeded"
    assert heard[good]["result_url"].endswith(f"/results/jobs/{good}.json")
    assert "cannot be classified" in heard[bad]["error"]
    assert (seen[good], seen[bad]) == (heard[good], heard[bad])
    assert good not in filtered


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"texts": []}, 400, "texts"),
        ({"texts": ["a"], "colour": "red"}, 400, "colour"),
        ({"texts": ["a" * 10_000] * 20 + ["a"]}, 413, "200,001"),
    ],
)
def test_a_bad_job_is_refused_with_a_problem(jobs: JobsStack, body: Any, status: int, words: str) -> None:
    answer = jobs.post(body)

    assert (answer.status, answer.headers["Content-Type"]) == (status, "application/problem+json")
    assert words in answer.json["detail"]


@pytest.mark.parametrize("key", ["", "a b", "k" * 256])
def test_a_bad_idempotency_key_is_refused_with_a_problem(jobs: JobsStack, key: str) -> None:
    answer = jobs.post({"texts": ["a"]}, Idempotency_Key=key)

    assert (answer.status, answer.headers["Content-Type"]) == (400, "application/problem+json")
    assert "must be 1 to 255 visible ASCII characters" in answer.json["detail"]


@pytest.mark.parametrize("job_id", ["0" * 32, "no-such-job"])
def test_a_job_that_there_is_not_is_not_found(jobs: JobsStack, job_id: str) -> None:
    answer = jobs.get(job_id)

    assert (answer.status, answer.headers["Content-Type"]) == (404, "application/problem+json")
    assert job_id in answer.json["detail"]


def test_identical_requests_at_the_same_time_are_one_job(jobs: JobsStack) -> None:
    body = {"texts": ["the same"]}
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: jobs.post(body, Idempotency_Key="order-17"), range(16)))

    assert {answer.status for answer in answers} == {202}
    (job_id,) = {answer.json["job_id"] for answer in answers}
    ended(jobs, job_id)
    again = jobs.post(body, Idempotency_Key="order-17")
    assert (again.status, again.json["job_id"], again.json["status"]) == (202, job_id, "succeeded")


def test_the_same_key_with_another_body_is_a_conflict(jobs: JobsStack) -> None:
    job_id = accepted(jobs, "one", key="order-18")

    answer = jobs.post({"texts": ["two"]}, Idempotency_Key="order-18")

    assert (answer.status, answer.headers["Content-Type"]) == (409, "application/problem+json")
    assert len(labels(jobs, job_id)) == 1


def test_without_a_key_the_same_request_twice_is_two_jobs(jobs: JobsStack) -> None:
    assert accepted(jobs, "one") != accepted(jobs, "one")


def test_a_request_that_is_too_large_for_the_table_goes_by_s3(jobs: JobsStack) -> None:
    texts = ["好" * 9_990] * 20  # 600 KB
    job_id = accepted(jobs, *texts)

    assert len(labels(jobs, job_id)) == 20
    item = boto3.client("dynamodb").get_item(TableName=jobs.outputs["JobTableName"], Key={"job_id": {"S": job_id}})[
        "Item"
    ]
    assert "request" not in item
    assert item["request_key"]["S"].startswith("jobs/requests/")


def _log(jobs: JobsStack, function: str) -> str:
    configuration = boto3.client("lambda").get_function_configuration(FunctionName=jobs.outputs[function])
    pages = boto3.client("logs").get_paginator("filter_log_events")
    found = pages.paginate(logGroupName=configuration["LoggingConfig"]["LogGroup"])
    return "\n".join(event["message"] for page in found for event in page["events"])


def test_a_job_that_was_recorded_and_not_queued_is_queued_later_and_worked_on_once(jobs: JobsStack) -> None:
    with without(role_of_function(jobs.outputs["QueueFunctionName"]), "sqs:SendMessage"):
        job_id = accepted(jobs, "not lost")
        eventually(lambda: "AccessDenied" in _log(jobs, "QueueFunctionName"))
        assert jobs.client.job(job_id).status == "queued"

    ended(jobs, job_id)
    versions = boto3.client("s3").list_object_versions(
        Bucket=jobs.outputs["BucketName"], Prefix=f"results/jobs/{job_id}"
    )["Versions"]
    assert len(versions) == 1


def test_jobs_are_accepted_while_the_endpoint_is_down_and_worked_on_afterwards(jobs: JobsStack) -> None:
    jobs.faults(failing=1)
    first = accepted(jobs, "patience")
    waiting = eventually(lambda: job if (job := jobs.client.job(first)).last_error or job.has_ended else None)
    assert not waiting.has_ended
    assert "the model failed" in str(waiting.last_error)
    job_ids = [first, *[accepted(jobs, f"patience {number}") for number in range(11)]]
    jobs.faults()

    for job in jobs.client.wait(job_ids, timeout_s=90):
        assert (job.status, job.last_error) == ("succeeded", None)


def test_a_poisonous_job_fails_alone_and_is_driven_back_from_the_dead_letters(jobs: JobsStack) -> None:
    mapping(jobs, Enabled=False)
    bad, good = accepted(jobs, POISON), [accepted(jobs, f"neighbour {number}") for number in range(5)]
    mapping(jobs, Enabled=True)

    assert "cannot be classified" in str(ended(jobs, bad, "failed").error)
    assert {job.status for job in jobs.client.wait(good)} == {"succeeded"}
    eventually(lambda: bad in dead(jobs))

    jobs.faults(cured=1)
    sqs, arn = boto3.client("sqs"), jobs.outputs["DeadLetterQueueArn"]
    sqs.start_message_move_task(SourceArn=arn, MaxNumberOfMessagesPerSecond=50)

    eventually(lambda: jobs.client.job(bad).status == "succeeded")
    assert len(labels(jobs, bad)) == 1
    (task,) = eventually(
        lambda: [
            each for each in sqs.list_message_move_tasks(SourceArn=arn)["Results"] if each["Status"] == "COMPLETED"
        ]
    )
    assert task["ApproximateNumberOfMessagesMoved"] >= 1
    assert not dead(jobs)


def test_a_job_that_kills_its_consumer_in_each_try_has_failed_and_says_why(jobs: JobsStack) -> None:
    jobs.faults(seconds=8)
    boto3.client("sqs").set_queue_attributes(QueueUrl=jobs.outputs["QueueUrl"], Attributes={"VisibilityTimeout": "3"})
    job_id = accepted(jobs, "deadly")
    try:

        def dies() -> bool:
            if jobs.client.job(job_id).status == "running":
                for process in consumers(jobs):
                    process.kill()
            return job_id in dead(jobs)

        eventually(dies, seconds=240)
    finally:
        boto3.client("sqs").set_queue_attributes(
            QueueUrl=jobs.outputs["QueueUrl"], Attributes={"VisibilityTimeout": "32"}
        )

    # A schedule calls it each minute, too. It takes the job for lost once no message of it can come back any more.
    def buried() -> str | None:
        boto3.client("lambda").invoke(FunctionName=jobs.outputs["BuryFunctionName"])
        return jobs.client.job(job_id).error

    bury = jobs.outputs["BuryFunctionName"]
    with without(role_of_function(bury), "sqs:GetQueueAttributes"):
        eventually(lambda: boto3.client("lambda").invoke(FunctionName=bury).get("FunctionError"), seconds=30)
    assert "ended without an answer" in eventually(buried, seconds=90)
    assert eventually(lambda: job_id in dead(jobs)), "the dead letter is gone"


def test_lines_of_a_file_become_jobs_once_and_bad_lines_are_reported(jobs: JobsStack) -> None:
    s3, bucket = boto3.client("s3"), jobs.outputs["BucketName"]
    lines = [{"texts": ["you won a prize", "fine"]}, {"texts": []}, {"texts": ["这本书很好"]}]
    body = "\n".join(json.dumps(line) for line in lines) + "\n\nthis is no JSON\n"
    etag = s3.put_object(Bucket=bucket, Key="jobs/incoming/today/reviews.jsonl", Body=body.encode())["ETag"]

    def reported() -> Any:
        found = s3.list_objects_v2(Bucket=bucket, Prefix="jobs/submitted/today/").get("Contents")
        return found and s3.get_object(Bucket=bucket, Key=found[0]["Key"])["Body"].read().splitlines()

    first, empty, second, broken = [json.loads(line) for line in eventually(reported, seconds=60)]
    assert [each["line"] for each in (first, empty, second, broken)] == [1, 2, 3, 5]
    assert "texts has 0 entries" in empty["problem"]
    assert "not JSON" in broken["problem"]
    assert labels(jobs, first["job_id"]) == ["spam", "good"]
    assert len(labels(jobs, second["job_id"])) == 1

    # The same event twice, as EventBridge may send it; then as if a function had been killed that was at work on it;
    # and once more after its report was forgotten.
    new = {"key": "jobs/incoming/today/reviews.jsonl", "etag": etag.strip('"'), "sequencer": "0042", "size": len(body)}
    reports = [_submit(jobs, new) for _ in range(2)]
    table = boto3.resource("dynamodb").Table(jobs.outputs["JobTableName"])
    items = table.scan()["Items"]
    handled = [item for item in items if str(item["job_id"]).startswith("submit-file")]
    for item in handled:
        later = int(time.time() + 900)
        table.put_item(Item={**item, "file_status": "INPROGRESS", "file_in_progress_until": later * 1000})
    s3.delete_object(Bucket=bucket, Key="jobs/submitted/today/reviews.jsonl")
    reports.append(_submit(jobs, new))
    assert s3.list_objects_v2(Bucket=bucket, Prefix="jobs/submitted/today/")["KeyCount"] == 1
    for item in handled:
        table.delete_item(Key={"job_id": item["job_id"]})
    reports.append(_submit(jobs, new))
    assert reports == [{"key": "jobs/submitted/today/reviews.jsonl", "jobs": 2, "problems": 2}] * 4
    assert table.scan(Select="COUNT")["Count"] <= len(items)


def test_a_file_that_cannot_be_made_jobs_is_told_of_and_can_be_submitted_again(jobs: JobsStack) -> None:
    function, lambda_ = jobs.outputs["SubmitFunctionName"], boto3.client("lambda")
    s3, bucket = boto3.client("s3"), jobs.outputs["BucketName"]
    with without(role_of_function(function), "dynamodb:PutItem"):
        s3.put_object(Bucket=bucket, Key="jobs/incoming/refused.jsonl", Body=b'{"texts": ["fine"]}\n{"texts": ["a"]}\n')
        (event,) = eventually(lambda: taken(jobs.outputs["FailedFilesUrl"]), seconds=60)
    assert event["requestPayload"]["detail"]["object"]["key"] == "jobs/incoming/refused.jsonl"

    def submitted() -> list[str] | None:
        report = "jobs/submitted/refused.jsonl"
        if not s3.list_objects_v2(Bucket=bucket, Prefix=report)["KeyCount"]:
            return None
        lines = s3.get_object(Bucket=bucket, Key=report)["Body"].read().splitlines()
        s3.delete_object(Bucket=bucket, Key=report)
        return [json.loads(line)["job_id"] for line in lines]

    table = boto3.resource("dynamodb").Table(jobs.outputs["JobTableName"])
    found = []
    for _ in range(2):
        lambda_.invoke(FunctionName=function, InvocationType="Event", Payload=json.dumps(event["requestPayload"]))
        found.append(eventually(submitted, seconds=60))
        for item in table.scan()["Items"]:  # as if it had not been known as done
            if str(item["job_id"]).startswith("submit-file"):
                table.delete_item(Key={"job_id": item["job_id"]})
    assert found[0] == found[1], "the second time there were other jobs"
    assert {job.status for job in jobs.client.wait(found[0])} == {"succeeded"}


def test_a_job_whose_message_got_lost_gets_another_one(jobs: JobsStack) -> None:
    mapping(jobs, Enabled=False)
    job_id = accepted(jobs, "lost and found")
    eventually(lambda: job_id in [each["job_id"] for each in taken(jobs.outputs["QueueUrl"])])
    mapping(jobs, Enabled=True)
    boto3.resource("dynamodb").Table(jobs.outputs["JobTableName"]).update_item(
        Key={"job_id": job_id}, UpdateExpression="SET overdue_at = :then", ExpressionAttributeValues={":then": 1}
    )

    boto3.client("lambda").invoke(FunctionName=jobs.outputs["BuryFunctionName"])  # or the schedule does

    assert labels(jobs, job_id) == ["good"]


def test_a_key_that_is_used_again_when_its_job_is_forgotten_names_a_new_job(jobs: JobsStack) -> None:
    first = accepted(jobs, "one", key="order-19")
    ended(jobs, first)
    table = boto3.resource("dynamodb").Table(jobs.outputs["JobTableName"])
    for item in table.scan()["Items"]:  # as if a month had passed, and DynamoDB had not deleted them yet
        if first in (item["job_id"], item.get("keyed_job_id")):
            table.put_item(Item={**item, "expires_at": int(time.time()) - 1})

    second = accepted(jobs, "two", "three", key="order-19")

    assert second != first
    assert labels(jobs, second) == ["good", "good"]
    assert accepted(jobs, "two", "three", key="order-19") == second


def report_of(jobs: JobsStack, name: str, lines: list[Any]) -> list[dict[str, Any]]:
    """Put bodies into a file that becomes jobs, and return what is reported of each."""
    s3, bucket = boto3.client("s3"), jobs.outputs["BucketName"]
    body = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    s3.put_object(Bucket=bucket, Key=f"jobs/incoming/{name}", Body=body.encode())

    def reported() -> Any:
        found = s3.list_objects_v2(Bucket=bucket, Prefix=f"jobs/submitted/{name}").get("Contents")
        return found and s3.get_object(Bucket=bucket, Key=found[0]["Key"])["Body"].read().splitlines()

    return [json.loads(line) for line in eventually(reported, seconds=60)]


def submitted_as_file(jobs: JobsStack, name: str, lines: list[Any]) -> list[str]:
    """Put bodies into a file that becomes jobs, and return their ids."""
    return [each["job_id"] for each in report_of(jobs, name, lines)]


def _submit(jobs: JobsStack, new: dict[str, str]) -> Any:
    """Tell the function of a new object, and return its report."""
    answer = boto3.client("lambda").invoke(
        FunctionName=jobs.outputs["SubmitFunctionName"], Payload=json.dumps({"detail": {"object": new}})
    )
    return json.loads(answer["Payload"].read())


def test_a_job_that_is_too_large_for_one_call_goes_through_the_asynchronous_endpoint(jobs: JobsStack) -> None:
    texts = [f"{number} {'won a prize' if number % 2 else 'fine'} ".ljust(10_000, "x") for number in range(700)]
    lines = [{"texts": texts}, {"texts": [*texts, POISON]}]
    good, bad = submitted_as_file(jobs, "large.jsonl", lines)  # 7 MB each
    assert labels(jobs, good) == ["good", "spam"] * 350
    assert "client error (400)" in str(ended(jobs, bad, "failed").error)
    eventually(lambda: bad in dead(jobs), seconds=60)


def test_a_large_job_that_fails_by_what_may_pass_is_tried_again(jobs: JobsStack) -> None:
    texts = [f"{number} {'won a prize' if number % 2 else 'fine'}" for number in range(200)]
    jobs.faults(failing=1)
    (job_id,) = submitted_as_file(jobs, "passing.jsonl", [{"texts": texts}])
    assert "server error (500)" in eventually(lambda: jobs.client.job(job_id).last_error)

    jobs.faults()

    assert labels(jobs, job_id) == ["good", "spam"] * 100


def test_a_large_job_that_was_tried_too_often_is_driven_back_from_the_dead_letters(jobs: JobsStack) -> None:
    texts = [f"{number} {'won a prize' if number % 2 else 'fine'}" for number in range(200)]
    before = _answers(jobs)
    jobs.faults(failing=1)
    (job_id,) = submitted_as_file(jobs, "failing.jsonl", [{"texts": texts}])
    assert "server error (500)" in str(ended(jobs, job_id, "failed").error)
    assert _answers(jobs) == before + MAX_RECEIVE_COUNT
    eventually(lambda: job_id in dead(jobs))

    jobs.faults()
    boto3.client("sqs").start_message_move_task(SourceArn=jobs.outputs["DeadLetterQueueArn"])

    eventually(lambda: jobs.client.job(job_id).status == "succeeded")
    assert labels(jobs, job_id) == ["good", "spam"] * 100
    assert job_id not in dead(jobs)


def test_a_job_of_ten_thousand_short_texts_is_worked_on_and_a_larger_one_is_reported(jobs: JobsStack) -> None:
    texts = [f"{number} {'won a prize' if number % 2 else 'fine'}" for number in range(10_000)]
    jobs.faults(labels=77)
    good, refused = report_of(jobs, "many.jsonl", [{"texts": texts}, {"texts": [*texts, "one more"]}])

    assert labels(jobs, good["job_id"]) == ["good", "spam"] * 5_000
    assert "10,001 entries" in refused["problem"]


def test_jobs_that_are_as_large_as_they_may_be_come_to_their_end_together(jobs: JobsStack) -> None:
    texts = [f"{number} {'won a prize' if number % 2 else 'fine'} ".ljust(800, "好") for number in range(10_000)]
    mapping(jobs, Enabled=False)
    job_ids = submitted_as_file(jobs, "largest.jsonl", [{"texts": texts}] * 2)  # 24 MB each, in one batch
    mapping(jobs, Enabled=True)

    for job_id in job_ids:
        assert labels(jobs, job_id, seconds=240) == ["good", "spam"] * 5_000


@contextmanager
def _deaf(jobs: JobsStack) -> Iterator[None]:
    """Let the queue hear of no topic for a while."""
    sns = boto3.client("sns")
    queue_arn = boto3.client("sqs").get_queue_attributes(
        QueueUrl=jobs.outputs["QueueUrl"], AttributeNames=["QueueArn"]
    )["Attributes"]["QueueArn"]
    found = [each for each in sns.list_subscriptions()["Subscriptions"] if each["Endpoint"] == queue_arn]
    assert len(found) == 2
    for each in found:
        sns.unsubscribe(SubscriptionArn=each["SubscriptionArn"])
    try:
        yield
    finally:
        for each in found:
            sns.subscribe(
                TopicArn=each["TopicArn"],
                Protocol="sqs",
                Endpoint=queue_arn,
                Attributes={"RawMessageDelivery": "true"},
            )


def _answers(jobs: JobsStack) -> int:
    """Return how many inputs the asynchronous endpoint has answered or failed."""
    s3 = boto3.client("s3")
    prefixes = ("results/large/", "results/large-failures/")
    return sum(s3.list_objects_v2(Bucket=jobs.outputs["BucketName"], Prefix=prefix)["KeyCount"] for prefix in prefixes)


def test_large_jobs_whose_notifications_never_come_end_by_what_is_in_s3(jobs: JobsStack) -> None:
    texts = [f"{number} {'won a prize' if number % 2 else 'fine'}" for number in range(200)]
    table, before = boto3.resource("dynamodb").Table(jobs.outputs["JobTableName"]), _answers(jobs)
    with _deaf(jobs):
        job_ids = submitted_as_file(jobs, "silent.jsonl", [{"texts": [*texts, text]} for text in ("a", POISON, "lost")])
        good, bad, lost = job_ids
        eventually(lambda: _answers(jobs) == before + 3, seconds=60)
        eventually(lambda: all("output_url" in table.get_item(Key={"job_id": job_id})["Item"] for job_id in job_ids))
        assert {jobs.client.job(job_id).status for job_id in job_ids} == {"running"}
        boto3.client("s3").delete_object(
            Bucket=jobs.outputs["BucketName"],
            Key=str(table.get_item(Key={"job_id": lost})["Item"]["output_url"]).split("/", 3)[3],
        )
        for job_id in job_ids:  # as if they had waited for long
            table.update_item(
                Key={"job_id": job_id},
                UpdateExpression="SET free_at = :then, overdue_at = :then",
                ExpressionAttributeValues={":then": int(time.time()) - 1},
            )

        boto3.client("lambda").invoke(FunctionName=jobs.outputs["BuryFunctionName"])  # or the schedule does

        assert labels(jobs, good) == ["good", "spam"] * 100 + ["good"]
        assert "cannot be classified" in str(ended(jobs, bad, "failed").error)
        assert "neither an answer nor an error" in str(ended(jobs, lost, "failed").error)


def test_results_too_large_for_an_answer_are_read_from_their_bucket(jobs: JobsStack) -> None:
    job = ended(jobs, accepted(jobs, "won a prize", "fine"))
    bucket, _, key = str(job.result_url).removeprefix("s3://").partition("/")
    s3 = boto3.client("s3")
    document = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    document["results"] *= 30_000
    s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(document).encode())

    job = jobs.client.job(job.job_id)
    assert (job.status, job.results) == ("succeeded", None), "the answer has them, and this test shows nothing"
    assert [result.label for result in jobs.client.results(job)] == ["spam", "good"] * 30_000


@pytest.mark.usefixtures("jobs")
def test_the_command_line_submits_a_file_waits_and_prints_results(tmp_path: Path) -> None:
    def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "sm_client", "--stack", "Jobs", *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=120)

    file = tmp_path / "texts.txt"
    file.write_text("".join(f"{number} {'won a prize' if number % 2 else 'fine'}\n" for number in range(250)))
    submitted = run("submit", "--file", str(file))
    assert re.fullmatch(r"([0-9a-f]{32} queued\n){3}", submitted.stdout), submitted
    waited = run("wait", stdin=submitted.stdout)
    assert (waited.returncode, waited.stderr) == (0, "")
    assert len(re.findall("succeeded", waited.stdout)) == 3
    results = [json.loads(line) for line in run("results", "--json", stdin=submitted.stdout).stdout.splitlines()]
    assert [each["label"] for each in results] == ["good", "spam"] * 125
    poisoned = run("wait", stdin=run("submit", POISON).stdout)
    assert poisoned.returncode == 3
    assert "this text cannot be classified" in poisoned.stdout
    assert run("status", "0" * 32).returncode == 1


def test_the_demo_finds_the_labels_of_jobs_to_be_those_of_calls(jobs: JobsStack) -> None:
    texts = [f"{number} {'won a prize' if number % 3 else 'fine'}" for number in range(150)]
    outcomes = [
        Outcome(text=LabelledText(text=text, label=""), result=result, model_version="", seconds=0)
        for group in batches(texts)
        for text, result in zip(group, jobs.client.classify(group), strict=True)
    ]

    assert as_jobs(jobs.client, outcomes) == "2 jobs: 150 of 150 labels are those of the calls above."


def test_a_call_for_ten_messages_does_at_least_five_times_as_much_as_one_for_each(jobs: JobsStack) -> None:
    jobs.faults(seconds=0.8)  # a call takes that, whatever it is asked
    one = drain(jobs, 30, batch_size=1, consumers=1)
    ten = drain(jobs, 30, batch_size=10, consumers=1)

    assert ten >= 5 * one, (one, ten)
