"""Large jobs: handed over to an asynchronous endpoint, finished when it tells, and looked after when it does not."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import boto3
import pytest
from text_classification.gateways.asynchronous_endpoint import AsynchronousEndpoint, new_inference_id, reminder_of
from text_classification.gateways.errors import UnavailableError
from text_classification.gateways.job_items import Job
from text_classification.gateways.job_objects import JobObjects
from text_classification.logic import job_batch, job_messages
from text_classification.logic.job_messages import Message, consume
from text_classification.logic.jobs import request_of
from text_classification.logic.large_jobs import LargeJobs
from text_classification.logic.lost_jobs import bury, remind
from text_classification.logic.requests import ClassificationRequest

from tests.unit.lambda_src.job_world import BUDGET, RETRIES, World, job_world

ALWAYS = {"time_left": lambda: True, "time_to_show": lambda: True}
REFUSAL = "ClientError: Received client error (400) from model. See the SageMaker Endpoint logs in your account."
TEXTS = [f"text {number}" for number in range(101)]


@dataclass
class Endpoint:
    """Takes inputs as an asynchronous endpoint does, and keeps silent."""

    calls: list[dict[str, Any]]

    def invoke_endpoint_async(self, **request: Any) -> dict[str, str]:
        self.calls.append(request)
        name = f"s3://results/large/{len(self.calls)}"
        return {
            "InferenceId": request["InferenceId"],
            "OutputLocation": f"{name}.out",
            "FailureLocation": f"{name}.err",
        }


@dataclass
class LargeWorld:
    """Has an asynchronous endpoint."""

    jobs: World
    endpoint: Endpoint

    def accept(self) -> str:
        return self.jobs.accept(*TEXTS)

    def hand_over(self) -> str:
        job_id = self.accept()
        assert self.jobs.consume(job_id) == set()
        return job_id

    def answer(self, texts: int = len(TEXTS), call: int = 1) -> None:
        """Let the endpoint be done, without a word."""
        results = [{"label": "good", "score": 1.0, "scores": {"good": 1.0}}] * texts
        body = json.dumps({"model_version": "v1", "results": results})
        self.jobs.objects.write(f"large/{call}.out", body.encode())

    def let_time_pass(self, job_id: str, hours: float = 0) -> None:
        """Let the endpoint have had its time, and some hours more."""
        then = int(time.time() - hours * 3600 - 1)
        self.jobs.let_time_pass(job_id, free_at=then, overdue_at=then)

    def remind(self) -> set[str]:
        return remind(table=self.jobs.table, queue=self.jobs.queue, time_left=lambda: True)

    def tell(self, job_id: str, *, call: int = 0, **fields: Any) -> None:
        """Let the endpoint's topic say something of a call for a job, the last when omitted, or of another caller's."""
        job = self.jobs.table.read([job_id]).get(job_id)
        if call:
            known = self.endpoint.calls[call - 1]["InferenceId"]
        else:
            known = (job.inference_id or new_inference_id(job_id)) if job else job_id
        body = json.dumps({"inferenceId": known, "invocationStatus": "Completed", **fields})
        self.jobs.queue.send_bodies([body])

    def fail(self, job_id: str, answer: str = "server error (503)", **fields: Any) -> None:
        """Let the endpoint's topic say that the last call for a job failed."""
        reason = f"ClientError: Received {answer} from model. See the SageMaker Endpoint logs in your account."
        self.tell(job_id, **{"invocationStatus": "Failed", "failureReason": reason, **fields})

    def consume(self, receive_count: int = 1, **changes: Any) -> bool:
        """Work on the next message, which is a notification, and return whether it is gone."""
        sqs, url = self.jobs.queue.client, self.jobs.queue.queue_url
        (found,) = sqs.receive_message(
            QueueUrl=url, VisibilityTimeout=0, MessageSystemAttributeNames=["SentTimestamp"]
        )["Messages"]  # fmt: skip
        message = Message(
            message_id="0",
            receipt=found["ReceiptHandle"],
            receive_count=receive_count,
            sent_at=int(found["Attributes"]["SentTimestamp"]) / 1000,
            body=found["Body"],
        )
        consumer = replace(self.jobs.consumer, **changes)
        gone = not consume([message], consumer=consumer, queue=self.jobs.queue, retries=RETRIES)
        if gone:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message.receipt)
        return gone

    def delayed(self) -> int:
        """Return how many messages nobody is shown yet."""
        return self._count("ApproximateNumberOfMessagesDelayed")

    def waiting(self) -> int:
        """Return how many messages wait to be shown."""
        return self._count("ApproximateNumberOfMessages")

    def _count(self, name: Any) -> int:
        url = self.jobs.queue.queue_url
        return int(self.jobs.queue.client.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name])

    def bury(self) -> None:
        """Take the message that is shown for a dead letter."""
        sqs, url = self.jobs.queue.client, self.jobs.queue.queue_url
        (found,) = sqs.receive_message(QueueUrl=url)["Messages"]
        sqs.delete_message(QueueUrl=url, ReceiptHandle=found["ReceiptHandle"])

    def empty_the_queue(self) -> None:
        self.jobs.queue.client.purge_queue(QueueUrl=self.jobs.queue.queue_url)

    def forget(self, job_id: str, attribute: str) -> None:
        self.jobs.table.client.update_item(
            TableName="jobs", Key={"job_id": {"S": job_id}}, UpdateExpression=f"REMOVE {attribute}"
        )

    def take_the_endpoint_away(self) -> None:
        self.jobs.consumer = replace(self.jobs.consumer, large_jobs=None)

    def job(self, job_id: str) -> Job:
        return self.jobs.job(job_id)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[LargeWorld]:
    with job_world(monkeypatch) as jobs:
        endpoint = Endpoint(calls=[])
        large_jobs = LargeJobs(
            endpoint=AsynchronousEndpoint(
                client=endpoint,  # type: ignore[arg-type]  # of which this is what is called
                s3=boto3.client("s3"),
                endpoint_name="large",
                inputs_url="s3://results/inputs/",
                budget=BUDGET,
            ),
            table=jobs.table,
            objects=jobs.objects,
            keeper=jobs.consumer.keeper,
            queue=jobs.queue,
            retries=RETRIES,
            timeout_seconds=3600,
        )
        consumer = replace(jobs.consumer, large_jobs=large_jobs, max_payload_bytes=10_000)
        yield LargeWorld(replace(jobs, consumer=consumer), endpoint)


