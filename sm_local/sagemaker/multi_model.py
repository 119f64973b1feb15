"""Many models in one container: each is loaded when it is first called, and the least recently used go.

AWS unloads a model when memory runs short; here at most :data:`MOST_LOADED` are loaded, each in a process of its own.
https://docs.aws.amazon.com/sagemaker/latest/dg/multi-model-endpoints.html
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from dataclasses import replace

from sm_local.sagemaker.backend import Place
from sm_local.sagemaker.errors import SageMakerError
from sm_local.sagemaker.hosting import Container
from sm_local.sagemaker.loading import Loading
from sm_local.sagemaker.messages import Answer, Invocation
from sm_local.sagemaker.model_data import ModelData
from sm_local.sagemaker.models import ContainerDefinition

MOST_LOADED = 4


class ManyModels:
    """Serves the archives below a prefix.

    Args:
        definition: The container whose data is the prefix.
        place: Where and how.
    """

    def __init__(self, definition: ContainerDefinition, place: Place) -> None:
        self._definition = definition
        self._place = place
        self._models: OrderedDict[str, _Target] = OrderedDict()  # the least recently used first
        self._lock = threading.Lock()

    def start(self) -> None:
        """Nothing is loaded before it is called."""

    def stop(self) -> None:
        """Unload everything."""
        with self._lock:
            targets = list(self._models.values())
            self._models.clear()
        for target in targets:
            target.unload()

    def processes(self) -> list[int]:
        """Return the processes of all loaded models."""
        with self._lock:
            targets = list(self._models.values())
        return [pid for target in targets for pid in target.container.processes()]

    def invoke(self, invocation: Invocation) -> Answer:
        """Return the answer of the model that ``TargetModel`` names.

        Raises:
            SageMakerError: None is named, none is there, or it is still loading.
            NoAnswerError: It did not answer.
        """
        if not invocation.target_model:
            raise SageMakerError(
                "ValidationError", "TargetModel is required when invoking an endpoint that hosts multiple models."
            )
        target = self._enter(invocation.target_model)
        try:
            self._load(target)
            return target.container.invoke(invocation)
        finally:
            self._leave(target)

    def _enter(self, name: str) -> _Target:
        with self._lock:
            target = self._models.pop(name, None) or self._target(name)
            self._models[name] = target
            target.callers += 1
            return target

    def _leave(self, target: _Target) -> None:
        with self._lock:
            target.callers -= 1
        self._make_room()

    def _load(self, target: _Target) -> None:
        metrics = self._place.multi_model_metrics
        metrics.put("ModelCacheHit", 1 if target.loaded else 0)
        if target.loaded:
            return
        began = time.monotonic()
        target.loading.wait()
        metrics.put_seconds("ModelLoadingWaitTime", time.monotonic() - began)
        self._make_room()

    def _make_room(self) -> None:
        """Unload models that nobody is calling until few enough are loaded."""
        most = MOST_LOADED if self._definition.cached else 0
        with self._lock:
            loaded = [name for name, target in self._models.items() if target.loaded]
            idle = [name for name in loaded if not self._models[name].callers]
            gone = [self._models.pop(name) for name in idle[: max(0, len(loaded) - most)]]
        for target in gone:
            began = time.monotonic()
            target.unload()
            self._place.multi_model_metrics.put_seconds("ModelUnloadingTime", time.monotonic() - began)

    def _target(self, name: str) -> _Target:
        prefix = self._definition.data
        location = prefix.location.below(name.lstrip("/")) if prefix else None
        container = Container(
            replace(self._definition, data=ModelData(location=location) if location else None),
            replace(self._place, directory=self._place.directory / hashlib.sha256(name.encode()).hexdigest()[:16]),
        )
        return _Target(container, self._place)


class _Target:
    def __init__(self, container: Container, place: Place) -> None:
        self.container = container
        self.callers = 0
        self.loaded = False
        self.loading = Loading(self._load, place.clock, "sagemaker-multi-model")
        self._metrics = place.multi_model_metrics

    def _load(self) -> None:
        if self.loaded:
            return
        began = time.monotonic()
        try:
            self.container.start()
        except SageMakerError as error:
            data = self.container.definition.data
            raise SageMakerError("ValidationError", f"Failed to load model data ({data and data.location}): "
                                 f"{error.message}") from error  # fmt: skip
        self._metrics.put_seconds("ModelDownloadingTime", self.container.download_seconds)
        self._metrics.put_seconds("ModelLoadingTime", time.monotonic() - began - self.container.download_seconds)
        self.loaded = True

    def unload(self) -> None:
        self.loaded = False
        self.container.stop()
