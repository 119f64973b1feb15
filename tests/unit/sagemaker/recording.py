"""Stand-ins for what serving needs of the local AWS."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from sm_local.sagemaker.errors import SageMakerError
from sm_local.sagemaker.messages import Answer, Invocation


@dataclass
class RecordingSink:
    """Keeps what is published."""

    values: list[tuple[str, str, dict[str, str], float, str]] = field(default_factory=list)

    def put(self, namespace: str, name: str, dimensions: Mapping[str, str], value: float, unit: str) -> None:
        self.values.append((namespace, name, dict(dimensions), value, unit))

    def of(self, name: str) -> list[float]:
        return [value for _, published, _, value, _ in self.values if published == name]


@dataclass
class Model:
    """A backend that counts how often it was started and stopped, and waits when it is told to."""

    starts: int = 0
    stops: int = 0
    fails: bool = False
    status: int = 200
    may_start: threading.Event = field(default_factory=threading.Event)
    may_answer: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.may_start.set()
        self.may_answer.set()

    def start(self) -> None:
        self.may_start.wait(10)
        if self.fails:
            raise SageMakerError("ValidationException", "it cannot start")
        self.starts += 1

    def stop(self) -> None:
        self.stops += 1

    def processes(self) -> list[int]:
        return []

    def invoke(self, invocation: Invocation) -> Answer:
        self.may_answer.wait(10)
        return Answer(status=self.status, content_type=invocation.content_type, body=invocation.body)


@dataclass
class AlarmsInState:
    """Alarms whose states are set by hand."""

    states: dict[str, str] = field(default_factory=dict)

    def state(self, alarm_name: str) -> str:
        return self.states[alarm_name]
