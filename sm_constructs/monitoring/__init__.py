"""Alarms, their SNS topic and a dashboard for the parts of a text-classification stack."""

from __future__ import annotations

from sm_constructs.monitoring.api import ApiThresholds
from sm_constructs.monitoring.endpoint import EndpointThresholds
from sm_constructs.monitoring.functions import FunctionThresholds
from sm_constructs.monitoring.monitoring import Monitoring
from sm_constructs.monitoring.queue import QueueThresholds
from sm_constructs.monitoring.segment import Segment
from sm_constructs.monitoring.state_machines import StateMachineThresholds
from sm_constructs.monitoring.thresholds import Evaluation

__all__ = [
    "ApiThresholds",
    "EndpointThresholds",
    "Evaluation",
    "FunctionThresholds",
    "Monitoring",
    "QueueThresholds",
    "Segment",
    "StateMachineThresholds",
]
