"""Where calls go: to the fleet in service, and during a deployment to the new one beside it."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

Fleet = TypeVar("Fleet")


class Traffic(Generic[Fleet]):
    """The split of calls between the old (blue) and the new (green) fleet."""

    def __init__(self) -> None:
        self._blue: Fleet | None = None
        self._green: Fleet | None = None
        self._share = 0.0
        self._calls: Counter[int] = Counter()  # by the fleet's id
        self._changed = threading.Condition()

    @property
    def fleet(self) -> Fleet | None:
        """The fleet whose configuration the endpoint has: the old one as long as a deployment lasts."""
        return self._blue

    @property
    def green(self) -> Fleet | None:
        """The new fleet while a deployment lasts."""
        return self._green

    @property
    def share(self) -> float:
        """The part of the calls that the new fleet gets, from 0 to 1."""
        return self._share

    def enter(self) -> Fleet | None:
        """Return a fleet for one call, drawn at random by share; None when there is none.

        A fleet is to be given back by :meth:`leave`; until then it is not :meth:`drained`.
        """
        with self._changed:
            chosen = self._blue
            if self._green is not None and random.random() < self._share:  # noqa: S311 - not a secret
                chosen = self._green
            if chosen is not None:
                self._calls[id(chosen)] += 1
            return chosen

    def leave(self, fleet: Fleet) -> None:
        """Say that a call is over."""
        with self._changed:
            self._calls[id(fleet)] -= 1
            if not self._calls[id(fleet)]:
                del self._calls[id(fleet)]
            self._changed.notify_all()

    @contextmanager
    def call(self) -> Iterator[Fleet | None]:
        """Give a fleet to one call."""
        fleet = self.enter()
        try:
            yield fleet
        finally:
            if fleet is not None:
                self.leave(fleet)

    def drained(self, fleet: Fleet, seconds: float) -> bool:
        """Wait until no call uses a fleet, which gets no more; return whether that came in time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._calls[id(fleet)], timeout=seconds)

    def add(self, green: Fleet) -> None:
        """Put a new fleet beside the old one; it gets no calls yet."""
        with self._changed:
            self._green, self._share = green, 0.0

    def shift(self, share: float) -> None:
        """Let the new fleet have another part of the calls."""
        with self._changed:
            self._share = share

    def finish(self) -> Fleet | None:
        """Put the new fleet in the place of the old one, and return that."""
        with self._changed:
            old, self._blue, self._green, self._share = self._blue, self._green, None, 0.0
        return old

    def back_out(self) -> Fleet | None:
        """Give all calls to the old fleet, and return the new one."""
        with self._changed:
            new, self._green, self._share = self._green, None, 0.0
        return new

    def clear(self) -> list[Fleet]:
        """Take all calls from all fleets, and return these."""
        with self._changed:
            fleets = [fleet for fleet in (self._blue, self._green) if fleet is not None]
            self._blue = self._green = None
        return fleets
