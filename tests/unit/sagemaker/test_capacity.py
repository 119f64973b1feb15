"""Instances, and compute that comes with the calls."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from sm_local.clock import Clock
from sm_local.sagemaker.capacity import IDLE_SECONDS, Instances, OnDemand
from sm_local.sagemaker.config import ServerlessSettings
from sm_local.sagemaker.errors import SageMakerError
from sm_local.sagemaker.messages import Answer, Invocation
from sm_local.sagemaker.metrics import SERVERLESS, Publisher
from tests.sagemaker_account import eventually
from tests.unit.sagemaker.recording import Model, RecordingSink

# Ten idle minutes last 0.2 s, and a call waits 20 ms for a cold start.
SCALE = 3000


class Serverless:
    def __init__(self, model: Model, most: int = 2, provisioned: int | None = None) -> None:
        self.model = model
        self.sink = RecordingSink()
        settings = ServerlessSettings(max_concurrency=most, provisioned_concurrency=provisioned, parameters={})
        self.capacity = OnDemand(model, settings, Clock(SCALE), Publisher(self.sink, SERVERLESS, ({},)))
        self.capacity.start()
        self._pool = ThreadPoolExecutor()

    def call(self) -> Answer:
        with self.capacity.ready() as backend:
            return backend.invoke(Invocation(body=b""))

    def later(self) -> Future[Answer]:
        return self._pool.submit(self.call)


@pytest.fixture
def serverless() -> Iterator[Callable[..., Serverless]]:
    made = []

    def make(*arguments: object) -> Serverless:
        made.append(Serverless(*arguments))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        one.model.may_start.set()
        one.model.may_answer.set()
        one.capacity.stop()


def code(error: SageMakerError) -> str:
    return error.code


def test_it_stops_when_idle_and_the_next_call_starts_it(serverless: Callable[..., Serverless]) -> None:
    one = serverless(Model())
    assert one.model.starts == 1
    eventually(lambda: one.model.stops == 1)
    assert one.sink.of("ModelSetupTime") == []

    assert one.call().status == 200

    assert one.model.starts == 2
    assert len(one.sink.of("ModelSetupTime")) == 1


def test_a_call_under_way_keeps_it_running(serverless: Callable[..., Serverless]) -> None:
    one = serverless(Model())
    one.model.may_answer.clear()
    answer = one.later()
    threading.Event().wait(3 * IDLE_SECONDS / SCALE)
    assert one.model.stops == 0
    one.model.may_answer.set()
    assert answer.result(5).status == 200


def test_provisioned_concurrency_keeps_it_running(serverless: Callable[..., Serverless]) -> None:
    one = serverless(Model(), 2, 1)
    threading.Event().wait(3 * IDLE_SECONDS / SCALE)
    assert one.model.stops == 0


def test_calls_above_the_maximum_concurrency_are_throttled_and_those_after_them_are_not(
    serverless: Callable[..., Serverless],
) -> None:
    one = serverless(Model(), 1)
    one.model.may_answer.clear()
    first = one.later()
    eventually(lambda: one.sink.of("ServerlessConcurrentExecutionsUtilization") == [1])
    with pytest.raises(SageMakerError, match="Rate exceeded") as caught:
        one.call()
    assert code(caught.value) == "ThrottlingException"
    one.model.may_answer.set()
    assert first.result(5).status == 200
    assert one.call().status == 200


def test_a_cold_start_that_takes_too_long_is_not_ready_but_goes_on(serverless: Callable[..., Serverless]) -> None:
    one = serverless(Model())
    eventually(lambda: one.model.stops == 1)
    one.model.may_start.clear()
    for _ in range(2):
        with pytest.raises(SageMakerError) as caught:
            one.call()
        assert (code(caught.value), caught.value.status) == ("ModelNotReadyException", 429)
    one.model.may_start.set()
    eventually(lambda: one.model.starts == 2)
    assert one.call().status == 200
    assert one.model.starts == 2, "two calls started it twice"


def test_a_cold_start_that_fails_is_tried_again(serverless: Callable[..., Serverless]) -> None:
    one = serverless(Model())
    eventually(lambda: one.model.stops == 1)
    one.model.fails = True
    with pytest.raises(SageMakerError, match="it cannot start"):
        one.call()
    one.model.fails = False
    assert one.call().status == 200


def test_a_late_call_does_not_start_what_was_stopped_for_good(serverless: Callable[..., Serverless]) -> None:
    one = serverless(Model())
    one.capacity.stop()
    one.call()
    assert one.model.starts == 1


def test_without_instances_nothing_runs_and_nothing_answers() -> None:
    model = Model()
    capacity = Instances(model, 0)
    capacity.start()
    assert model.starts == 0
    with pytest.raises(SageMakerError, match="no instances"), capacity.ready():
        pass


def test_the_model_is_started_and_stopped_only_from_and_to_zero() -> None:
    model = Model()
    capacity = Instances(model, 1)
    capacity.start()
    capacity.resize(3)
    assert (capacity.count, model.starts, model.stops) == (3, 1, 0)
    capacity.resize(0)
    assert (capacity.count, model.starts, model.stops) == (0, 1, 1)
    capacity.resize(2)
    assert (capacity.count, model.starts, model.stops) == (2, 2, 1)
