"""Variants, put together from what a configuration says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sm_local.sagemaker.backend import Backend, Place
from sm_local.sagemaker.capacity import Capacity, Instances, OnDemand
from sm_local.sagemaker.config import EndpointConfig, VariantSettings
from sm_local.sagemaker.containers import backend
from sm_local.sagemaker.errors import SageMakerError
from sm_local.sagemaker.messages import Answer, Invocation
from sm_local.sagemaker.metrics import (
    ASYNCHRONOUS,
    CONTAINER,
    INSTANCES,
    INSTANCES_NAMESPACE,
    MULTI_MODEL,
    REAL_TIME,
    SERVERLESS,
    SERVERLESS_COMPUTE,
    Publisher,
)
from sm_local.sagemaker.models import Model
from sm_local.sagemaker.role import AssumedRole
from sm_local.sagemaker.surroundings import Surroundings
from sm_local.sagemaker.usage import Usage
from sm_local.sagemaker.variant import Variant

INSTANCE_THREADS = 4
# AWS gives a serverless call compute of its own; here the calls share a process with this many threads.
_MOST_THREADS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembly:
    """Puts the variants of one fleet together.

    Args:
        endpoint_name: The endpoint.
        config: The configuration.
        number: Tells the fleets of an endpoint apart, in the names of log streams.
        directory: Where the fleet's models are unpacked.
        surroundings: The local AWS.
    """

    endpoint_name: str
    config: EndpointConfig
    number: int
    directory: Path
    surroundings: Surroundings

    def variant(self, settings: VariantSettings) -> Variant:
        """Return a variant that is not yet started.

        Raises:
            SageMakerError: Its model or role is gone.
        """
        model = self.surroundings.models.get(settings.model_name) if settings.model_name else None
        role = AssumedRole(model.role_arn if model else self.config.parameters["ExecutionRoleArn"])
        metrics = self._metrics(settings)
        served = backend(model, self._place(settings, model, role)) if model else NoModel()
        return Variant(settings, model, role, self._capacity(settings, served, metrics), metrics, self._usage(settings))

    def _capacity(self, settings: VariantSettings, served: Backend, metrics: Publisher) -> Capacity:
        if settings.serverless:
            return OnDemand(served, settings.serverless, self.surroundings.clock, metrics)
        return Instances(served, settings.instance_count)

    def _place(self, settings: VariantSettings, model: Model, role: AssumedRole) -> Place:
        around, config = self.surroundings, self.config
        return Place(
            role=role,
            directory=self.directory / settings.name,
            log_file=around.state.endpoint_logs / f"{self.endpoint_name}.log",
            log_group=f"/aws/sagemaker/Endpoints/{self.endpoint_name}",
            log_stream=f"{settings.name}/i-local{self.number:04d}",
            variant_name=settings.name,
            startup_seconds=settings.startup_seconds,
            threads=self._threads(settings),
            network_isolation=model.network_isolation or bool(config.parameters.get("EnableNetworkIsolation")),
            clock=around.clock,
            multi_model_metrics=Publisher(around.metrics, MULTI_MODEL, (self._dimensions(settings),)),
            container_metrics=lambda name: Publisher(
                around.metrics, CONTAINER, ({**self._dimensions(settings), "ContainerName": name},)
            ),
        )

    def _threads(self, settings: VariantSettings) -> int:
        if settings.serverless:
            return min(settings.serverless.max_concurrency, _MOST_THREADS)
        if self.config.asynchronous:
            return min(self.config.asynchronous.concurrency * settings.instance_count, _MOST_THREADS)
        return INSTANCE_THREADS

    def _metrics(self, settings: VariantSettings) -> Publisher:
        units = REAL_TIME
        if self.config.asynchronous:
            units = ASYNCHRONOUS
        elif settings.serverless:
            units = SERVERLESS
        dimensions = self._dimensions(settings)
        # The second set is for alarms that watch the new fleet of a deployment, and not the old one:
        # https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-configuration.html
        both = (dimensions, {**dimensions, "EndpointConfigName": self.config.name})
        return Publisher(self.surroundings.metrics, units, both)

    def _usage(self, settings: VariantSettings) -> Usage:
        units = SERVERLESS_COMPUTE if settings.serverless else INSTANCES
        publisher = Publisher(
            self.surroundings.metrics, units, (self._dimensions(settings),), namespace=INSTANCES_NAMESPACE
        )
        memory = settings.serverless.parameters["MemorySizeInMB"] * 1024**2 if settings.serverless else None
        return Usage(publisher, self.directory / settings.name, memory)

    def _dimensions(self, settings: VariantSettings) -> Mapping[str, str]:
        return {"EndpointName": self.endpoint_name, "VariantName": settings.name}


class NoModel:
    """Stands where a model would, on endpoints to which inference components bring the models."""

    def start(self) -> None:
        """Nothing runs before there are components."""

    def stop(self) -> None:
        """Components are stopped by their owners."""

    def processes(self) -> list[int]:
        """Return nothing: the processes are the components'."""
        return []

    def invoke(self, _invocation: Invocation) -> Answer:
        """Refuse: the caller must name a component."""
        raise SageMakerError(
            "ValidationError",
            "Inference Component Name header is required for endpoints to which you plan to deploy inference "
            "components. Please include Inference Component Name header or consider using SageMaker models.",
        )
