"""What serving needs of the local AWS."""

from __future__ import annotations

from dataclasses import dataclass

from sm_local.clock import Clock
from sm_local.sagemaker.metrics import AlarmStates, MetricSink
from sm_local.sagemaker.models import Models
from sm_local.state import StateDirectory


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """The rest of the local AWS.

    Args:
        state: Where models are unpacked and logs are kept.
        clock: Its time.
        metrics: Its CloudWatch, to publish.
        alarms: Its CloudWatch, to watch.
        models: Its models.
    """

    state: StateDirectory
    clock: Clock
    metrics: MetricSink
    alarms: AlarmStates
    models: Models