def test_a_job_with_more_texts_than_a_caller_may_send_is_handed_over_however_short_they_are(world: LargeWorld) -> None:
    job_id = world.hand_over()

    (call,) = world.endpoint.calls
    assert (call["InferenceId"], call["InvocationTimeoutSeconds"]) == (world.job(job_id).inference_id, 3600)
    assert call["InputLocation"] == f"s3://results/inputs/{job_id}.json"
    assert (world.job(job_id).job_status, world.job(job_id).output_url) == ("running", "s3://results/large/1.out")
    assert not world.jobs.model.calls


def test_large_jobs_of_a_batch_are_all_handed_over_and_the_small_ones_labelled(world: LargeWorld) -> None:
    large, small = [world.accept() for _ in range(3)], [world.jobs.accept("a"), world.jobs.accept("b")]

    assert world.jobs.consume(large[0], small[0], large[1], small[1], large[2]) == set()

    assert [call["InferenceId"].partition(".")[0] for call in world.endpoint.calls] == large
    assert {world.job(job_id).job_status for job_id in large} == {"running"}
    assert world.jobs.model.calls == [["a", "b"]]


def test_a_job_of_as_many_texts_as_a_caller_may_send_is_not(world: LargeWorld) -> None:
    job_id = world.jobs.accept(*TEXTS[:100])

    assert world.jobs.consume(job_id) == set()

    assert world.job(job_id).job_status == "succeeded"
    assert not world.endpoint.calls


