"""Schedules that are not waited for: what would fire in the night fires now."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import boto3

from tests.permissions import resource_of


@contextmanager
def each_minute(stack: str) -> Iterator[None]:
    """Let the rule with a schedule that a stack has fire each minute for a while, the first time within seconds."""
    events, name = boto3.client("events"), resource_of(stack, "AWS::Events::Rule", "Schedule").rpartition("/")[2]
    schedule = events.describe_rule(Name=name)["ScheduleExpression"]
    events.put_rule(Name=name, ScheduleExpression="rate(1 minute)")
    try:
        yield
    finally:
        events.put_rule(Name=name, ScheduleExpression=schedule)
