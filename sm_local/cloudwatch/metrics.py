"""Metrics that the local AWS itself publishes."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from threading import Lock

from sm_local.clock import Clock
from sm_local.patches import cloudwatch


class Metrics:
    """Publishes to CloudWatch, as a service of AWS does: without credentials, seen by everyone who may read metrics.

    It may be used from any thread. The datapoints belong to the account and region of the request under way.

    Args:
        clock: Tells which values fall into the same second, the finest resolution that CloudWatch has.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = Lock()

    def put(self, namespace: str, name: str, dimensions: Mapping[str, str], value: float, unit: str = "None") -> None:
        """Publish one value, at the present time.

        Args:
            namespace: Such as ``AWS/SageMaker``.
            name: The name of the metric.
            dimensions: All of them, by name; with others it is another metric.
            value: A finite number.
            unit: One of CloudWatch's units, such as ``Count`` or ``Microseconds``.

        Raises:
            ValueError: The value is not a finite number.
        """
        if not math.isfinite(value):
            raise ValueError(f"{namespace} {name}: a datapoint must be a finite number, got {value}")
        with self._lock:
            cloudwatch.put_datapoint(namespace, name, dimensions, value, unit, time.time(), self._same_second)

    def _same_second(self, earlier: float, later: float) -> bool:
        return int(self._clock.virtual(earlier)) == int(self._clock.virtual(later))
