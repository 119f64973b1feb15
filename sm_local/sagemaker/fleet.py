"""A fleet: all variants of one configuration of one endpoint, running."""

from __future__ import annotations

import random
import shutil
import threading
import time

from sm_local.sagemaker import background
from sm_local.sagemaker.assembly import Assembly
from sm_local.sagemaker.capture import DataCapture
from sm_local.sagemaker.config import CaptureSettings, EndpointConfig
from sm_local.sagemaker.errors import SageMakerError
from sm_local.sagemaker.surroundings import Surroundings
from sm_local.sagemaker.variant import Variant

_USAGE_SECONDS = 60.0


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
        self._clock = surroundings.clock
        self._directory = surroundings.state.endpoints / endpoint_name / f"{number}-{time.time_ns()}"
        assembly = Assembly(
            endpoint_name=endpoint_name,
            config=config,
            number=number,
            directory=self._directory,
            surroundings=surroundings,
        )
        self.variants = {settings.name: assembly.variant(settings) for settings in config.variants}
        self.shadows = {settings.name: assembly.variant(settings) for settings in config.shadows}
        self.capture: DataCapture | None = None
        self.capture_as(config.capture)
        self._ended = threading.Event()

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
        background.keep_running(self._publish_usage, "sagemaker-usage")

    def stop(self) -> None:
        """Let calls under way end, end all processes and delete what was unpacked."""
        self._ended.set()
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

    def _publish_usage(self) -> None:
        while True:
            for variant in self._all:
                variant.publish_usage()
            if self._clock.wait(self._ended, _USAGE_SECONDS):
                return
