"""Working on batches of jobs, with tables, buckets and queues in memory and a model that notes what it is asked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import boto3
import pytest
from moto import mock_aws
from text_classification.gateways.calls import TimeBudget
from text_classification.gateways.errors import GatewayError, RejectedError, UnavailableError
from text_classification.gateways.job_items import Job
from text_classification.gateways.job_objects import JobObjects
from text_classification.gateways.job_queue import JobQueue
from text_classification.gateways.job_table import JobTable
from text_classification.gateways.model_endpoint import ModelAnswer, ModelResult
from text_classification.gateways.result_database import ClassificationRow
from text_classification.logic.errors import ConflictError
from text_classification.logic.job_batch import Consumer
from text_classification.logic.job_messages import Message, Retries, bury, consume
from text_classification.logic.job_results import ResultKeeper
from text_classification.logic.jobs import Submission, look_at, submit
from text_classification.logic.requests import ClassificationRequest

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
        if "poison" in texts:
            raise RejectedError("the model refused the texts", {}, cause="it is poison")
        results = [ModelResult(label=text, score=1.0, scores={text: 1.0}) for text in texts]
        return ModelAnswer(model_version=self.version, results=tuple(results))


@dataclass
class Rows:
    """Keeps rows as a database does."""

    failure: GatewayError | None = None
    kept: dict[tuple[str, int], ClassificationRow] = field(default_factory=dict)

    def save(self, rows: Sequence[ClassificationRow]) -> None:
        if self.failure:
            raise self.failure
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

    def accept(self, *texts: str, job_id: str | None = None) -> str:
        submission = Submission(
            request=ClassificationRequest(texts=list(texts)), submitted_by="api", retention_seconds=3600
        )
        if job_id:
            submission = replace(submission, job_id=job_id)
        return submit(submission, table=self.table, objects=self.objects).job_id

    def job(self, job_id: str) -> Job:
        return self.table.read([job_id])[job_id]

    def consume(self, *job_ids: str | None, receive_count: int = 1, **changes: Any) -> set[str]:
        """Return the positions of the messages that stay."""
        messages = [
            Message(message_id=str(index), receipt=self._receipt(), receive_count=receive_count, job_id=job_id)
            for index, job_id in enumerate(job_ids)
        ]
        consumer = replace(self.consumer, **changes)
        return consume(messages, consumer=consumer, queue=self.queue, retries=RETRIES)

    def _receipt(self) -> str:
        self.queue.send(["any"])
        (message,) = self.queue.client.receive_message(QueueUrl=self.queue.queue_url)["Messages"]
        return message["ReceiptHandle"]

    def results(self, job_id: str) -> list[str]:
        return [result["label"] for result in look_at(job_id, table=self.table, objects=self.objects)["results"]]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        dynamodb, s3, sqs = boto3.client("dynamodb"), boto3.client("s3"), boto3.client("sqs")
        dynamodb.create_table(
            TableName="jobs",
            KeySchema=[{"AttributeName": "job_id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "job_id", "AttributeType": "S"}],
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
            max_payload_bytes=1_000,
            large_jobs=None,
        )
        yield World(table, objects, JobQueue(client=sqs, queue_url=url, budget=BUDGET), model, rows, consumer)


def test_the_texts_of_all_messages_are_labelled_in_one_call(world: World) -> None:
    jobs = [world.accept("a", "b"), world.accept("c")]

    assert world.consume(*jobs) == set()

    assert world.model.calls == [["a", "b", "c"]]
    assert [world.results(job_id) for job_id in jobs] == [["a", "b"], ["c"]]
    assert [row.text for row in world.rows.kept.values()] == ["a", "b", "c"]


def test_what_does_not_fit_into_one_call_goes_in_several(world: World) -> None:
    jobs = [world.accept(letter * 400) for letter in "abc"]

    assert world.consume(*jobs) == set()

    assert [len(call) for call in world.model.calls] == [2, 1]


def test_a_job_that_fits_into_no_call_is_refused(world: World) -> None:
    large, small = world.accept("a" * 2_000), world.accept("b")

    assert world.consume(large, small) == {"0"}

    assert world.job(large).job_status == "failed"
    assert "at most 1,000" in str(world.job(large).problem)
    assert world.results(small) == ["b"]


def test_one_refused_text_is_found_and_its_neighbours_have_their_results(world: World) -> None:
    jobs = [world.accept("poison" if number == 5 else f"text {number}") for number in range(8)]

    assert world.consume(*jobs) == {"5"}

    assert [world.job(job_id).job_status for job_id in jobs].count("succeeded") == 7
    assert (world.job(jobs[5]).job_status, world.job(jobs[5]).problem) == ("failed", "it is poison")
    assert len(world.model.calls) == 7


def test_a_refused_job_is_not_tried_again_until_it_was_driven_back(world: World) -> None:
    job_id = world.accept("poison")
    world.consume(job_id)
    calls = len(world.model.calls)

    assert world.consume(job_id, receive_count=2) == {"0"}
    assert len(world.model.calls) == calls

    world.consume(job_id, receive_count=1)
    assert len(world.model.calls) == calls + 1


def test_a_failure_that_may_pass_leaves_the_job_queued_with_its_reason_until_the_last_try(world: World) -> None:
    job_id = world.accept("a")
    world.model.failure = UnavailableError("the service is busy", {})

    assert world.consume(job_id, receive_count=2) == {"0"}
    assert (world.job(job_id).job_status, world.job(job_id).problem) == ("queued", "the service is busy")

    assert world.consume(job_id, receive_count=3) == {"0"}
    assert (world.job(job_id).job_status, world.job(job_id).problem) == ("failed", "the service is busy")


def test_the_same_job_twice_in_a_batch_is_worked_on_once(world: World) -> None:
    job_id = world.accept("a")

    assert world.consume(job_id, job_id) == set()

    assert world.model.calls == [["a"]]


def test_a_message_for_a_job_that_has_its_results_goes_away(world: World) -> None:
    job_id = world.accept("a")
    world.consume(job_id)

    assert world.consume(job_id) == set()

    assert len(world.model.calls) == 1


def test_a_job_that_another_consumer_has_is_left_to_it_as_long_as_that_may_live(world: World) -> None:
    job_id = world.accept("a")
    world.table.claim([job_id], claim="another", now=0, until=2**40, updated_at="now")

    assert world.consume(job_id) == {"0"}

    assert not world.model.calls
    assert world.job(job_id).claim == "another"


def test_a_job_of_a_consumer_that_must_have_ended_is_taken_over(world: World) -> None:
    job_id = world.accept("a")
    world.table.claim([job_id], claim="dead", now=0, until=1, updated_at="now")

    assert world.consume(job_id) == set()

    assert world.results(job_id) == ["a"]


def test_results_of_a_consumer_that_died_before_it_said_so_are_kept_and_not_made_twice(world: World) -> None:
    job_id = world.accept("a")
    world.rows.failure = UnavailableError("killed here", {})
    assert world.consume(job_id) == {"0"}
    world.rows.failure = None
    world.model.version = "v2"

    assert world.consume(job_id, receive_count=2) == set()

    assert world.job(job_id).model_version == "v1"
    assert {row.model_version for row in world.rows.kept.values()} == {"v1"}


def test_nothing_is_begun_that_may_not_be_ended_in_time(world: World) -> None:
    job_id = world.accept("a")

    assert world.consume(job_id, remaining_seconds=lambda: 9.0) == {"0"}

    assert not world.model.calls
    assert world.job(job_id).job_status == "queued"


@pytest.mark.parametrize("job_id", [None, "f" * 32])
def test_a_message_that_names_no_job_stays_to_be_a_dead_letter(world: World, job_id: str | None) -> None:
    assert world.consume(job_id, world.accept("a")) == {"0"}


def test_pauses_double_up_to_a_quarter_of_an_hour_and_are_shortened_at_random() -> None:
    retries = Retries(max_receive_count=9, first_pause_seconds=10)
    for receive_count, longest in [(1, 10), (2, 20), (5, 160), (9, 900)]:
        pauses = {retries.pause(receive_count) for _ in range(200)}
        assert longest / 2 <= min(pauses) < max(pauses) <= longest


def test_jobs_of_dead_letters_that_nobody_spoke_for_have_failed_and_the_messages_stay(world: World) -> None:
    silent, spoken = world.accept("a"), world.accept("poison")
    world.table.claim([silent], claim="dead", now=0, until=1, updated_at="now")
    world.consume(spoken)
    world.queue.send([silent, spoken])

    assert bury(table=world.table, dead_letters=world.queue, time_left=iter([True, False]).__next__) == {silent}

    assert "ended without an answer" in str(world.job(silent).problem)
    assert world.job(spoken).problem == "it is poison"
    attributes = world.queue.client.get_queue_attributes(QueueUrl=world.queue.queue_url, AttributeNames=["All"])
    assert int(attributes["Attributes"]["ApproximateNumberOfMessagesNotVisible"]) >= 2


def test_a_job_is_accepted_once_under_an_id_and_another_request_is_a_conflict(world: World) -> None:
    first = world.accept("a", job_id="0" * 32)

    assert world.accept("a", job_id="0" * 32) == first
    with pytest.raises(ConflictError):
        world.accept("b", job_id="0" * 32)
    assert json.loads(str(world.job(first).request))["texts"] == ["a"]


def test_a_large_request_is_in_s3_and_found_again(world: World) -> None:
    texts = ["好" * 9_000] * 4
    job_id = world.accept(*texts)

    assert world.job(job_id).request is None
    assert world.consume(job_id, max_payload_bytes=10**6) == set()
    assert world.results(job_id) == texts
