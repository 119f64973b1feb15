"""What may be told of the parts of a whole system, beside what all of them have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypedDict

from aws_cdk import Duration, Size
from aws_cdk import aws_events as events


class TrainingOptions(TypedDict, total=False):
    """Arguments of :class:`TrainingWorkflow`, which says what they mean and what it means to leave them out.

    >>> options: TrainingOptions = {"start_on_upload": True, "max_spot_wait": Duration.hours(8)}
    """

    instance_type: str
    evaluation_instance_type: str
    max_instance_count: int
    volume_size_gb: int
    max_runtime: Duration
    max_spot_wait: Duration
    keep_alive: Duration
    network_isolation: bool
    inter_container_encryption: bool
    max_concurrent_trials: int
    max_trials: int
    max_concurrent_parts: int
    margin: float
    approval: bool
    approval_timeout: Duration
    start_on_upload: bool
    schedule: events.Schedule
    schedule_input: Mapping[str, Any]
    poll_interval: Duration
    tags: Mapping[str, str]


class TransformOptions(TypedDict, total=False):
    """Arguments of :class:`BatchTransform`, which says what they mean and what it means to leave them out.

    >>> options: TransformOptions = {"instance_count": 4, "start_on_upload": True}
    """

    instance_type: str
    instance_count: int
    max_concurrent_transforms: int
    max_payload: Size
    max_attempts: int
    job_timeout: Duration
    start_on_upload: bool
    schedule: events.Schedule


def unknown_options(argument: str, given: Mapping[str, Any] | None, known: type) -> Iterator[str]:
    """Yield which options there are not, or are what the whole system gives all of its parts.

    >>> list(unknown_options("transform_options", {"vpc": None, "max_attempts": 2}, TransformOptions))[0][:60]
    'transform_options.vpc is not known: it has instance_count, i'
    """
    for name in sorted((given or {}).keys() - known.__annotations__.keys()):
        yield f"{argument}.{name} is not known: it has {', '.join(sorted(known.__annotations__))}"
