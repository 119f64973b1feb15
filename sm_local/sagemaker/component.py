"""An inference component: a model, or copies of it, on an endpoint that has none of its own."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

from sm_local.clock import Clock
from sm_local.sagemaker import background
from sm_local.sagemaker.capacity import Instances
from sm_local.sagemaker.errors import SageMakerError, invalid, reason
from sm_local.sagemaker.guardrails import Deployment, Plan, RolledBackError
from sm_local.sagemaker.measuring import measured
from sm_local.sagemaker.messages import INVOCATION_TIMEOUT_SECONDS, Answer, Invocation
from sm_local.sagemaker.metrics import AlarmStates, Publisher
from sm_local.sagemaker.registry import Parameters
from sm_local.sagemaker.role import AssumedRole
from sm_local.sagemaker.traffic import Traffic
from sm_local.sagemaker.variant import Variant


class Served:
    """One version of a component's model.

    Args:
        specification: As the API has it.
        copies: What it runs on: one process, however many copies there are, and none for 0.
        directory: Where its files are.
        role: The execution role.
    """

    def __init__(self, specification: Parameters, copies: Instances, directory: Path, role: AssumedRole) -> None:
        self.specification = specification
        self.copies = copies
        self.role = role
        self._directory = directory

    def stop(self) -> None:
        """Let calls under way end, end the process and delete its files."""
        self.copies.stop()
        shutil.rmtree(self._directory, ignore_errors=True)


class Component:
    """An inference component.

    Args:
        name: Its name.
        arn: Its ARN.
        endpoint_name: The endpoint.
        variant_name: The production variant.
        metrics: Where its metrics go.
        clock: The local AWS's time.
        alarms: Watched during updates.
    """

    def __init__(
        self,
        name: str,
        arn: str,
        *,
        endpoint_name: str,
        variant_name: str,
        metrics: Publisher,
        clock: Clock,
        alarms: AlarmStates,
    ) -> None:
        self.name = name
        self.arn = arn
        self.endpoint_name = endpoint_name
        self.variant_name = variant_name
        self.status = "Creating"
        self.failure_reason: str | None = None
        self.created = self.modified = time.time()
        self.last_deployment: Parameters | None = None
        self.traffic: Traffic[Served] = Traffic()
        self._metrics = metrics
        self._clock = clock
        self._alarms = alarms
        self._calls = 0
        self._ended = threading.Event()
        self._lock = threading.Lock()

    @property
    def role(self) -> AssumedRole | None:
        """The execution role of what is served."""
        served = self.traffic.fleet
        return served.role if served else None

    def deploy(self, served: Served, plan: Plan, *, if_it_fails: str) -> Future[None]:
        """Begin to start a version; the future ends when it serves, or raises why it does not."""

        def run() -> None:
            try:
                served.copies.start()
                self.traffic.add(served)
                began = self._clock.now()
                Deployment(plan, self._clock, self._alarms, ended=self._ended, began=began).run(
                    self.traffic.shift, lambda: None
                )
            except Exception as error:
                self.traffic.back_out()
                served.stop()
                why = str(error) if isinstance(error, RolledBackError) else reason(error)
                self._settle(if_it_fails, why)
                raise invalid(why) from error
            if old := self.traffic.finish():
                self.traffic.drained(old, INVOCATION_TIMEOUT_SECONDS)
                old.stop()
            if self._ended.is_set():
                self._clear()
            self._settle("InService", None)

        return background.start(run, "sagemaker-component")

    def begin_update(self) -> None:
        """Say that something is under way.

        Raises:
            SageMakerError: Something else is.
        """
        with self._lock:
            if self.status not in ("InService", "Failed"):
                raise invalid(f'Cannot update inference component "{self.arn}", which is {self.status}.')
            self.status = "Updating"

    def resize(self, copies: int) -> Future[None]:
        """Begin to change the number of copies."""
        self.begin_update()

        def run() -> None:
            try:
                if served := self.traffic.fleet:
                    served.copies.resize(copies)
            except Exception as error:
                self._settle("Failed", reason(error))
                raise
            self._settle("InService", None)

        return background.start(run, "sagemaker-component")

    def delete(self) -> None:
        """Stop everything."""
        self.status = "Deleting"
        self._ended.set()
        self._clear()

    def invoke(self, variant: Variant, invocation: Invocation) -> Answer:
        """Call a copy and publish the metrics of the call.

        Raises:
            SageMakerError: There is no copy.
            NoAnswerError: The model did not answer.
        """
        with self.traffic.call() as served:
            if served is None or not served.copies.count:
                self._metrics.put("NoCapacityInvocationFailures", 1)
                raise SageMakerError(
                    "ValidationError",
                    "Inference Component has no capacity to process this request. ApplicationAutoScaling may be "
                    "in-progress (if configured) or try to increase the capacity by invoking "
                    "UpdateInferenceComponentRuntimeConfig API.",
                )
            per_copy = 1 / served.copies.count
            with self._counted() as calls:
                further = {"InvocationsPerCopy": per_copy, "ConcurrentRequestsPerCopy": calls * per_copy}
                publishers = [self._metrics, variant.metrics]
                return measured(served.copies.ready(), invocation, publishers, {**further, **variant.per_instance})

    @contextmanager
    def _counted(self) -> Iterator[int]:
        """Give the number of calls under way, this one included."""
        with self._lock:
            self._calls += 1
            calls = self._calls
        try:
            yield calls
        finally:
            with self._lock:
                self._calls -= 1

    def _settle(self, status: str, failure: str | None) -> None:
        with self._lock:
            self.status, self.failure_reason, self.modified = status, failure, time.time()

    def _clear(self) -> None:
        for served in self.traffic.clear():
            served.stop()
