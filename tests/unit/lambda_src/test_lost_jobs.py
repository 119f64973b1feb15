"""Jobs that nobody else would end: those of dead letters, and those whose messages got lost."""

from __future__ import annotations

import importlib
import secrets
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from text_classification.gateways.errors import UnavailableError
from text_classification.gateways.job_items import Job
from text_classification.gateways.job_queue import JobQueue, PeekedMessage
from text_classification.logic.jobs import timestamp
from text_classification.logic.lost_jobs import bury, remind

from tests.unit.lambda_src.job_world import World, job_world

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from text_classification.gateways.job_table import JobTable


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with job_world(monkeypatch) as world:
        yield world


def buried(world: World, table: JobTable | None = None, settled: set[str] | None = None) -> set[str]:
    """Look at the dead letters, which are in the same queue here."""
    return bury(
        table=table or world.table,
        queue=world.queue,
        dead_letters=world.queue,
        settled=set() if settled is None else settled,
        time_left=lambda: True,
        time_to_show=lambda: True,
    )


def reminded(world: World) -> set[str]:
    return remind(table=world.table, queue=world.queue, time_left=lambda: True)


def ago(seconds: int) -> str:
    return timestamp(datetime.now(UTC) - timedelta(seconds=seconds))


def silent_job(world: World) -> str:
    """Return a job whose consumer was killed."""
    job_id = world.accept("a")
    world.claim(job_id, claim="dead", until=1, updated_at=ago(60))
    return job_id


def visible(world: World) -> int:
    url = world.queue.queue_url
    return int(world.queue.client.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])[
        "Attributes"
    ]["ApproximateNumberOfMessages"])  # fmt: skip


def test_jobs_of_dead_letters_that_nobody_spoke_for_have_failed_and_the_messages_stay(world: World) -> None:
    silent, spoken = silent_job(world), world.accept("poison")
    world.consume(spoken)
    world.drain()
    world.queue.send([silent, spoken])

    assert buried(world) == {silent}

    assert "ended without an answer" in str(world.job(silent).problem)
    assert (world.job(silent).watched, world.job(silent).overdue_at) == (None, None)
    assert world.job(spoken).problem == "it is poison"
    assert visible(world) == 2, "an alarm does not see them, and nobody can drive them back"


@pytest.mark.parametrize(("status", "seconds"), [("running", 30), ("queued", 930)])
def test_a_job_of_a_dead_letter_has_not_failed_while_another_message_may_still_come_back(
    world: World, status: str, seconds: int
) -> None:
    job_id = world.accept("a")  # the queue hides a message for 30 seconds; pauses have 900 at most
    world.queue.send([job_id])
    settled: set[str] = set()

    world.let_time_pass(job_id, job_status=status, updated_at=ago(seconds - 5))
    assert buried(world, settled=settled) == set()
    world.let_time_pass(job_id, updated_at=ago(seconds + 5))
    assert buried(world, settled=settled) == {job_id}


def test_all_of_many_dead_letters_are_looked_at(world: World) -> None:
    ended = world.accept("poison")
    world.consume(ended)
    silent = [silent_job(world) for _ in range(3)]
    world.queue.send([*[ended] * 150, *silent, *[ended] * 50])

    assert buried(world) == set(silent)


def test_what_names_no_job_is_left_alone(world: World) -> None:
    world.accept("a", key="key#1")
    strange = ['{"job_id": "key#1"}', '{"job_id": 7}', "no JSON", '{"job_id": "' + "k" * 3_000 + '"}', "[" * 100_000]
    world.queue.send_bodies(strange)

    assert buried(world) == set()


def test_dead_letters_are_shown_again_also_when_there_is_no_time_to_look_at_all_of_them(world: World) -> None:
    ended = world.accept("poison")
    world.consume(ended)
    world.drain()
    world.queue.send([ended] * 30)
    looks = iter([True, True, False])

    bury(
        table=world.table,
        queue=world.queue,
        dead_letters=world.queue,
        settled=set(),
        time_left=looks.__next__,
        time_to_show=lambda: True,
    )

    assert visible(world) == 30


