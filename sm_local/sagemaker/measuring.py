"""The metrics of calls: how many, how they ended, how long they took."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager

from sm_local.sagemaker.backend import Backend
from sm_local.sagemaker.errors import NoAnswerError
from sm_local.sagemaker.messages import Answer, Invocation
from sm_local.sagemaker.metrics import Publisher


def measured(
    ready: AbstractContextManager[Backend],
    invocation: Invocation,
    publishers: Sequence[Publisher],
    further: Mapping[str, float],
) -> Answer:
    """Call a model and publish the metrics of the call.

    Args:
        ready: Gives the model to this call.
        invocation: What it gets.
        publishers: Each publishes the metrics of its kind.
        further: Values of other metrics, by name.

    Raises:
        SageMakerError: There is no capacity; nothing is published then.
        NoAnswerError: The model did not answer.
    """
    received = time.monotonic()
    with ready as backend:
        called = time.monotonic()
        try:
            answer = backend.invoke(invocation)
        except NoAnswerError:
            _publish(publishers, further, 0, time.monotonic() - called, called - received)
            raise
        took = time.monotonic() - called
    _publish(publishers, further, answer.status, took, time.monotonic() - received - took)
    return answer


def _publish(
    publishers: Sequence[Publisher],
    further: Mapping[str, float],
    status: int,
    model_seconds: float,
    overhead_seconds: float,
) -> None:
    values = {
        "Invocations": 1,
        "Invocation4XXErrors": int(400 <= status < 500),
        "Invocation5XXErrors": int(status >= 500),
        "InvocationModelErrors": int(not 200 <= status < 300),
        **further,
    }
    for publisher in publishers:
        for name, value in values.items():
            publisher.put(name, value)
        publisher.put_seconds("ModelLatency", model_seconds)
        publisher.put_seconds("ContainerLatency", model_seconds)
        publisher.put_seconds("OverheadLatency", overhead_seconds)