def test_nobody_is_reminded_of_a_job_that_still_has_time_or_has_ended(world: LargeWorld) -> None:
    job_id = world.hand_over()
    assert world.remind() == set()

    world.let_time_pass(job_id)
    assert world.remind() == {job_id}
    world.answer()
    assert world.consume()

    assert (world.job(job_id).watched, world.job(job_id).overdue_at) == (None, None)
    assert world.remind() == set()


def test_a_reminder_is_queued_once_in_a_quarter_of_an_hour(world: LargeWorld) -> None:
    job_id = world.hand_over()
    world.let_time_pass(job_id)

    assert world.remind() == {job_id}
    assert world.remind() == set()


def test_an_answer_that_was_not_told_of_is_taken_from_s3(world: LargeWorld) -> None:
    job_id = world.hand_over()
    world.answer()
    world.let_time_pass(job_id)
    world.remind()

    assert world.consume()

    assert world.jobs.results(job_id) == ["good"] * len(TEXTS)
    assert len(world.jobs.rows.kept) == len(TEXTS)


def test_an_error_that_was_not_told_of_is_the_reason_of_the_failure(world: LargeWorld) -> None:
    job_id = world.hand_over()
    world.jobs.objects.write("large/1.err", b"the model lacks memory")
    world.let_time_pass(job_id)
    world.remind()

    assert not world.consume()

    assert world.job(job_id).job_status == "failed"
    assert "the model lacks memory" in str(world.job(job_id).problem)


@pytest.mark.parametrize(
    "reason",
    [
        "ClientError: Received server error (503) from model.",
        "ClientError: Received client error (429) from model.",
        "ClientError: Your invocation timed out while waiting for a response from container primary.",
        "InternalServerError: Received client error (400)",
        None,
    ],
)
def test_a_failure_that_may_pass_is_tried_again_after_a_pause(world: LargeWorld, reason: str | None) -> None:
    job_id = world.hand_over()
    world.tell(job_id, invocationStatus="Failed", failureReason=reason)
    assert world.consume(), "nothing is left to be done for the notification"
    assert (world.job(job_id).job_status, world.job(job_id).problem) == ("queued", f"the model failed: {reason}")
    assert world.delayed() == 1

    assert world.jobs.consume(job_id) == set()
    assert len(world.endpoint.calls) == 2
    world.answer(call=2)
    world.tell(job_id, responseParameters={"outputLocation": "s3://results/large/2.out"})
    assert world.consume()

    assert world.jobs.results(job_id) == ["good"] * len(TEXTS)


def test_a_large_job_is_tried_as_often_as_any_other_and_as_often_again_when_it_is_driven_back(
    world: LargeWorld,
) -> None:
    job_id = world.hand_over()
    for _ in range(RETRIES.max_receive_count - 1):
        world.fail(job_id)
        assert world.consume()
        assert world.jobs.consume(job_id) == set()
    world.fail(job_id)
    assert not world.consume(), "it is to be a dead letter"
    assert not world.consume(), "what is on its way there changes nothing"
    assert (world.job(job_id).job_status, len(world.endpoint.calls)) == ("failed", RETRIES.max_receive_count)

    world.jobs.let_time_pass(job_id, updated_at="2020-01-01T00:00:00.000Z")  # it was driven back since
    assert world.consume()
    assert world.jobs.drain() == [job_id], "it is tried at once"
    assert world.jobs.consume(job_id) == set()
    world.fail(job_id)
    assert world.consume()

    assert (world.job(job_id).job_status, world.job(job_id).hand_overs) == ("queued", 1)


