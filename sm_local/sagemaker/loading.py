"""Models that start while callers wait."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait

from sm_local.clock import Clock
from sm_local.sagemaker import background
from sm_local.sagemaker.errors import SageMakerError

# How long a call waits for a model that is still starting before it is told to come back. It passes on the local
# AWS's clock: at a time scale of 60 a call waits one second.
WAIT_SECONDS = 60.0


class Loading:
    """One start at a time, for which any number of callers wait.

    Args:
        start: Starts what is waited for; does nothing when that runs already.
        clock: Measures how long callers wait.
        name: Names the thread.
    """

    def __init__(self, start: Callable[[], None], clock: Clock, name: str) -> None:
        self._start = start
        self._clock = clock
        self._name = name
        self._lock = threading.Lock()
        self._under_way: Future[None] | None = None

    def wait(self) -> None:
        """Begin to start unless that is under way, and wait for it.

        Raises:
            SageMakerError: ``ModelNotReadyException`` when it takes too long, else why it failed.
        """
        with self._lock:
            if self._under_way is None or self._under_way.done():
                self._under_way = background.start(self._start, self._name)
            under_way = self._under_way
        if not wait([under_way], timeout=WAIT_SECONDS / self._clock.scale).done:
            raise SageMakerError(
                "ModelNotReadyException",
                "The model is still being provisioned or loaded. Wait and try your request again.",
                status=429,
            )
        under_way.result()
