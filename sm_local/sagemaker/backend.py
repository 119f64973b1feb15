"""What answers calls: one container, or several together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sm_local.clock import Clock
from sm_local.sagemaker.messages import Answer, Invocation
from sm_local.sagemaker.metrics import Publisher
from sm_local.sagemaker.role import AssumedRole


class Backend(Protocol):
    """A model that can be started, called and stopped, again and again."""

    def start(self) -> None:
        """Serve. Raises SageMakerError, with nothing left running, when it cannot."""

    def stop(self) -> None:
        """Let calls under way end, then end all processes. What was downloaded stays."""

    def invoke(self, invocation: Invocation) -> Answer:
        """Return what the model answers. Raises NoAnswerError or SageMakerError."""

    def processes(self) -> list[int]:
        """Return the ids of the processes that run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where and how a model is served.

    Args:
        role: The execution role, which reads the model and writes the log.
        directory: Where model files are unpacked.
        log_file: Where the output of the model's process is appended.
        log_group: The CloudWatch Logs group to which the output goes too.
        log_stream: The stream in it.
        variant_name: The production variant, which errors name.
        startup_seconds: How long a container may take until it answers.
        threads: How many calls a container works on at the same time.
        network_isolation: Whether containers get no credentials.
        clock: The local AWS's time.
        multi_model_metrics: Where the metrics of loading many models go.
        container_metrics: Where those of one of several containers go, by its name.
    """

    role: AssumedRole
    directory: Path
    log_file: Path
    log_group: str
    log_stream: str
    variant_name: str
    startup_seconds: float
    threads: int
    network_isolation: bool
    clock: Clock
    multi_model_metrics: Publisher
    container_metrics: Callable[[str], Publisher]
