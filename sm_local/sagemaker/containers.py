"""Several containers of one model: a pipeline, or each called directly."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace

from sm_local.sagemaker.backend import Backend, Place
from sm_local.sagemaker.errors import SageMakerError
from sm_local.sagemaker.hosting import container
from sm_local.sagemaker.measuring import measured
from sm_local.sagemaker.messages import Answer, Invocation
from sm_local.sagemaker.metrics import Publisher
from sm_local.sagemaker.models import Model
from sm_local.sagemaker.multi_model import ManyModels


def backend(model: Model, place: Place) -> Backend:
    """Return what serves a model."""
    (first, *others) = model.containers
    if first.many_models:
        return ManyModels(first, place)
    if not others:
        return container(first, place)
    each = [
        Measured(
            container(definition, place, among=len(model.containers)),
            definition.name,
            place.container_metrics(definition.name),
        )
        for definition in model.containers
    ]
    return DirectContainers(each) if model.direct else Pipeline(each)


class Measured:
    """One of several containers, whose calls are measured.

    Args:
        container: The container.
        name: Its host name.
        metrics: Where its metrics go.
    """

    def __init__(self, container: Backend, name: str, metrics: Publisher) -> None:
        self.name = name
        self.start, self.stop, self.processes = container.start, container.stop, container.processes
        self._container = container
        self._metrics = metrics

    def invoke(self, invocation: Invocation) -> Answer:
        """Call the container and publish the metrics of the call. Raises NoAnswerError when it does not answer."""
        return measured(nullcontext(self._container), invocation, [self._metrics], {})


class _Together:
    def __init__(self, containers: Sequence[Measured]) -> None:
        self._containers = containers

    def start(self) -> None:
        """Start all containers, or none."""
        try:
            for one in self._containers:
                one.start()
        except BaseException:
            self.stop()
            raise

    def processes(self) -> list[int]:
        """Return the processes of all containers."""
        return [pid for one in self._containers for pid in one.processes()]

    def stop(self) -> None:
        """Stop all containers."""
        for one in self._containers:
            one.stop()


class Pipeline(_Together):
    """Serial inference: the answer of one container is the request of the next.

    https://docs.aws.amazon.com/sagemaker/latest/dg/inference-pipelines.html
    """

    def invoke(self, invocation: Invocation) -> Answer:
        """Return the last container's answer, or the first that is an error."""
        (*earlier, last) = self._containers
        for one in earlier:
            answer = one.invoke(replace(invocation, accept="*/*"))
            if answer.status >= 400:
                return answer
            invocation = replace(invocation, body=answer.body, content_type=answer.content_type)
        return last.invoke(invocation)


class DirectContainers(_Together):
    """Containers of which each call names one.

    https://docs.aws.amazon.com/sagemaker/latest/dg/multi-container-direct.html
    """

    def invoke(self, invocation: Invocation) -> Answer:
        """Return the answer of the container that ``TargetContainerHostname`` names."""
        for one in self._containers:
            if one.name == invocation.target_container:
                return one.invoke(invocation)
        names = ", ".join(one.name for one in self._containers)
        raise SageMakerError(
            "ValidationError",
            f"TargetContainerHostname is {invocation.target_container}: must be one of {names}.",
        )
