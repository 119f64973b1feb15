"""Working on batches of jobs: all texts in one call, and each job with one result or a reason."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from text_classification.gateways.errors import UnavailableError
from text_classification.logic.errors import ConflictError
from text_classification.logic.job_messages import Retries, bury

from tests.unit.lambda_src.job_world import World, job_world


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