def test_a_reminder_that_is_driven_back_lets_its_job_be_tried_again(world: LargeWorld) -> None:
    job_id = world.hand_over()
    world.let_time_pass(job_id)
    world.remind()
    assert not world.consume()

    world.jobs.let_time_pass(job_id, updated_at="2020-01-01T00:00:00.000Z")
    assert world.consume()

    assert job_id in world.jobs.drain()


def test_what_the_model_refuses_is_not_tried_again(world: LargeWorld) -> None:
    job_id = world.hand_over()
    world.fail(job_id, "client error (413)")

    assert not world.consume()

    assert world.job(job_id).job_status == "failed"
    assert world.delayed() == 0


def test_the_failure_of_a_call_whose_consumer_died_hides_no_success_of_the_next(world: LargeWorld) -> None:
    job_id = world.hand_over()
    world.jobs.let_time_pass(job_id, job_status="queued", free_at=0)  # as if that had not been written down
    assert world.jobs.consume(job_id) == set()
    world.fail(job_id, "client error (400)", call=1)

    assert world.consume()

    assert (world.job(job_id).job_status, world.job(job_id).output_url) == ("running", "s3://results/large/2.out")


def test_the_success_of_a_call_whose_consumer_died_is_as_good_as_that_of_the_next(world: LargeWorld) -> None:
    job_id = world.hand_over()
    world.jobs.let_time_pass(job_id, job_status="queued", free_at=0)
    assert world.jobs.consume(job_id) == set()
    world.answer()
    world.tell(job_id, call=1, responseParameters={"outputLocation": "s3://results/large/1.out"})

    assert world.consume()

    assert world.job(job_id).job_status == "succeeded"


def test_what_is_told_before_the_hand_over_is_written_down_waits_for_that(
    world: LargeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_messages, "_UNTIL_WRITTEN_DOWN_SECONDS", 0)
    job_id = world.accept()
    world.jobs.claim(job_id, claim="other", until=int(time.time()) + 60)
    world.fail(job_id)

    assert not world.consume(RETRIES.max_receive_count - 1)
    world.empty_the_queue()
    world.fail(job_id)
    assert world.consume(RETRIES.max_receive_count), "it waits anew instead of being a dead letter"

    assert world.waiting() == 1


def test_a_job_whose_next_message_was_never_sent_gets_another(world: LargeWorld) -> None:
    job_id = world.hand_over()
    world.fail(job_id)
    assert world.consume()

    world.jobs.let_time_pass(job_id, overdue_at=world.job(job_id).overdue_at - 5 * 3600)  # type: ignore[operator]

    assert world.remind() == {job_id}


def test_a_job_of_which_there_is_nothing_at_all_has_failed_by_that(world: LargeWorld) -> None:
    job_id = world.hand_over()
    world.let_time_pass(job_id)
    world.remind()

    assert not world.consume()

    assert world.job(job_id).job_status == "failed"
    assert "said nothing of it in time" in str(world.job(job_id).problem)
    assert world.remind() == set()


def silenced(world: LargeWorld) -> str:
    """Return a job of which the endpoint has said nothing in its time, and that has failed by that some time ago."""
    job_id = world.hand_over()
    world.let_time_pass(job_id)
    world.remind()
    assert not world.consume()
    assert world.job(job_id).job_status == "failed"
    world.bury()
    world.jobs.let_time_pass(job_id, updated_at="2020-01-01T00:00:00.000Z")
    return job_id


def test_an_answer_that_comes_when_nobody_waits_for_it_any_more_is_kept_and_not_asked_for_again(
    world: LargeWorld,
) -> None:
    job_id = silenced(world)
    world.answer()
    world.tell(job_id, call=1, responseParameters={"outputLocation": "s3://results/large/1.out"})

    assert world.consume()

    assert world.jobs.results(job_id) == ["good"] * len(TEXTS)
    assert (world.job(job_id).watched, len(world.endpoint.calls)) == (None, 1)


