"""Metrics in what an algorithm prints.

https://docs.aws.amazon.com/sagemaker/latest/dg/define-train-metrics.html
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Sequence

from sm_local.sagemaker.errors import invalid
from sm_local.sagemaker.metrics import MetricSink
from sm_local.sagemaker.registry import Parameters

NAMESPACE = "/aws/sagemaker/TrainingJobs"


class PrintedMetrics:
    """The metrics of one training job.

    Args:
        definitions: ``MetricDefinitions`` of the request.
        sink: Where each value goes.
        job_name: Their dimension.

    Raises:
        SageMakerError: A regular expression cannot be used.
    """

    def __init__(self, definitions: Sequence[Parameters], sink: MetricSink, job_name: str) -> None:
        self._expressions = [(one["Name"], _compiled(one["Regex"])) for one in definitions]
        self._sink = sink
        self._dimensions = {"TrainingJobName": job_name}
        self._last: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    @property
    def final(self) -> list[Parameters]:
        """The last value of each: ``FinalMetricDataList``."""
        with self._lock:
            last = sorted(self._last.items())
        return [{"MetricName": name, "Value": value, "Timestamp": moment} for name, (value, moment) in last]

    def read(self, line: str) -> None:
        """Look for values in a printed line."""
        for name, expression in self._expressions:
            if (match := expression.search(line)) is None:
                continue
            try:
                value = float(match.group(1))
                self._sink.put(NAMESPACE, name, self._dimensions, value, "None")
            except (ValueError, IndexError, TypeError):  # no number, or no group
                continue
            with self._lock:
                self._last[name] = (value, time.time())


def _compiled(expression: str) -> re.Pattern[str]:
    try:
        return re.compile(expression)
    except re.error as error:
        raise invalid(f"Invalid regular expression in MetricDefinitions: {expression}: {error}") from error
