"""Metrics that AWS services publish, and the factory that points them at one resource."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch

_PER_MILLISECOND = {
    cloudwatch.Unit.SECONDS: 0.001,
    cloudwatch.Unit.MILLISECONDS: 1,
    cloudwatch.Unit.MICROSECONDS: 1000,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricKind:
    """A metric as its service's documentation names it, with the statistic that is read from it.

    Args:
        namespace: Such as ``AWS/Lambda``.
        name: The metric's name, such as ``Errors``.
        unit: What the service publishes it in. It converts thresholds and is not put into the alarm: an alarm
            with a unit that the service does not send stays in INSUFFICIENT_DATA for ever.
        statistic: Such as ``Sum``, ``Average`` or ``p99``.

    >>> latency = MetricKind(
    ...     namespace="AWS/SageMaker",
    ...     name="ModelLatency",
    ...     unit=cloudwatch.Unit.MICROSECONDS,
    ...     statistic="Average",
    ... )
    >>> latency.value_of(Duration.seconds(2))
    2000000
    """

    namespace: str
    name: str
    unit: cloudwatch.Unit
    statistic: str

    def value_of(self, limit: float | Duration) -> float:
        """Express a limit in this metric's unit. Numbers are taken to be in it already."""
        if isinstance(limit, Duration):
            return limit.to_milliseconds() * _PER_MILLISECOND[self.unit]
        return limit


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricFactory:
    """Makes the metrics of one resource.

    Args:
        dimensions: What singles the resource out, exactly as its service publishes it: CloudWatch finds
            nothing under a subset of a metric's dimensions.
    """

    dimensions: Mapping[str, str]

    def metric(self, kind: MetricKind, *, period: Duration | None = None) -> cloudwatch.Metric:
        """Make the metric that an alarm watches.

        It has no label: CDK writes an alarm on a labelled metric as a metric query.

        Args:
            kind: Which one.
            period: When omitted: one minute, the finest that AWS services publish.
        """
        return cloudwatch.Metric(
            namespace=kind.namespace,
            metric_name=kind.name,
            dimensions_map=dict(self.dimensions),
            statistic=kind.statistic,
            period=period or Duration.minutes(1),
        )

    def line(self, kind: MetricKind, *, statistic: str | None = None) -> cloudwatch.Metric:
        """Make the line of a graph, labelled with its name and statistic.

        Args:
            kind: Which metric.
            statistic: When omitted: the kind's own.
        """
        statistic = statistic or kind.statistic
        return self.metric(kind).with_(statistic=statistic, label=f"{kind.name} {statistic}")