def test_a_failure_that_comes_when_nobody_waits_for_it_any_more_is_no_dead_letter_that_was_driven_back(
    world: LargeWorld,
) -> None:
    job_id = silenced(world)
    world.fail(job_id, call=1)

    assert world.consume()

    assert world.job(job_id).job_status == "failed"
    assert world.jobs.drain() == []


def test_an_answer_to_a_call_that_was_not_written_down_is_kept(world: LargeWorld) -> None:
    job_id = world.hand_over()
    world.jobs.let_time_pass(job_id, job_status="queued", free_at=0, inference_id="another")
    world.answer()
    world.tell(job_id, call=1, responseParameters={"outputLocation": "s3://results/large/1.out"})

    assert world.consume()

    assert world.jobs.results(job_id) == ["good"] * len(TEXTS)
    assert world.jobs.consume(job_id) == set(), "its own message finds it done"
    assert len(world.endpoint.calls) == 1


def test_a_late_answer_that_cannot_be_kept_is_looked_for_when_the_job_is_overdue(world: LargeWorld) -> None:
    job_id = silenced(world)
    world.answer(call=7)
    world.tell(job_id, call=1, responseParameters={"outputLocation": "s3://results/large/7.out"})
    world.jobs.rows.failure = UnavailableError("the database is out of order", {})
    assert not world.consume(receive_count=RETRIES.max_receive_count), "it is to be a dead letter"
    assert world.job(job_id).overdue_at == world.job(job_id).free_at
    world.bury()

    world.jobs.rows.failure = None
    world.let_time_pass(job_id)
    assert world.remind() == {job_id}
    assert world.consume()

    assert world.jobs.results(job_id) == ["good"] * len(TEXTS)


@pytest.mark.parametrize("answered", [True, False])
def test_what_is_told_of_a_call_that_nobody_has_written_down_is_no_dead_letter_that_was_driven_back(
    world: LargeWorld, *, answered: bool
) -> None:
    job_id = world.accept()
    world.jobs.let_time_pass(
        job_id, job_status="failed", problem="its consumer died", updated_at="2020-01-01T00:00:00.000Z"
    )
    world.answer()
    if answered:
        world.tell(job_id, responseParameters={"outputLocation": "s3://results/large/1.out"})
        # It came before the job was given up.
        world.jobs.let_time_pass(job_id, updated_at="2100-01-01T00:00:00.000Z")
    else:
        world.fail(job_id)

    assert world.consume()

    assert world.job(job_id).job_status == ("succeeded" if answered else "failed")
    assert world.jobs.drain() == []


def test_a_reminder_of_a_call_says_nothing_of_the_next(world: LargeWorld) -> None:
    job_id = world.hand_over()
    world.jobs.queue.send_bodies([reminder_of(job_id)])

    assert world.consume(receive_count=RETRIES.max_receive_count)

    assert world.job(job_id).job_status == "running"


def test_a_bad_answer_to_a_call_says_nothing_of_the_next(world: LargeWorld) -> None:
    job_id = world.hand_over()
    world.jobs.let_time_pass(job_id, job_status="queued", free_at=0)
    assert world.jobs.consume(job_id) == set()
    world.answer(texts=1)
    world.tell(job_id, call=1, responseParameters={"outputLocation": "s3://results/large/1.out"})

    assert world.consume()

    assert world.job(job_id).job_status == "running"


def test_a_failure_that_is_told_before_the_next_call_is_written_down_waits_for_that(world: LargeWorld) -> None:
    job_id = world.hand_over()
    world.fail(job_id)
    assert world.consume()
    world.jobs.claim(job_id, claim="other", until=int(time.time()) + 60, updated_at="soon")
    world.tell(job_id, call=1, invocationStatus="Failed", failureReason=REFUSAL)

    assert not world.consume()

    assert world.job(job_id).job_status == "running"


def test_a_failure_of_a_job_from_before_calls_were_told_apart_counts(world: LargeWorld) -> None:
    job_id = world.hand_over()
    world.forget(job_id, "inference_id")
    world.tell(job_id, invocationStatus="Failed", failureReason=REFUSAL)

    assert not world.consume()

    assert world.job(job_id).job_status == "failed"


