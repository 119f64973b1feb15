"""Many jobs, with all that goes wrong on their way, and a look at what became of each."""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import boto3
import psutil

from tests.jobs.stack import JobsStack

POISON = "this is poison"
_THREADS = 4
_ATTEMPTS = 10


def text(number: int, *, poison: bool = False) -> str:
    """Return a text whose label is known: spam for even numbers."""
    return f"{POISON} {number}" if poison else f"number {number} {'won a prize' if number % 2 == 0 else 'is fine'}"


@dataclass
class Load:
    """Jobs that were submitted.

    Args:
        stack: Where.
        good: The numbers of jobs that can succeed, by id.
        poison: The numbers of those that cannot.
        key: What their idempotency keys begin with.
    """

    stack: JobsStack
    good: dict[str, int] = field(default_factory=dict)
    poison: dict[str, int] = field(default_factory=dict)
    key: str = field(default_factory=lambda: uuid4().hex)

    @property
    def job_ids(self) -> list[str]:
        return [*self.good, *self.poison]

    def submit(self, count: int, *, poison_share: float = 0.0) -> None:
        """Submit jobs of one text through the API."""
        numbers = range(len(self.good) + len(self.poison), len(self.good) + len(self.poison) + count)
        every = round(1 / poison_share) if poison_share else 0

        def post(number: int) -> None:
            poison = bool(every) and number % every == every - 1
            body, key = {"texts": [text(number, poison=poison)]}, f"{self.key}-{number}"
            for _ in range(_ATTEMPTS):  # as a client does on a busy machine: under its key it is one job
                answer = self.stack.post(body, Idempotency_Key=key)
                if answer.status not in (502, 503, 504):
                    break
            assert answer.status == 202, answer.body
            (self.poison if poison else self.good)[answer.json["job_id"]] = number

        with ThreadPoolExecutor(_THREADS) as threads:
            list(threads.map(post, numbers))

    def duplicate(self, share: float, seed: int = 7) -> int:
        """Send further messages for some of the jobs and return how many."""
        chosen = random.Random(seed).sample(self.job_ids, round(len(self.job_ids) * share))  # noqa: S311
        sqs = boto3.client("sqs")
        for first in range(0, len(chosen), 10):
            some = chosen[first : first + 10]
            entries: Any = [{"Id": job_id, "MessageBody": json.dumps({"job_id": job_id})} for job_id in some]
            assert not sqs.send_message_batch(QueueUrl=self.stack.outputs["QueueUrl"], Entries=entries).get("Failed")
        return len(chosen)

    def statuses(self) -> Counter[str]:
        return Counter(job["job_status"] for job in self.items().values())

    def items(self) -> dict[str, dict[str, str]]:
        """Return what the table has of the jobs."""
        wanted = set(self.job_ids)
        pages = boto3.client("dynamodb").get_paginator("scan").paginate(TableName=self.stack.outputs["JobTableName"])
        found = {}
        for page in pages:
            for attributes in page["Items"]:
                item = {name: next(iter(value.values())) for name, value in attributes.items()}
                if item["job_id"] in wanted:
                    found[item["job_id"]] = item
        return found

    def wait(self, seconds: float, *, share: float = 1.0, every: float = 1.0) -> None:
        """Wait until so many of the jobs have ended."""
        deadline = time.monotonic() + seconds
        running = self.job_ids
        while len(running) > (1 - share) * len(self.job_ids):
            assert time.monotonic() < deadline, f"after {seconds:g} s: {self.statuses()}"
            # Some at a time: looking at all of them would take the machine's time from those who work on them.
            ended = self._ended(running[:100])
            running = [job_id for job_id in running if job_id not in ended]
            if len(ended) < len(running[:100]):
                time.sleep(every)

    def _ended(self, job_ids: Sequence[str]) -> set[str]:
        table = self.stack.outputs["JobTableName"]
        request: Any = {table: {"Keys": [{"job_id": {"S": job_id}} for job_id in job_ids]}}
        items = boto3.client("dynamodb").batch_get_item(RequestItems=request)["Responses"][table]
        return {item["job_id"]["S"] for item in items if item["job_status"]["S"] in ("succeeded", "failed")}

    def dead_letters(self, *, expected: int, seconds: float = 120) -> Counter[str]:
        """Take all dead letters out of their queue, once there are as many as expected, and count them by job."""
        sqs, url = boto3.client("sqs"), self.stack.outputs["DeadLetterQueueUrl"]
        deadline = time.monotonic() + seconds
        found: Counter[str] = Counter()
        wanted = set(self.job_ids)
        while len(found) < expected and time.monotonic() < deadline:
            for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
                if (job_id := json.loads(message["Body"]).get("job_id")) in wanted:
                    found[job_id] += 1
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return found

    def results(self) -> dict[str, list[dict[str, Any]]]:
        """Return every version of each job's result object."""
        s3, bucket = boto3.client("s3"), self.stack.outputs["BucketName"]
        pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix="results/jobs/")
        keys = [version["Key"] for page in pages for version in page.get("Versions", [])]
        wanted = [key for key in keys if key.rpartition("/")[2].removesuffix(".json") in self.good | self.poison]

        def read(key: str) -> dict[str, Any]:
            document: dict[str, Any] = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
            return document

        found: dict[str, list[dict[str, Any]]] = {}
        with ThreadPoolExecutor(_THREADS) as threads:
            for document in threads.map(read, wanted):
                found.setdefault(document["job_id"], []).append(document)
        return found

    def rows(self) -> list[tuple[str, int, str]]:
        """Return job, index and label of each row that the database has of the jobs."""
        data_api, outputs = boto3.client("rds-data"), self.stack.outputs
        found: list[tuple[str, int, str]] = []
        last = ""
        while True:
            page = data_api.execute_statement(
                resourceArn=outputs["ClusterArn"],
                secretArn=outputs["SecretArn"],
                database=outputs["DatabaseName"],
                sql="SELECT job_id, text_index, label FROM classifications WHERE job_id > :last "
                "ORDER BY job_id, text_index LIMIT 2000",
                parameters=[{"name": "last", "value": {"stringValue": last}}],
            )["records"]
            if not page:
                return [row for row in found if row[0] in self.good | self.poison]
            found += [(job["stringValue"], index["longValue"], label["stringValue"]) for job, index, label in page]
            last = found[-1][0]

    def announced(self) -> Counter[tuple[str, str]]:
        """Take the topic's messages out of the queue that hears it and count them by job and status."""
        sqs, url = boto3.client("sqs"), self.stack.outputs["HeardUrl"]
        found: Counter[tuple[str, str]] = Counter()
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            for message in messages:
                body = json.loads(message["Body"])
                found[body["job_id"], body["status"]] += 1
            entries: Any = [{"Id": each["MessageId"], "ReceiptHandle": each["ReceiptHandle"]} for each in messages]
            sqs.delete_message_batch(QueueUrl=url, Entries=entries)
        return found


