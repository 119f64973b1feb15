"""What starts executions of state machines by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_stepfunctions as stepfunctions
from constructs import Construct

from sm_constructs.storage import ArtifactPrefix


def start_on_upload(
    scope: Construct, machine: stepfunctions.IStateMachine, *, uploads: ArtifactPrefix, field: str
) -> None:
    """Start an execution for each ``*.jsonl`` and ``*.csv`` under a prefix, with ``{field: key}`` as its input."""
    keys = [events.Match.wildcard(f"{uploads.prefix}*.{extension}") for extension in ("jsonl", "csv")]
    events.Rule(
        scope,
        "Uploads",
        event_pattern=events.EventPattern(
            source=["aws.s3"],
            detail_type=["Object Created"],
            detail={
                "bucket": {"name": [uploads.bucket.bucket_name]},
                "object": {"key": events.Match.any_of(*keys)},
            },
        ),
        targets=[_start(machine, {field: events.EventField.from_path("$.detail.object.key")})],
    )


def start_by_schedule(
    scope: Construct, machine: stepfunctions.IStateMachine, *, schedule: events.Schedule, request: Mapping[str, Any]
) -> None:
    """Start an execution with the same input again and again."""
    events.Rule(scope, "Schedule", schedule=schedule, targets=[_start(machine, request)])


def _start(machine: stepfunctions.IStateMachine, request: Mapping[str, Any]) -> targets.SfnStateMachine:
    return targets.SfnStateMachine(machine, input=events.RuleTargetInput.from_object(dict(request)))