def test_what_is_on_its_way_to_the_dead_letters_does_not_begin_anew_when_no_time_is_left(world: LargeWorld) -> None:
    job_id = world.hand_over()
    world.fail(job_id, "client error (400)")
    assert not world.consume()

    assert not world.consume(2, remaining_seconds=lambda: 1.0)

    assert world.waiting() == 1


def test_a_result_that_cannot_be_kept_is_tried_again_and_fails_with_the_last_try(world: LargeWorld) -> None:
    job_id = world.hand_over()
    world.answer()
    world.let_time_pass(job_id)
    world.remind()
    world.jobs.rows.failure = UnavailableError("the database is out of order", {})

    assert not world.consume(receive_count=RETRIES.max_receive_count - 1)
    assert world.job(job_id).job_status == "running"
    world.jobs.queue.send_bodies([reminder_of(job_id)])  # the first one is hidden for its pause
    assert not world.consume(receive_count=RETRIES.max_receive_count)

    assert (world.job(job_id).job_status, world.job(job_id).problem) == ("failed", "the database is out of order")


@pytest.mark.parametrize(
    "fields",
    [
        {"invocationStatus": "Failed", "failureReason": REFUSAL, "responseParameters": None},
        {"responseParameters": {"outputLocation": "s3://results/large/1.out"}},
    ],
    ids=["failed", "with an answer that is none"],
)
def test_what_tells_of_a_failure_stays_to_be_a_dead_letter(world: LargeWorld, fields: dict[str, Any]) -> None:
    job_id = world.hand_over()
    world.answer(texts=1)
    world.tell(job_id, **fields)

    for receive_count in range(1, RETRIES.max_receive_count + 1):
        assert not world.consume(receive_count)
        assert world.job(job_id).job_status == "failed"


def test_a_job_whose_request_is_none_any_more_has_failed_by_that(world: LargeWorld) -> None:
    job_id = world.hand_over()
    world.jobs.let_time_pass(job_id, request="{}")
    world.answer()
    world.tell(job_id, responseParameters={"outputLocation": "s3://results/large/1.out"})

    assert not world.consume()

    assert (world.job(job_id).job_status, world.job(job_id).problem) == ("failed", "texts is missing")


def test_a_job_that_no_reminder_brings_to_an_end_is_given_up(world: LargeWorld) -> None:
    job_id = world.hand_over()
    world.answer()
    world.let_time_pass(job_id, hours=5.9)
    assert world.remind() == {job_id}

    world.let_time_pass(job_id, hours=6.1)
    assert world.remind() == set()

    assert world.job(job_id).job_status == "failed"
    assert "six hours of reminders" in str(world.job(job_id).problem)


def test_a_notification_that_jobs_left_no_time_for_was_not_tried_and_waits_anew(
    world: LargeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_messages, "_UNTIL_WRITTEN_DOWN_SECONDS", 0)
    job_id = world.hand_over()
    world.answer()
    world.tell(job_id, responseParameters={"outputLocation": "s3://results/large/1.out"})

    assert world.consume(RETRIES.max_receive_count, remaining_seconds=lambda: 2.0), "it dies although nobody tried it"
    assert world.consume()

    assert world.jobs.results(job_id) == ["good"] * len(TEXTS)


def test_a_large_job_in_whose_place_something_else_is_has_failed_by_that(world: LargeWorld) -> None:
    job_id = world.hand_over()
    world.answer()
    world.jobs.objects.write(f"results/jobs/{job_id}.json", b'{"schema": 2}')
    world.tell(job_id, responseParameters={"outputLocation": "s3://results/large/1.out"})

    assert not world.consume()

    assert world.job(job_id).job_status == "failed"
    assert "something else than its results" in str(world.job(job_id).problem)


