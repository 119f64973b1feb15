"""An endpoint: its life, from creation over deployments to deletion."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from sm_local.sagemaker import background
from sm_local.sagemaker.async_queue import AsyncQueue
from sm_local.sagemaker.async_requests import MOST_INVOCATION_SECONDS
from sm_local.sagemaker.capacity import Instances
from sm_local.sagemaker.config import CaptureSettings, EndpointConfig
from sm_local.sagemaker.errors import SageMakerError, invalid, reason
from sm_local.sagemaker.fleet import Fleet
from sm_local.sagemaker.guardrails import ALL_AT_ONCE, Deployment, Plan, RolledBackError
from sm_local.sagemaker.messages import INVOCATION_TIMEOUT_SECONDS
from sm_local.sagemaker.registry import Parameters
from sm_local.sagemaker.surroundings import Surroundings
from sm_local.sagemaker.traffic import Traffic


@dataclass(frozen=True, slots=True, kw_only=True)
class Retained:
    """Which properties of the variants in service a new configuration does not change.

    Args:
        instance_count: The number of instances.
        weight: The weights.
        capture: Data capture.
    """

    instance_count: bool = False
    weight: bool = False
    capture: bool = False

    @classmethod
    def parse(cls, parameters: Parameters) -> Retained:
        """Return what ``UpdateEndpoint`` asks for."""
        if not parameters.get("RetainAllVariantProperties"):
            return cls()
        excluded = {one["VariantPropertyType"] for one in parameters.get("ExcludeRetainedVariantProperties") or ()}
        return cls(
            instance_count="DesiredInstanceCount" not in excluded,
            weight="DesiredWeight" not in excluded,
            capture="DataCaptureConfig" not in excluded,
        )


@dataclass(slots=True)
class Pending:
    """A deployment under way.

    Args:
        config: What is deployed.
        began: When, in seconds since the epoch.
        stage: ``Creating``, ``ActivatingTraffic`` or ``Baking``.
    """

    config: EndpointConfig
    began: float
    stage: str = "Creating"


class Endpoint:
    """An endpoint.

    Args:
        name: Its name.
        arn: Its ARN.
        config: The configuration it is created with.
        surroundings: The local AWS.
    """

    def __init__(self, name: str, arn: str, config: EndpointConfig, surroundings: Surroundings) -> None:
        self.name = name
        self.arn = arn
        self.config = config
        self.status = "Creating"
        self.created = self.modified = time.time()
        self.failure_reason: str | None = None
        self.last_deployment: Parameters | None = None
        self.pending: Pending | None = None
        self.traffic: Traffic[Fleet] = Traffic()
        self.queue: AsyncQueue | None = None
        self._surroundings = surroundings
        self._fleets = 0
        self._retiring: list[Fleet] = []
        self._ended = threading.Event()
        self._lock = threading.RLock()

    def create(self) -> Future[None]:
        """Begin to start; the future ends when the endpoint is ``InService`` or raises why it failed."""
        self.pending = Pending(self.config, time.time())
        return self._deploy(self.config, ALL_AT_ONCE, Retained(), if_it_fails="Failed")

    def update(self, config: EndpointConfig, plan: Plan, retained: Retained) -> Future[None]:
        """Begin to move to another configuration; the old one serves as long as the plan says.

        Raises:
            SageMakerError: Something else is under way.
        """
        self._begin("Updating", Pending(config, time.time()))
        if_it_fails = "InService" if self.traffic.fleet else "Failed"
        return self._deploy(config, plan, retained, if_it_fails=if_it_fails)

    def resize(self, change: Callable[[Fleet], None]) -> Future[None]:
        """Begin to change the weights and capacities of the fleet in service.

        Raises:
            SageMakerError: Something else is under way, or nothing is in service.
        """
        fleet = self.traffic.fleet
        if fleet is None:
            raise invalid(f'Cannot update endpoint "{self.arn}", which is {self.status}.')
        self._begin("Updating")

        def run() -> None:
            try:
                change(fleet)
            except Exception as error:
                self._settle("InService", reason(error))
                raise
            self._settle("InService", None)

        return background.start(run, "sagemaker-resize")

    def delete(self) -> None:
        """Stop everything."""
        with self._lock:
            self.status = "Deleting"
            self._ended.set()
        if self.queue:
            self.queue.close()
        for fleet in (*self.traffic.clear(), *self._retiring):
            fleet.stop()

    def _begin(self, status: str, pending: Pending | None = None) -> None:
        with self._lock:
            if self.status not in ("InService", "Failed"):
                raise invalid(f'Cannot update in-progress endpoint "{self.arn}".')
            self.pending = pending  # nobody sees the status without it
            self.status = status

    def _settle(self, status: str, failure: str | None) -> None:
        with self._lock:
            self.pending = None
            self.status, self.failure_reason, self.modified = status, failure, time.time()

    def _deploy(self, config: EndpointConfig, plan: Plan, retained: Retained, *, if_it_fails: str) -> Future[None]:
        """Put a new fleet beside the one in service, let it take over as planned, then stop the old one."""
        try:
            fleet = self._fleet(config, retained)
        except SageMakerError as error:
            self._settle(if_it_fails, error.message)
            raise
        clock, alarms = self._surroundings.clock, self._surroundings.alarms
        deployment = Deployment(plan, clock, alarms, ended=self._ended, began=clock.now())

        def run() -> None:
            try:
                self._run(fleet, deployment)
            except Exception as error:
                self._undo(fleet, reason(error) if isinstance(error, SageMakerError) else str(error), if_it_fails)
                if isinstance(error, RolledBackError):
                    raise invalid(str(error)) from error
                raise
            self._settle("InService", None)

        return background.start(run, "sagemaker-deployment")

    def _run(self, fleet: Fleet, deployment: Deployment) -> None:
        fleet.start()
        self.traffic.add(fleet)
        deployment.run(self._shift, self._bake)
        if fleet.config.asynchronous and self.queue is None:
            around = self._surroundings
            self.queue = AsyncQueue(self.name, self.traffic, around.clock, around.metrics)
        old = self.traffic.finish()
        if self._ended.is_set():
            for gone in filter(None, (old, *self.traffic.clear())):
                gone.stop()
            raise RolledBackError("The endpoint was deleted.")
        self.config = fleet.config
        if old:
            self._retiring.append(old)
            background.keep_running(lambda: self._retire(old), "sagemaker-termination")

    def _undo(self, fleet: Fleet, why: str, status: str) -> None:
        if self.traffic.green is not None:
            self.status = "RollingBack"
        if self.traffic.back_out():
            self.traffic.drained(fleet, _drain_seconds(fleet))
        fleet.stop()
        self._settle(status, why)

    def _retire(self, fleet: Fleet) -> None:
        """Stop a fleet once its last calls have ended."""
        self.traffic.drained(fleet, _drain_seconds(fleet))
        fleet.stop()
        self._retiring.remove(fleet)

    def _shift(self, share: float) -> None:
        if self.pending:
            self.pending.stage = "ActivatingTraffic"
        self.traffic.shift(share)

    def _bake(self) -> None:
        if self.pending:
            self.pending.stage = "Baking"

    def _fleet(self, config: EndpointConfig, retained: Retained) -> Fleet:
        with self._lock:
            self._fleets += 1
            number = self._fleets
        fleet = Fleet(self.name, config, number, self._surroundings)
        if old := self.traffic.fleet:
            _retain(old, fleet, retained)
        return fleet


def _drain_seconds(fleet: Fleet) -> float:
    """Return how long a call may take."""
    return MOST_INVOCATION_SECONDS if fleet.config.asynchronous else INVOCATION_TIMEOUT_SECONDS


def _retain(old: Fleet, new: Fleet, retained: Retained) -> None:
    for name, variant in new.variants.items():
        if (before := old.variants.get(name)) is None:
            continue
        if retained.weight:
            variant.weight = before.weight
        if retained.instance_count and isinstance(variant.capacity, Instances):
            variant.capacity.count = before.instance_count
    if retained.capture:
        settings: CaptureSettings | None = old.capture.settings if old.capture else None
        new.capture_as(settings)