def check(load: Load, seconds: float = 120) -> dict[str, int]:
    """Check that each good job has one right result and row, and each poison one its reason; return the counts."""
    items, results, rows = load.items(), load.results(), load.rows()
    missing = set(load.job_ids) - items.keys()
    assert not missing, f"{len(missing)} jobs are missing"
    for job_id, number in load.good.items():
        assert items[job_id]["job_status"] == "succeeded", items[job_id]
        (document,) = results[job_id]
        (result,) = document["results"]
        assert result["label"] == ("spam" if number % 2 == 0 else "good"), (number, result)
    for job_id in load.poison:
        assert items[job_id]["job_status"] == "failed", items[job_id]
        assert "this text cannot be classified" in items[job_id]["problem"]
        assert job_id not in results
    labels = {job_id: "spam" if number % 2 == 0 else "good" for job_id, number in load.good.items()}
    assert sorted(rows) == sorted((job_id, 0, label) for job_id, label in labels.items())
    dead = load.dead_letters(expected=len(load.poison), seconds=seconds)
    assert dead.keys() == load.poison.keys(), (len(dead), len(load.poison))
    return {
        "jobs": len(load.job_ids),
        "succeeded": len(load.good),
        "results": sum(map(len, results.values())),
        "rows": len(rows),
        "failed": len(load.poison),
        "dead letters": sum(dead.values()),
    }


def consumers(stack: JobsStack) -> list[psutil.Process]:
    """Return the processes that run the consumer, in this local AWS: in another one it may have the same name."""
    name, port = stack.outputs["ConsumeFunctionName"], urlsplit(os.environ["AWS_ENDPOINT_URL"]).port
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if urlsplit(process.environ().get("AWS_ENDPOINT_URL", "")).port != port:
                continue
            if any(name in part for part in [process.cwd(), *process.cmdline()]):
                found.append(process)
    return found


@contextmanager
def killing_consumers(stack: JobsStack, *, pauses: Sequence[float]) -> Iterator[list[set[str]]]:
    """Kill all consumers while they have jobs, after each of the pauses; yields the jobs that they had, for each."""
    killed: list[set[str]] = []

    def kill() -> None:
        for pause in pauses:
            time.sleep(pause)
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline and not _killed_with_jobs(stack, killed):
                time.sleep(0.1)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        thread.join()


def _killed_with_jobs(stack: JobsStack, killed: list[set[str]]) -> bool:
    """Kill the consumers if they have jobs, which is looked for while they stand still; note the jobs."""
    processes = consumers(stack)
    for process in processes:
        process.suspend()
    jobs = _running(stack) - set().union(*killed)
    for process in processes:
        process.kill() if jobs else process.resume()
    if jobs:
        killed.append(jobs)
    return bool(jobs)


def _running(stack: JobsStack) -> set[str]:
    """Return the jobs that a consumer has."""
    pages = (
        boto3.client("dynamodb")
        .get_paginator("scan")
        .paginate(
            TableName=stack.outputs["JobTableName"],
            FilterExpression="job_status = :running AND claim <> :asynchronous",
            ExpressionAttributeValues={":running": {"S": "running"}, ":asynchronous": {"S": "asynchronous"}},
        )
    )
    return {item["job_id"]["S"] for page in pages for item in page["Items"]}


def mapping(stack: JobsStack, **changes: Any) -> Any:
    """Change the event source that calls the consumer with messages, and return what it is now."""
    client = boto3.client("lambda")
    (found,) = client.list_event_source_mappings(FunctionName=stack.outputs["ConsumeFunctionName"])[
        "EventSourceMappings"
    ]
    return client.update_event_source_mapping(UUID=found["UUID"], **changes) if changes else found