@pytest.mark.parametrize("url", ["s3://results/", "not a url", "s3://no bucket/a"])
def test_an_answer_that_is_nowhere_stops_no_batch(world: LargeWorld, url: str) -> None:
    job_id = world.hand_over()
    world.tell(job_id, responseParameters={"outputLocation": url})

    assert not world.consume()

    assert world.job(job_id).job_status == "running"


@pytest.mark.parametrize("name", ["2f9d8a52-6d4c-4a5e-9b39-0d4a3c7e1b11", "key#1", "k" * 3_000])
@pytest.mark.parametrize("has_endpoint", [True, False])
def test_what_the_endpoint_says_to_another_caller_goes_away(
    world: LargeWorld, name: str, *, has_endpoint: bool
) -> None:
    if not has_endpoint:
        world.take_the_endpoint_away()
    world.tell(name)

    assert world.consume()


def test_a_job_whose_endpoint_the_queue_no_longer_has_fails_when_it_is_overdue(world: LargeWorld) -> None:
    job_id = world.hand_over()
    world.take_the_endpoint_away()
    world.tell(job_id)
    assert not world.consume()
    assert world.job(job_id).job_status == "running"

    world.empty_the_queue()
    world.let_time_pass(job_id)
    assert world.remind() == {job_id}
    assert not world.consume()

    assert world.job(job_id).job_status == "failed"
    assert "no longer has the asynchronous endpoint" in str(world.job(job_id).problem)


def test_a_reminder_of_a_job_that_ended_before_its_endpoint_was_taken_away_goes_away(world: LargeWorld) -> None:
    job_id = world.hand_over()
    world.answer()
    world.tell(job_id, responseParameters={"outputLocation": "s3://results/large/1.out"})
    assert world.consume()
    world.empty_the_queue()
    world.take_the_endpoint_away()
    world.jobs.queue.send_bodies([reminder_of(job_id)])

    assert world.consume()


def test_large_jobs_are_in_memory_one_by_one_and_after_the_call_of_the_others(
    world: LargeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    large, small = [world.accept() for _ in range(3)], world.jobs.accept("a")
    seen: list[str] = []

    def read(job: Job, objects: JobObjects) -> ClassificationRequest:
        seen.append(
            f"read {job.texts} texts after {len(world.jobs.model.calls)} calls, {len(world.endpoint.calls)} given"
        )
        return request_of(job, objects)

    monkeypatch.setattr(job_batch, "request_of", read)
    monkeypatch.setattr(job_batch, "_TEXTS_IN_MEMORY", len(TEXTS))
    assert world.jobs.consume(large[0], small, *large[1:]) == set()

    assert seen == [
        "read 1 texts after 0 calls, 0 given",
        *[f"read {len(TEXTS)} texts after 1 calls, {given} given" for given in range(3)],
    ]


def test_another_message_of_a_job_that_the_endpoint_has_is_not_waited_for(world: LargeWorld) -> None:
    job_id = world.hand_over()
    world.let_time_pass(job_id)

    assert world.jobs.consume(job_id) == set()

    assert len(world.endpoint.calls) == 1


def test_a_dead_letter_of_a_job_that_the_endpoint_has_says_nothing_of_it(world: LargeWorld) -> None:
    job_id = world.hand_over()
    world.let_time_pass(job_id)
    world.jobs.let_time_pass(job_id, updated_at="2020-01-01T00:00:00.000Z")
    world.jobs.queue.send([job_id])

    queue = world.jobs.queue
    found = bury(table=world.jobs.table, queue=queue, dead_letters=queue, settled=set(), **ALWAYS)
    assert found == set()


def test_large_jobs_are_not_handed_over_when_no_time_is_left(world: LargeWorld) -> None:
    job_id = world.accept()

    assert world.jobs.consume(job_id, remaining_seconds=lambda: 2.0) == {"0"}

    assert not world.endpoint.calls
    assert world.job(job_id).job_status == "queued"
