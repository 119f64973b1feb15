"""How often a job is tried, and when again."""

from __future__ import annotations

import random
from dataclasses import dataclass

LONGEST_PAUSE_SECONDS = 900
"""The longest pause between two tries, and the longest that SQS delays a message."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Retries:
    """How often a job is tried, and when again.

    Args:
        max_receive_count: How often a message is handed out before it is a dead letter.
        first_pause_seconds: The pause after the first try, at most; each further one is twice as long.
    """

    max_receive_count: int
    first_pause_seconds: int

    def is_last(self, receive_count: int) -> bool:
        """Return whether a message that was handed out so often is a dead letter the next time."""
        return receive_count >= self.max_receive_count

    def pause(self, receive_count: int) -> int:
        """Return the seconds until the next try, from half of the longest pause to all of it."""
        longest: int = min(LONGEST_PAUSE_SECONDS, self.first_pause_seconds * 2 ** (receive_count - 1))
        return round(longest * random.uniform(0.5, 1))  # noqa: S311 (jitter, not a secret)
