"""A fleet: all variants of one configuration of one endpoint, running."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass

from sm_local.clock import Clock
from sm_local.sagemaker import background
from sm_local.sagemaker.backend import Place
from sm_local.sagemaker.capacity import Instances, OnDemand
from sm_local.sagemaker.capture import DataCapture
from sm_local.sagemaker.config import CaptureSettings, EndpointConfig, VariantSettings
from sm_local.sagemaker.containers import backend
from sm_local.sagemaker.errors import SageMakerError
from sm_local.sagemaker.messages import Answer, Invocation
from sm_local.sagemaker.metrics import (
    ASYNCHRONOUS,
    MULTI_MODEL,
    REAL_TIME,
    SERVERLESS,
    MetricSink,
    Publisher,
)
from sm_local.sagemaker.models import Models
from sm_local.sagemaker.role import AssumedRole
from sm_local.sagemaker.variant import Variant
from sm_local.state import StateDirectory

# AWS gives a serverless call compute of its own; here the calls share a process with this many threads.
_MOST_THREADS = 32
INSTANCE_THREADS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What every fleet needs of the local AWS.

    Args:
        state: Where models are unpacked and logs are kept.
        clock: Its time.
        metrics: Its CloudWatch.
        models: Its models.
    """

    state: StateDirectory
    clock: Clock
    metrics: MetricSink
    models: Models


class Fleet:
    """The variants of one configuration.

    Args:
        endpoint_name: The endpoint.
        config: The configuration.
        number: Tells the fleets of an endpoint apart.
        surroundings: The local AWS.

    Raises:
        SageMakerError: A model or a role is gone.
    """

    def __init__(self, endpoint_name: str, config: EndpointConfig, number: int, surroundings: Surroundings) -> None:
        self.config = config
        self._endpoint_name = endpoint_name
        self._number = number
        self._surroundings = surroundings
        self._directory = surroundings.state.endpoints / endpoint_name / f"{number}-{time.time_ns()}"
        self.variants = {settings.name: self._variant(settings) for settings in config.variants}
        self.shadows = {settings.name: self._variant(settings) for settings in config.shadows}
        self.capture: DataCapture | None = None
        self.capture_as(config.capture)

    def capture_as(self, settings: CaptureSettings | None) -> None:
        """Capture as these settings say, which may not be the configuration's; call it before :meth:`start`."""
        self.capture = DataCapture(self._endpoint_name, settings) if settings else None

    def start(self) -> None:
        """Start all variants beside each other.

        Raises:
            SageMakerError: One cannot start; nothing is left running.
        """
        starts = [background.start(one.capacity.start, "sagemaker-hosting") for one in self._all]
        failures = [error for start in starts if (error := start.exception())]
        if failures:
            self.stop()
            raise failures[0]

    def stop(self) -> None:
        """Let calls under way end, end all processes and delete what was unpacked."""
        stops = [background.start(one.capacity.stop, "sagemaker-hosting") for one in self._all]
        for stop in stops:
            stop.result()
        if self.capture:
            self.capture.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def choose(self, target: str | None) -> Variant:
        """Return the variant that a caller names, else one at random by weight.

        Raises:
            SageMakerError: There is no such variant.
        """
        if target is not None:
            if (found := self.variants.get(target)) is None:
                raise SageMakerError(
                    "ValidationError", f"Variant {target} of endpoint {self._endpoint_name} was not found."
                )
            return found
        variants = list(self.variants.values())
        weights = [variant.weight for variant in variants]
        return random.choices(variants, weights)[0]  # noqa: S311 - not a secret

    @property
    def _all(self) -> list[Variant]:
        return [*self.variants.values(), *self.shadows.values()]

    def _variant(self, settings: VariantSettings) -> Variant:
        around, config = self._surroundings, self.config
        model = around.models.get(settings.model_name) if settings.model_name else None
        role = AssumedRole(model.role_arn if model else config.parameters["ExecutionRoleArn"])
        metrics = self._publisher(settings)
        if model is None:
            return Variant(settings, None, role, Instances(_Components(), settings.instance_count), metrics)
        group = f"/aws/sagemaker/Endpoints/{self._endpoint_name}"
        threads = INSTANCE_THREADS
        if settings.serverless:
            threads = min(settings.serverless.max_concurrency, _MOST_THREADS)
        elif config.asynchronous:
            threads = min(config.asynchronous.concurrency * settings.instance_count, _MOST_THREADS)
        served = backend(
            model,
            Place(
                role=role,
                directory=self._directory / settings.name,
                log_file=around.state.endpoint_logs / f"{self._endpoint_name}.log",
                log_group=group,
                log_stream=f"{settings.name}/i-local{self._number:04d}",
                variant_name=settings.name,
                startup_seconds=settings.startup_seconds,
                threads=threads,
                network_isolation=model.network_isolation or bool(config.parameters.get("EnableNetworkIsolation")),
                clock=around.clock,
                multi_model_metrics=Publisher(around.metrics, MULTI_MODEL, (self._dimensions(settings.name),)),
            ),
        )
        if settings.serverless:
            capacity: Instances | OnDemand = OnDemand(served, settings.serverless, around.clock, metrics)
        else:
            capacity = Instances(served, settings.instance_count)
        return Variant(settings, model, role, capacity, metrics)

    def _publisher(self, settings: VariantSettings) -> Publisher:
        units = REAL_TIME
        if self.config.asynchronous:
            units = ASYNCHRONOUS
        elif settings.serverless:
            units = SERVERLESS
        dimensions = self._dimensions(settings.name)
        # The second set is for alarms that watch the new fleet of a deployment, and not the old one:
        # https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-configuration.html
        both = (dimensions, {**dimensions, "EndpointConfigName": self.config.name})
        return Publisher(self._surroundings.metrics, units, both)

    def _dimensions(self, variant_name: str) -> Mapping[str, str]:
        return {"EndpointName": self._endpoint_name, "VariantName": variant_name}


class _Components:
    """Stands where a model would, on endpoints to which inference components bring the models."""

    def start(self) -> None:
        """Nothing runs before there are components."""

    def stop(self) -> None:
        """Components are stopped by their owners."""

    def invoke(self, _invocation: Invocation) -> Answer:
        """Refuse: the caller must name a component."""
        raise SageMakerError(
            "ValidationError",
            "Inference Component Name header is required for endpoints to which you plan to deploy inference "
            "components. Please include Inference Component Name header or consider using SageMaker models.",
        )
