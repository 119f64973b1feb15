"""Working on batches of jobs: all texts in one call, and each job with one result or a reason."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from text_classification.gateways.errors import TimedOutError, UnavailableError
from text_classification.gateways.job_items import OVERDUE_SECONDS, Ending
from text_classification.gateways.job_queue import JobQueue, body_of
from text_classification.gateways.preprocessor import Annotation
from text_classification.handlers.api import Answer, respond
from text_classification.logic import job_batch, job_messages
from text_classification.logic.errors import ConflictError
from text_classification.logic.job_batch import Delivery
from text_classification.logic.job_messages import Message, consume
from text_classification.logic.job_outcomes import Again, Done, Outcome, Postponed, Refused
from text_classification.logic.job_retries import Retries
from text_classification.logic.jobs import MAX_ANSWER_BYTES, look_at

from tests.unit.lambda_src.job_world import RETRIES, World, job_world


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with job_world(monkeypatch) as world:
        yield world


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


def test_jobs_go_in_one_call_while_a_model_can_answer_it_in_time(world: World) -> None:
    fewer = [world.accept(*["a"] * 100) for _ in range(3)]
    assert world.consume(*fewer, max_payload_bytes=10**7, max_texts_per_call=200) == set()
    assert [len(call) for call in world.model.calls] == [200, 100]

    world.model.calls.clear()
    many = [world.accept(*["a"] * 100) for _ in range(11)]
    assert world.consume(*many, max_payload_bytes=10**7) == set()
    assert [len(call) for call in world.model.calls] == [1_000, 100]

    world.model.calls.clear()
    long = [world.accept(*["a" * 10_000] * 20) for _ in range(6)]
    assert world.consume(*long, max_payload_bytes=10**7) == set()
    assert [len(call) for call in world.model.calls] == [100, 20]


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

    sent_before = time.time() - 60
    for receive_count in (1, 2):  # the message that failed, or another one of the same job
        assert world.consume(job_id, receive_count=receive_count, sent_at=sent_before) == {"0"}
    assert len(world.model.calls) == calls
    assert world.job(job_id).job_status == "failed"

    for receive_count in (1, 2):  # its first receive may be lost
        world.let_time_pass(job_id, updated_at="2020-01-01T00:00:00.000Z")
        world.consume(job_id, receive_count=receive_count)
    assert len(world.model.calls) == calls + 2


def test_what_breaks_a_call_takes_no_others_with_it_in_the_second_half_of_its_tries(world: World) -> None:
    jobs = [world.accept("good"), world.accept("deadly"), world.accept("fine")]

    assert world.consume(*jobs) == {"0", "1", "2"}
    assert world.model.calls == [["good", "deadly", "fine"]]

    assert world.consume(*jobs, receive_count=2) == {"1"}
    assert [world.job(job_id).job_status for job_id in jobs] == ["succeeded", "queued", "succeeded"]


def test_a_job_that_others_left_no_time_for_was_not_tried_and_waits_anew(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_messages, "_UNTIL_WRITTEN_DOWN_SECONDS", 0)
    slow, good = world.accept("deadly"), world.accept("good")
    remaining = iter([60.0, 60.0, 60.0, 60.0, 0.0])

    assert world.consume(slow, good, receive_count=3, remaining_seconds=remaining.__next__) == {"0"}

    assert world.model.calls == [["deadly"]]
    assert (world.job(slow).job_status, world.job(slow).problem) == ("failed", "no answer in time")
    assert (world.job(good).job_status, world.job(good).problem) == ("queued", "no time was left for it")
    assert good in world.drain()
    assert world.consume(good) == set()
    assert world.results(good) == ["good"]


def test_what_has_failed_in_its_last_try_becomes_a_dead_letter_without_a_pause(world: World) -> None:
    world.model.failure = UnavailableError("out of order", {})
    job_id = world.accept("good")

    assert world.consume(job_id, receive_count=RETRIES.max_receive_count - 1) == {"0"}
    assert world.drain() == [], "its pause is not over"
    assert world.consume(job_id, receive_count=RETRIES.max_receive_count) == {"0"}

    assert world.drain() == ["any"], "SQS takes it for a dead letter when it is asked for it the next time"


def test_a_job_that_was_driven_back_is_remembered_as_long_as_a_new_one(world: World) -> None:
    job_id = world.accept("poison", now=datetime.now(UTC) - timedelta(minutes=50))  # which is for an hour
    world.consume(job_id)

    assert world.consume(job_id, sent_at=time.time() + 1) == {"0"}

    assert world.job(job_id).expires_at > time.time() + 3000


@pytest.mark.parametrize(("receive_count", "status"), [(1, "queued"), (3, "failed")])
def test_a_job_that_cannot_wait_anew_has_used_up_a_try_and_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch, receive_count: int, status: str
) -> None:
    first, late = world.accept("good"), world.accept("late")
    remaining = iter([60.0, 60.0, 60.0, 60.0, 0.0])
    receipts = [world.receipt() for _ in range(2)]
    monkeypatch.setattr(World, "receipt", lambda _: receipts.pop())

    def refuse(*_: object, **__: object) -> None:
        raise UnavailableError("the queue is out of order", {})

    monkeypatch.setattr(JobQueue, "send_bodies", refuse)

    stay = world.consume(
        first, late, receive_count=receive_count, remaining_seconds=remaining.__next__, alone_after=0
    )  # fmt: skip

    assert stay == {"1"}
    assert world.job(first).job_status == "succeeded"
    assert world.job(late).job_status == status
    assert "no time was left for it" in str(world.job(late).problem)
    assert "the queue is out of order" in str(world.job(late).problem)


def test_of_a_large_batch_a_part_is_in_memory_and_what_there_is_no_time_for_is_not_claimed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_batch, "_JOBS_IN_MEMORY", 2)
    failed = world.accept("poison")
    world.consume(failed)
    world.model.calls.clear()
    most, *jobs = [world.accept(f"text {number}") for number in range(5)]
    now = time.time() - 60
    deliveries = {job_id: Delivery(receive_count=2 if job_id == most else 1, sent_at=now) for job_id in [*jobs, most]}
    deliveries[failed] = Delivery(receive_count=1, sent_at=now)
    consumer = replace(world.consumer, remaining_seconds=lambda: 60.0 if len(world.model.calls) < 2 else 2.0)

    outcomes = dict(consumer.work_on(deliveries))

    assert world.model.calls == [["text 0"], ["text 1"]]
    assert {type(outcomes[job_id]) for job_id in (most, jobs[0])} == {Done}
    assert {type(outcomes[job_id]) for job_id in jobs[1:]} == {Postponed}
    assert {world.job(job_id).claim for job_id in jobs[1:]} == {None}
    assert outcomes[failed] == Refused(problem="it is poison"), "it is on its way to the dead letters"


def in_a_minute(world: World, receive_counts: Mapping[str, int]) -> dict[str, Outcome]:
    """Work on jobs by a model that takes 13 seconds a call; none is begun with less than 48 of a minute left."""
    calls = len(world.model.calls)
    consumer = replace(
        world.consumer, remaining_seconds=lambda: 60.0 - 13 * (len(world.model.calls) - calls), call_seconds=48
    )
    now = time.time()
    deliveries = {job_id: Delivery(receive_count=count, sent_at=now) for job_id, count in receive_counts.items()}
    return dict(consumer.work_on(deliveries))


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_of_slow_jobs_the_one_that_was_tried_most_is_tried_before_all_others(
    world: World, order: tuple[int, ...]
) -> None:
    counts = {world.accept("good"): 1, world.accept("deadly"): 2, (most := world.accept("deadly")): 3}
    jobs = list(counts)

    outcomes = in_a_minute(world, {jobs[place]: counts[jobs[place]] for place in order})

    assert outcomes.pop(most) == Again(problem="no answer in time")
    assert {type(outcome) for outcome in outcomes.values()} == {Postponed}


def test_jobs_of_a_refused_call_that_were_not_told_apart_in_time_have_been_tried(world: World) -> None:
    jobs = [world.accept("a"), world.accept("poison"), world.accept("good")]

    outcomes = in_a_minute(world, dict.fromkeys(jobs, 1))

    assert {type(outcome) for outcome in outcomes.values()} == {Again}
    assert len(world.model.calls) == 1


def test_jobs_of_a_refused_call_have_been_tried_also_beside_one_that_is_done(world: World) -> None:
    done = world.accept("fine")
    jobs = [world.accept("poison"), world.accept("good")]
    remaining = iter([60.0] * 6 + [0.0] * 2)
    now = time.time()
    deliveries = {done: Delivery(receive_count=2, sent_at=now)}
    deliveries |= {job_id: Delivery(receive_count=1, sent_at=now) for job_id in jobs}

    outcomes = dict(replace(world.consumer, remaining_seconds=remaining.__next__).work_on(deliveries))

    assert outcomes.pop(done) == Done()
    assert {type(outcome) for outcome in outcomes.values()} == {Again}


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
    world.claim(job_id, claim="another", until=2**40)

    assert world.consume(job_id) == {"0"}

    assert not world.model.calls
    assert world.job(job_id).claim == "another"


def test_a_job_that_has_changed_since_it_was_read_is_not_claimed(world: World) -> None:
    seen = world.job(world.accept("a"))
    world.claim(seen.job_id, claim="another", until=1)
    world.table.end([Ending(job_id=seen.job_id, job_status="failed", updated_at="later")], claim="another")

    assert world.table.claim([seen], claim="one", now=2, until=3, updated_at="now") == set()

    assert world.job(seen.job_id).job_status == "failed"


def test_a_job_of_a_consumer_that_must_have_ended_is_taken_over(world: World) -> None:
    job_id = world.accept("a")
    world.claim(job_id, claim="dead", until=1)

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


def test_a_job_that_was_driven_back_is_watched_again(world: World) -> None:
    job_id = world.accept("poison")
    world.consume(job_id)
    assert world.job(job_id).watched is None

    world.claim(job_id, claim="dead", until=1)

    assert world.job(job_id).watched == job_id[0]
    assert world.job(job_id).overdue_at == OVERDUE_SECONDS


def test_a_pause_is_never_longer_than_a_quarter_of_an_hour(world: World) -> None:
    job_id = world.accept("a")
    world.claim(job_id, claim="another", until=2**40)
    pauses: list[int] = []
    queue = cast(
        "JobQueue",
        SimpleNamespace(send_bodies=lambda *_, **__: None, delay=lambda seconds: pauses.extend(seconds.values())),
    )
    message = Message(message_id="0", receipt="0", receive_count=1, sent_at=0, body=body_of(job_id))

    assert consume([message], consumer=world.consumer, queue=queue, retries=RETRIES) == {"0"}

    assert pauses == [900]


def test_a_row_that_the_database_refuses_holds_no_others_back(world: World) -> None:
    world.rows.refused = "bad"
    good, bad = world.accept("good"), world.accept("bad")

    assert world.consume(good, bad) == {"1"}

    assert [row.text for row in world.rows.kept.values()] == ["good"]
    assert world.job(good).job_status == "succeeded"
    assert (world.job(bad).job_status, world.job(bad).problem) == ("queued", "the database refused the row")


def test_an_object_that_is_none_of_a_jobs_results_stops_no_other_job(world: World) -> None:
    strange, other, good = world.accept("a"), world.accept("b", "c"), world.accept("d")
    world.objects.write(f"results/jobs/{strange}.json", b'{"schema": 2}')
    kept = {"job_id": other, "model_version": "v1", "classified_at": "2026-01-01T00:00:00Z", "results": []}
    world.objects.write(f"results/jobs/{other}.json", json.dumps(kept).encode())

    assert world.consume(strange, other, good) == {"0", "1"}

    assert [world.job(job_id).job_status for job_id in (strange, other, good)] == ["failed", "failed", "succeeded"]
    assert "something else than its results" in str(world.job(strange).problem)


def test_an_item_of_a_newer_version_is_read_as_far_as_it_is_known(world: World) -> None:
    job_id = world.accept("a")
    world.let_time_pass(job_id, priority="high")

    assert world.consume(job_id) == set()


def test_a_job_is_accepted_once_under_a_key_and_another_request_is_a_conflict(world: World) -> None:
    first = world.accept("a", key="key#1")

    assert world.accept("a", key="key#1") == first
    assert world.accept("a", key="key#2") != first
    with pytest.raises(ConflictError):
        world.accept("b", key="key#1")
    assert json.loads(str(world.job(first).request))["texts"] == ["a"]


@pytest.mark.parametrize("forgotten", [True, False], ids=["deleted", "not yet deleted"])
def test_a_key_that_is_used_again_when_its_job_is_forgotten_names_a_new_job(world: World, *, forgotten: bool) -> None:
    long_ago = datetime.now(UTC) - timedelta(hours=2)
    first = world.accept("a", key="key#1", now=long_ago)
    assert world.consume(first) == set()
    if forgotten:
        for job_id in (first, "key#1"):
            world.table.client.delete_item(TableName="jobs", Key={"job_id": {"S": job_id}})

    second = world.accept("b", "c", key="key#1")

    assert second != first
    assert world.accept("b", "c", key="key#1") == second
    assert world.consume(second) == set()
    assert world.results(second) == ["b", "c"]
    assert sorted(row.text for (job_id, _), row in world.rows.kept.items() if job_id == second) == ["b", "c"]


def test_all_texts_of_a_call_are_annotated_at_the_same_time_however_many_jobs_they_are_of(world: World) -> None:
    together = threading.Barrier(job_batch._ANNOTATOR_CALLS, timeout=10)

    class Annotator:
        def annotate(self, texts: Sequence[str]) -> list[Annotation]:
            together.wait()
            return [{"tokens": []} for _ in texts]

    jobs = [world.accept(f"text {number}", annotations=True) for number in range(job_batch._ANNOTATOR_CALLS)]

    assert world.consume(*jobs, annotators={"en": Annotator()}) == set()

    assert {world.job(job_id).job_status for job_id in jobs} == {"succeeded"}


def test_jobs_with_more_annotations_than_are_made_at_once_go_in_calls_of_their_own_while_there_is_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_messages, "_UNTIL_WRITTEN_DOWN_SECONDS", 0)
    remaining = 60.0

    class Annotator:
        def annotate(self, _texts: Sequence[str]) -> list[Annotation]:
            nonlocal remaining
            remaining = 5.0  # which is too little for another call
            raise TimedOutError("no answer in time", {})

    annotated = [world.accept(f"text {number}", annotations=True) for number in range(job_batch._ANNOTATOR_CALLS)]
    plain, late = world.accept("plain"), world.accept("late", annotations=True)

    staying = world.consume(
        *annotated, plain, late, annotators={"en": Annotator()}, remaining_seconds=lambda: remaining
    )

    assert staying == {str(number) for number in range(len(annotated))}
    assert world.results(plain) == ["plain"]
    assert (world.job(late).job_status, world.job(late).problem) == ("queued", "no time was left for it")
    assert len(world.model.calls) == 1


def test_annotations_are_made_once_for_the_texts_of_a_call_that_is_refused(world: World) -> None:
    annotated: list[list[str]] = []

    class Annotator:
        def annotate(self, texts: Sequence[str]) -> list[Annotation]:
            annotated.append(list(texts))
            return [{"text": text} for text in texts]

    jobs = [world.accept(text, annotations=True) for text in ("a", "poison", "b", "c")]

    assert world.consume(*jobs, annotators={"en": Annotator()}) == {"1"}

    assert sorted(annotated) == [["a"], ["b"], ["c"], ["poison"]]


def test_an_answer_holds_results_only_as_far_as_lambda_takes_it(world: World) -> None:
    job_id = world.accept("a")
    world.consume(job_id)
    document = json.loads(world.objects.read(f"results/jobs/{job_id}.json"))
    (result,) = document["results"]
    least = len(json.dumps(json.dumps(result, separators=(",", ":"))))
    fitting = MAX_ANSWER_BYTES // least

    def answer(results: int) -> dict[str, Any]:
        body = json.dumps({**document, "results": [result] * results}, separators=(",", ":"))
        world.objects.write(f"results/jobs/{job_id}.json", body.encode())
        return look_at(job_id, table=world.table, objects=world.objects)

    view = answer(fitting)
    assert len(view["results"]) == fitting
    response = respond({}, lambda _: Answer(body=view))
    assert len(json.dumps(response)) < 6 * 1024 * 1024, "Lambda's limit"
    assert "results" not in answer(fitting + fitting // 10)


def test_a_large_request_is_in_s3_and_found_again(world: World) -> None:
    texts = ["好" * 9_000] * 4
    job_id = world.accept(*texts)

    assert world.job(job_id).request is None
    assert world.consume(job_id, max_payload_bytes=10**6) == set()
    assert world.results(job_id) == texts
