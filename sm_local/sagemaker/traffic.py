"""Where calls go: to the fleet in service, and during a deployment to the new one beside it."""

from __future__ import annotations

import random
import threading
from typing import Generic, TypeVar

Fleet = TypeVar("Fleet")


class Traffic(Generic[Fleet]):
    """The split of calls between the old (blue) and the new (green) fleet."""

    def __init__(self) -> None:
        self._blue: Fleet | None = None
        self._green: Fleet | None = None
        self._share = 0.0
        self._lock = threading.Lock()

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

    def choose(self) -> Fleet | None:
        """Return a fleet for one call, drawn at random by share; None when there is none."""
        with self._lock:
            if self._green is not None and random.random() < self._share:  # noqa: S311 - not a secret
                return self._green
            return self._blue

    def add(self, green: Fleet) -> None:
        """Put a new fleet beside the old one; it gets no calls yet."""
        with self._lock:
            self._green, self._share = green, 0.0

    def shift(self, share: float) -> None:
        """Let the new fleet have another part of the calls."""
        with self._lock:
            self._share = share

    def finish(self) -> Fleet | None:
        """Put the new fleet in the place of the old one, and return that."""
        with self._lock:
            old, self._blue, self._green, self._share = self._blue, self._green, None, 0.0
        return old

    def back_out(self) -> Fleet | None:
        """Give all calls to the old fleet, and return the new one."""
        with self._lock:
            new, self._green, self._share = self._green, None, 0.0
        return new

    def clear(self) -> list[Fleet]:
        """Take all calls from all fleets, and return these."""
        with self._lock:
            fleets = [fleet for fleet in (self._blue, self._green) if fleet is not None]
            self._blue = self._green = None
        return fleets
