"""What the command line tells its user instead of a stack trace."""

from __future__ import annotations

from collections.abc import Sequence


class LocalAwsError(Exception):
    """Something that the user can mend.

    Args:
        message: One paragraph: what is wrong, and the command or setting that mends it.
        log: Lines of a log that say why, shown below the message.
    """

    def __init__(self, message: str, log: Sequence[str] = ()) -> None:
        self.message = message
        self.log = tuple(log)
        super().__init__(message)


def log_tail(text: str, lines: int = 25) -> list[str]:
    r"""Return the last lines of a log that are not empty.

    >>> log_tail("one\n\ntwo\nthree\n", lines=2)
    ['two', 'three']
    """
    return [line for line in text.splitlines() if line.strip()][-lines:]
