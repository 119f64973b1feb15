"""Work beside the request that began it."""

from __future__ import annotations

import contextvars
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Result = TypeVar("Result")

_log = logging.getLogger(__name__)


def start(work: Callable[[], Result], name: str) -> Future[Result]:
    """Run in a thread of its own, in the account and region of the request under way.

    Returns:
        Ends with what the work returns or raises.
    """
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(run,), name=name, daemon=True).start()
    return future


def keep_running(work: Callable[[], None], name: str) -> None:
    """Run in a thread of its own for as long as it takes; what it raises is a fault of ours, and logged."""

    def run() -> None:
        try:
            work()
        except Exception:
            _log.exception("%s ended", name)

    start(run, name)
