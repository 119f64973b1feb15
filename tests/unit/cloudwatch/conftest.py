"""MiniStack's stores in this process, empty, and a wall clock that the test moves."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from ministack.services import cloudwatch

START = 1_700_000_040.0  # a full minute


class Wall:
    """The wall clock."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    wall = Wall()
    monkeypatch.setattr(time, "time", wall)
    return wall


@pytest.fixture(autouse=True)
def _empty_stores() -> Iterator[None]:
    yield
    cloudwatch.reset()
