"""How often and how long a service is called."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError
from hypothesis import given
from hypothesis import strategies as st
from text_classification.gateways.calls import TimeBudget, call_service
from text_classification.gateways.errors import GatewayError, TimedOutError


class Clock:
    """Time that passes only when it is told to."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def busy() -> ClientError:
    return ClientError(
        {"Error": {"Code": "ThrottlingException"}, "ResponseMetadata": {"HTTPStatusCode": 429}},  # type: ignore[typeddict-item]
        "InvokeEndpoint",
    )


@given(
    total=st.floats(min_value=0.5, max_value=900),
    fractions=st.lists(st.floats(min_value=0, max_value=1), min_size=4, max_size=4),
)
def test_however_long_attempts_take_all_of_them_stay_within_the_budget(total: float, fractions: list[float]) -> None:
    budget, clock = TimeBudget(total_seconds=total), Clock()
    durations: Iterator[float] = iter(fractions)

    def attempt() -> None:
        clock.sleep(next(durations) * budget.attempt_seconds)
        raise busy()

    with pytest.raises(GatewayError):
        call_service(attempt, budget, sleep=clock.sleep, clock=clock)
    assert clock.seconds - 100 <= total * (1 + 1e-9)


@given(total=st.floats(min_value=0.5, max_value=900))
def test_connecting_and_reading_together_are_one_attempt(total: float) -> None:
    budget = TimeBudget(total_seconds=total)

    config = budget.client_config()

    assert config.connect_timeout > 0  # type: ignore[attr-defined]
    assert config.connect_timeout + config.read_timeout == pytest.approx(budget.attempt_seconds)  # type: ignore[attr-defined]
    assert budget.attempt_seconds < total


def test_a_busy_service_is_called_four_times_at_most() -> None:
    clock, calls = Clock(), []

    def attempt() -> None:
        calls.append(clock())
        raise busy()

    with pytest.raises(GatewayError):
        call_service(attempt, TimeBudget(total_seconds=1_000), sleep=clock.sleep, clock=clock)
    assert len(calls) == 4


def test_an_attempt_that_could_not_connect_is_repeated_and_one_that_waited_is_not() -> None:
    budget = TimeBudget(total_seconds=1_000)
    calls = []

    def attempt() -> None:
        calls.append("call")
        raise (ConnectTimeoutError if len(calls) == 1 else ReadTimeoutError)(endpoint_url="https://the-service")

    with pytest.raises(TimedOutError):
        call_service(attempt, budget, sleep=lambda _: None)
    assert len(calls) == 2


def test_a_model_that_does_not_answer_in_time_has_not_refused_the_texts() -> None:
    response = {
        "Error": {"Code": "ModelError"},
        "ResponseMetadata": {"HTTPStatusCode": 424},
        "OriginalStatusCode": 0,
        "OriginalMessage": "Your invocation timed out while waiting for a response from container primary.",
    }

    def attempt() -> None:
        raise ClientError(response, "InvokeEndpoint")  # type: ignore[arg-type]

    with pytest.raises(TimedOutError):
        call_service(attempt, TimeBudget(total_seconds=10))
