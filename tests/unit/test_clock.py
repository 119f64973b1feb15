"""The clock of the local AWS runs as fast as it is told."""

from __future__ import annotations

import math
import threading
import time

import pytest

from sm_local.clock import Clock


def test_at_scale_one_it_is_the_wall_clock() -> None:
    before = time.time()
    assert before <= Clock().now() <= time.time() + 1e-6
    assert Clock().virtual(before) == pytest.approx(before, abs=1e-6)


def test_a_real_second_is_scale_virtual_seconds() -> None:
    clock = Clock(scale=60)
    assert clock.virtual(clock.origin + 2) == clock.origin + 120
    assert clock.virtual(clock.origin - 1) == clock.origin - 60
    assert clock.real(clock.origin + 120) == clock.origin + 2
    assert clock.real_seconds(30) == 0.5
    assert clock.real_seconds(-30) == 0


def test_sleep_takes_virtual_seconds() -> None:
    clock = Clock(scale=600)
    before, started = clock.now(), time.monotonic()
    clock.sleep(60)
    assert time.monotonic() - started == pytest.approx(0.1, abs=0.08)
    assert clock.now() - before >= 59
    clock.sleep(-1)


def test_wait_returns_whether_the_event_came() -> None:
    clock, event = Clock(scale=600), threading.Event()
    started = time.monotonic()
    assert not clock.wait(event, 30)
    assert time.monotonic() - started == pytest.approx(0.05, abs=0.045)
    event.set()
    assert clock.wait(event, 1e6)


@pytest.mark.parametrize("scale", [0, -1, math.inf, math.nan])
def test_a_scale_that_is_no_positive_number_is_refused(scale: float) -> None:
    with pytest.raises(ValueError, match="time scale must be a positive number"):
        Clock(scale)
