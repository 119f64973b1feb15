"""What each monitored part of a stack hands to the dashboard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aws_cdk import aws_cloudwatch as cloudwatch

_COLUMNS = 24  # width of a CloudWatch dashboard
_HEIGHT = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """The alarms and graphs of one part of a stack.

    Args:
        title: Heading of its row on the dashboard.
        alarms: By construct id, such as ``"ServerErrors"``.
        graphs: At most three, shown beside the state of the alarms.
    """

    title: str
    alarms: Mapping[str, cloudwatch.Alarm]
    graphs: Sequence[cloudwatch.GraphWidget]

    def rows(self) -> list[list[cloudwatch.IWidget]]:
        """Lay the segment out: a heading, then the alarms' states beside the graphs."""
        heading = cloudwatch.TextWidget(markdown=f"## {self.title}", width=_COLUMNS, height=1)
        states = cloudwatch.AlarmStatusWidget(
            title="Alarms",
            alarms=list(self.alarms.values()),
            width=_COLUMNS // 4,
            height=_HEIGHT,
        )
        return [[heading], [states, *self.graphs]]


def graph(title: str, *metrics: cloudwatch.IMetric, limits: Sequence[cloudwatch.Alarm] = ()) -> cloudwatch.GraphWidget:
    """Draw metrics over time, with the thresholds of the given alarms as lines."""
    return cloudwatch.GraphWidget(
        title=title,
        left=list(metrics),
        left_annotations=[alarm.to_annotation() for alarm in limits],
        left_y_axis=cloudwatch.YAxisProps(min=0),
        width=_COLUMNS // 4,
        height=_HEIGHT,
    )
