"""A production variant, or a shadow of one."""

from __future__ import annotations

import threading
from typing import assert_never

from sm_local.sagemaker.capacity import Capacity, Instances, OnDemand
from sm_local.sagemaker.config import VariantSettings
from sm_local.sagemaker.measuring import measured
from sm_local.sagemaker.messages import Answer, Invocation
from sm_local.sagemaker.metrics import Publisher
from sm_local.sagemaker.models import Model
from sm_local.sagemaker.registry import Parameters
from sm_local.sagemaker.role import AssumedRole
from sm_local.sagemaker.usage import Usage


class Variant:
    """Serves one model.

    Args:
        settings: What the configuration says.
        model: What is served; None when inference components bring it.
        role: The model's execution role, else the configuration's.
        capacity: What it runs on.
        metrics: Where the variant's metrics go.
        usage: Publishes what its containers use.
    """

    def __init__(
        self,
        settings: VariantSettings,
        model: Model | None,
        role: AssumedRole,
        capacity: Capacity,
        metrics: Publisher,
        usage: Usage,
    ) -> None:
        self.settings = settings
        self.model = model
        self.role = role
        self.capacity = capacity
        self.metrics = metrics
        self.weight = settings.weight
        self._usage = usage
        self._calls = 0
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """The variant's name."""
        return self.settings.name

    @property
    def instance_count(self) -> int:
        """How many instances there are; 1 for serverless variants."""
        return self.capacity.count if isinstance(self.capacity, Instances) else 1

    @property
    def per_instance(self) -> dict[str, float]:
        """What a call adds to the metrics that are divided by the number of instances."""
        return {"InvocationsPerInstance": 1 / max(1, self.instance_count)}

    def invoke(self, invocation: Invocation) -> Answer:
        """Call the model and publish the metrics of the call.

        Raises:
            SageMakerError: There is no capacity.
            NoAnswerError: The model did not answer.
        """
        with self._lock:
            self._calls += 1
            calls = self._calls
        try:
            further = {"ConcurrentRequestsPerModel": calls, **self.per_instance}
            return measured(self.capacity.ready(), invocation, [self.metrics], further)
        finally:
            with self._lock:
                self._calls -= 1

    def publish_usage(self) -> None:
        """Publish what the variant's containers use."""
        processes = self.capacity.processes()
        self._usage.publish(processes, len(processes) if self.model and self.model.many_models else None)

    @property
    def description(self) -> Parameters:
        """What ``DescribeEndpoint`` says in ``ProductionVariants``."""
        given = self.settings.parameters
        shown: Parameters = {"VariantName": self.name, "DeployedImages": self._images}
        for name in ("ManagedInstanceScaling", "RoutingConfig"):
            if name in given:
                shown[name] = given[name]
        match self.capacity:
            case OnDemand():
                shown["CurrentServerlessConfig"] = self.capacity.settings.parameters
            case Instances():
                shown |= {
                    "CurrentInstanceCount": self.capacity.count,
                    "DesiredInstanceCount": self.capacity.count,
                    "CurrentWeight": self.weight,
                    "DesiredWeight": self.weight,
                }
            case _:
                assert_never(self.capacity)
        return shown

    @property
    def _images(self) -> list[Parameters]:
        images = (container.image for container in (self.model.containers if self.model else ()))
        return [{"SpecifiedImage": image, "ResolvedImage": image} for image in images if image]