def test_dead_letters_of_jobs_that_have_ended_are_read_once(world: World) -> None:
    ended = [world.accept("poison"), world.accept("fine")]
    world.consume(*ended)
    world.drain()
    waiting = world.accept("a")
    world.queue.send([*ended, waiting])
    asked: list[set[str]] = []

    def read(job_ids: Sequence[str]) -> dict[str, Job]:
        asked.append(set(job_ids))
        return world.table.read(job_ids)

    table, settled = cast("JobTable", SimpleNamespace(read=read, bury=world.table.bury)), set[str]()
    assert buried(world, table, settled) == buried(world, table, settled) == set()

    assert asked == [{*ended, waiting}, {waiting}]
    world.drain()
    assert buried(world, table, settled) == settled == set()


def test_a_job_whose_message_got_lost_gets_another_one(world: World) -> None:
    lost, running, ended = world.accept("lost"), world.accept("running"), world.accept("ended")
    world.claim(running, claim="dead", until=1)
    assert world.consume(ended) == set()
    assert reminded(world) == set()

    for job_id in (lost, running):
        world.let_time_pass(job_id, overdue_at=1)
    world.drain()
    assert reminded(world) == {lost, running}
    assert set(world.drain()) == {lost, running}
    assert reminded(world) == set()

    assert world.consume(lost, running) == set()
    assert (world.results(lost), world.results(running)) == (["lost"], ["running"])


@pytest.fixture
def handler(monkeypatch: pytest.MonkeyPatch, world: World) -> Any:
    """Return the module of the handler, imported for this world."""
    monkeypatch.setenv("JOB_TABLE_NAME", world.table.table_name)
    monkeypatch.setenv("QUEUE_URL", world.queue.queue_url)
    monkeypatch.setenv("DEAD_LETTER_QUEUE_URL", world.queue.client.create_queue(QueueName="dead")["QueueUrl"])
    monkeypatch.setenv("POWERTOOLS_TRACE_DISABLED", "true")
    monkeypatch.delitem(sys.modules, "text_classification.handlers.bury_jobs", raising=False)
    yield importlib.import_module("text_classification.handlers.bury_jobs")
    del sys.modules["text_classification.handlers.bury_jobs"]


def seconds_left(monkeypatch: pytest.MonkeyPatch, *, looking_takes: float) -> LambdaContext:
    """Return the context of a minute, of which each look at ten dead letters takes some seconds."""
    left = [60.0]

    class Context:
        function_name = invoked_function_arn = aws_request_id = "bury"
        memory_limit_in_mb = 512

        def get_remaining_time_in_millis(self) -> int:
            return int(left[0] * 1000)

    def peek(_queue: JobQueue, **_: int) -> list[PeekedMessage]:
        left[0] -= looking_takes
        return [PeekedMessage(message_id=secrets.token_hex(16), receipt="gone", job_id=None)]

    monkeypatch.setattr(JobQueue, "peek", peek)
    return cast("LambdaContext", Context())


def test_lost_jobs_are_looked_for_however_many_dead_letters_there_are(
    world: World, handler: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = world.accept("lost")
    world.let_time_pass(lost, overdue_at=1)
    world.drain()

    answer = handler.handler({}, seconds_left(monkeypatch, looking_takes=3))

    assert answer == {"jobs": 0, "reminded": 1}
    assert world.drain() == [lost]


def test_lost_jobs_are_looked_for_when_the_dead_letters_cannot_be(
    world: World, handler: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = world.accept("lost")
    world.let_time_pass(lost, overdue_at=1)
    context = seconds_left(monkeypatch, looking_takes=0)

    def refuse(**_: object) -> None:
        raise UnavailableError("no connection", {})

    monkeypatch.setattr(handler, "bury", refuse)
    with pytest.raises(UnavailableError):
        handler.handler({}, context)

    assert world.drain() == [lost]
