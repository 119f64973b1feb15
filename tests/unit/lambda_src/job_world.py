"""A table, a bucket and a queue of jobs in memory, with a model that notes what it is asked."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from moto import mock_aws
from text_classification.gateways import job_queue
from text_classification.gateways.calls import TimeBudget
from text_classification.gateways.errors import GatewayError, RejectedError, TimedOutError
from text_classification.gateways.job_items import Job, attribute
from text_classification.gateways.job_objects import JobObjects
from text_classification.gateways.job_queue import JobQueue, body_of
from text_classification.gateways.job_table import JobTable
from text_classification.gateways.model_endpoint import ModelAnswer, ModelResult
from text_classification.gateways.result_database import ClassificationRow
from text_classification.logic import lost_jobs
from text_classification.logic.job_batch import Consumer
from text_classification.logic.job_messages import Message, consume
from text_classification.logic.job_results import ResultKeeper
from text_classification.logic.job_retries import Retries
from text_classification.logic.jobs import Submission, look_at, submit
from text_classification.logic.requests import LargeRequest

BUDGET = TimeBudget(total_seconds=10)
RETRIES = Retries(max_receive_count=3, first_pause_seconds=10)


@dataclass
class Model:
    """Labels texts, but refuses poison, and notes the calls."""

    version: str = "v1"
    failure: GatewayError | None = None
    calls: list[list[str]] = field(default_factory=list)

    def classify(self, texts: Sequence[str]) -> ModelAnswer:
        self.calls.append(list(texts))
        if self.failure:
            raise self.failure
        if "deadly" in texts:
            raise TimedOutError("no answer in time", {})
        if "poison" in texts:
            raise RejectedError("the model refused the texts", {}, cause="it is poison")
        results = [ModelResult(label=text, score=1.0, scores={text: 1.0}) for text in texts]
        return ModelAnswer(model_version=self.version, results=tuple(results))


@dataclass
class Rows:
    """Keeps rows as a database does."""

    failure: GatewayError | None = None
    refused: str | None = None
    kept: dict[tuple[str, int], ClassificationRow] = field(default_factory=dict)

    def save(self, rows: Sequence[ClassificationRow]) -> None:
        if self.failure:
            raise self.failure
        if self.refused in {row.text for row in rows}:
            raise RejectedError("the database refused the statement", {}, cause="the database refused the row")
        for row in rows:
            self.kept.setdefault((row.job_id, row.text_index), row)


@dataclass
class World:
    table: JobTable
    objects: JobObjects
    queue: JobQueue
    model: Model
    rows: Rows
    consumer: Consumer

    def accept(
        self, *texts: str, key: str | None = None, now: datetime | None = None, annotations: bool = False
    ) -> str:
        """Accept a job that is remembered for an hour."""
        submission = Submission(
            request=LargeRequest(texts=list(texts), annotations=annotations),
            submitted_by="api",
            retention_seconds=3600,
            key=key,
            now=now or datetime.now(UTC),
        )
        return submit(submission, table=self.table, objects=self.objects).job_id

    def job(self, job_id: str) -> Job:
        return self.table.read([job_id])[job_id]

    def claim(self, job_id: str, *, claim: str, until: int, now: int = 0, updated_at: str = "now") -> None:
        """Let another consumer have a job."""
        jobs = [self.job(job_id)]
        assert self.table.claim(jobs, claim=claim, now=now, until=until, updated_at=updated_at) == {job_id}

    def consume(
        self, *job_ids: str | None, receive_count: int = 1, sent_at: float | None = None, **changes: Any
    ) -> set[str]:
        """Return the positions of the messages that stay; they were sent just now."""
        messages = [
            Message(
                message_id=str(index),
                receipt=self.receipt(),
                receive_count=receive_count,
                sent_at=time.time() if sent_at is None else sent_at,
                body=body_of(job_id) if job_id else "none",
            )
            for index, job_id in enumerate(job_ids)
        ]
        consumer = replace(self.consumer, **changes)
        return consume(messages, consumer=consumer, queue=self.queue, retries=RETRIES)

    def receipt(self) -> str:
        self.queue.send(["any"])
        (message,) = self.queue.client.receive_message(QueueUrl=self.queue.queue_url)["Messages"]
        return message["ReceiptHandle"]

    def drain(self) -> list[str]:
        """Take all messages out of the queue and return the jobs that they name."""
        sqs, url, found = self.queue.client, self.queue.queue_url, []
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            for message in messages:
                found.append(json.loads(message["Body"])["job_id"])
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return found

    def let_time_pass(self, job_id: str, **times: str | int) -> None:
        """Let a job be as one that was written longer ago."""
        self.table.client.update_item(
            TableName="jobs",
            Key={"job_id": {"S": job_id}},
            UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in times),
            ExpressionAttributeNames={f"#{name}": name for name in times},
            ExpressionAttributeValues={f":{name}": attribute(name, value) for name, value in times.items()},
        )

    def results(self, job_id: str) -> list[str]:
        return [result["label"] for result in look_at(job_id, table=self.table, objects=self.objects)["results"]]


@contextmanager
def job_world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Yield what jobs are worked on in."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    for module in (job_queue, lost_jobs):  # moto's queues are not for several threads
        monkeypatch.setattr(module, "_THREADS", 1)
    with mock_aws():
        dynamodb, s3, sqs = boto3.client("dynamodb"), boto3.client("s3"), boto3.client("sqs")
        dynamodb.create_table(
            TableName="jobs",
            KeySchema=[{"AttributeName": "job_id", "KeyType": "HASH"}],
            AttributeDefinitions=[
                {"AttributeName": "job_id", "AttributeType": "S"},
                {"AttributeName": "watched", "AttributeType": "S"},
                {"AttributeName": "overdue_at", "AttributeType": "N"},
            ],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "watched",
                    "KeySchema": [
                        {"AttributeName": "watched", "KeyType": "HASH"},
                        {"AttributeName": "overdue_at", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                }
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        s3.create_bucket(Bucket="results")
        url = sqs.create_queue(QueueName="jobs")["QueueUrl"]
        table = JobTable(client=dynamodb, table_name="jobs", budget=BUDGET)
        objects = JobObjects(client=s3, bucket="results", budget=BUDGET)
        model, rows = Model(), Rows()
        consumer = Consumer(
            table=table,
            objects=objects,
            keeper=ResultKeeper(table=table, objects=objects, database=rows),
            classifier=model,
            annotators={},
            claim="one",
            remaining_seconds=lambda: 60.0,
            call_seconds=10,
            keep_seconds=3,
            max_payload_bytes=1_000,
            max_texts_per_call=1_000,
            alone_after=RETRIES.max_receive_count // 2,
            retention_seconds=3600,
            large_jobs=None,
        )
        yield World(table, objects, JobQueue(client=sqs, queue_url=url, budget=BUDGET), model, rows, consumer)
