"""What a variant runs on: instances, or compute that comes with the calls and goes when they stay away."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

from sm_local.clock import Clock
from sm_local.sagemaker import background
from sm_local.sagemaker.backend import Backend
from sm_local.sagemaker.config import ServerlessSettings
from sm_local.sagemaker.errors import SageMakerError
from sm_local.sagemaker.loading import Loading
from sm_local.sagemaker.metrics import Publisher

# AWS does not say after how long it stops the compute of a serverless endpoint; users see 5 to 15 minutes.
IDLE_SECONDS = 600.0


class Instances:
    """Instances that run all the time: one process (or one for each container), however many they are.

    Args:
        backend: The model.
        count: How many instances; with 0 nothing runs.
    """

    def __init__(self, backend: Backend, count: int) -> None:
        self.count = count
        self._backend = backend

    def start(self) -> None:
        """Serve, unless there are 0 instances."""
        if self.count:
            self._backend.start()

    def stop(self) -> None:
        """Let calls under way end, and end the process."""
        self._backend.stop()

    def resize(self, count: int) -> None:
        """Change the number of instances; to and from 0 the model is really stopped and started."""
        before, self.count = self.count, count
        if count and not before:
            self._backend.start()
        elif before and not count:
            self._backend.stop()

    @contextmanager
    def ready(self) -> Iterator[Backend]:
        """Give the model to one call."""
        if not self.count:
            raise SageMakerError("ValidationError", "The variant has no instances.")
        yield self._backend

    def processes(self) -> list[int]:
        """Return the ids of the processes that run."""
        return self._backend.processes()


class OnDemand:
    """Serverless: stopped after an idle time, started by the next call, which waits.

    Args:
        backend: The model.
        settings: How many calls at the same time, and how many of them find it warm.
        clock: Tells when the model is idle.
        metrics: Where the variant's metrics go.
    """

    def __init__(self, backend: Backend, settings: ServerlessSettings, clock: Clock, metrics: Publisher) -> None:
        self.settings = settings
        self._backend = backend
        self._clock = clock
        self._metrics = metrics
        self._calls = 0
        self._running = False
        self._last_call = clock.now()
        self._lock = threading.Lock()
        self._life = threading.Lock()  # held while the model starts or stops
        self._ended = threading.Event()
        self._loading = Loading(self._wake, clock, "sagemaker-cold-start")

    def start(self) -> None:
        """Serve, and stop whenever nobody calls for :data:`IDLE_SECONDS`."""
        self._backend.start()
        self._running = True
        self._last_call = self._clock.now()
        background.keep_running(self._watch, "sagemaker-idle")

    def stop(self) -> None:
        """Let calls under way end, and end the process."""
        self._ended.set()
        with self._life:
            self._running = False
            self._backend.stop()

    @contextmanager
    def ready(self) -> Iterator[Backend]:
        """Give the model to one call.

        Raises:
            SageMakerError: ``ThrottlingException`` above the maximum concurrency, or ``ModelNotReadyException``.
        """
        running = self._enter()
        try:
            if not running:
                self._loading.wait()
            yield self._backend
        finally:
            with self._lock:
                self._calls -= 1
                self._last_call = self._clock.now()

    def processes(self) -> list[int]:
        """Return the ids of the processes that run."""
        return self._backend.processes()

    def _enter(self) -> bool:
        """Count a call; return whether the model runs, as it does until the call leaves."""
        settings = self.settings
        with self._lock:
            if self._calls >= settings.max_concurrency:
                raise SageMakerError("ThrottlingException", "Rate exceeded")
            self._calls += 1
            calls, running = self._calls, self._running
        put = self._metrics.put
        put("ServerlessConcurrentExecutionsUtilization", calls / settings.max_concurrency)
        if provisioned := settings.provisioned_concurrency:
            put("ServerlessProvisionedConcurrencyExecutions", min(calls, provisioned))
            put("ServerlessProvisionedConcurrencyUtilization", min(calls, provisioned) / provisioned)
            put("ServerlessProvisionedConcurrencyInvocations", int(calls <= provisioned))
            put("ServerlessProvisionedConcurrencySpilloverInvocations", int(calls > provisioned))
        return running

    def _wake(self) -> None:
        with self._life:
            if self._running or self._ended.is_set():
                return
            began = time.monotonic()
            self._backend.start()
            self._metrics.put_seconds("ModelSetupTime", time.monotonic() - began)
            self._last_call = self._clock.now()
            self._running = True

    def _watch(self) -> None:
        while not self._clock.wait(self._ended, self._until_idle()):
            with self._life:
                if self._fell_idle():
                    self._backend.stop()

    def _until_idle(self) -> float:
        if not self._running:
            return IDLE_SECONDS
        return max(1.0, self._last_call + IDLE_SECONDS - self._clock.now())

    def _fell_idle(self) -> bool:
        """Return whether the model ran in vain, and does not count as running any more."""
        with self._lock:
            quiet = self._calls == 0 and self._clock.now() - self._last_call >= IDLE_SECONDS
            idle = self._running and quiet and not self.settings.provisioned_concurrency
            self._running = self._running and not idle
            return idle


Capacity: TypeAlias = Instances | OnDemand
