"""The time of the local AWS, which may run faster than the wall clock.

At scale 60 a minute of the local AWS lasts one second: alarm periods, bake times and idle times pass in seconds.
Timestamps that clients send and read are wall-clock times; :meth:`Clock.virtual` maps them.
"""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Clock:
    """A clock that starts with the wall clock's time and runs `scale` times as fast.

    Args:
        scale: Virtual seconds in a real second.
        origin: Where both times are equal, in seconds since the epoch; now, when omitted.

    Raises:
        ValueError: The scale is not a positive number.

    >>> clock = Clock(scale=60, origin=1_700_000_000)
    >>> clock.virtual(1_700_000_001) - clock.virtual(1_700_000_000)
    60.0
    """

    scale: float = 1.0
    origin: float = field(default_factory=time.time, kw_only=True)

    def __post_init__(self) -> None:
        if not (self.scale > 0 and math.isfinite(self.scale)):
            raise ValueError(f"time scale must be a positive number, got {self.scale}")

    def now(self) -> float:
        """Return the virtual time in seconds since the epoch."""
        return self.virtual(time.time())

    def virtual(self, real_timestamp: float) -> float:
        """Return the virtual time at a time of the wall clock, both in seconds since the epoch."""
        return self.origin + (real_timestamp - self.origin) * float(self.scale)

    def real(self, virtual_timestamp: float) -> float:
        """Return the time of the wall clock at a virtual time, both in seconds since the epoch."""
        return self.origin + (virtual_timestamp - self.origin) / float(self.scale)

    def real_seconds(self, virtual_seconds: float) -> float:
        """Return how long so many virtual seconds last on the wall clock; 0 when negative."""
        return max(0.0, virtual_seconds) / self.scale

    def sleep(self, virtual_seconds: float) -> None:
        """Wait for so many virtual seconds; not at all when negative."""
        time.sleep(self.real_seconds(virtual_seconds))

    def wait(self, event: threading.Event, virtual_seconds: float) -> bool:
        """Wait for an event, at most so many virtual seconds; return whether it came."""
        return event.wait(self.real_seconds(virtual_seconds))
