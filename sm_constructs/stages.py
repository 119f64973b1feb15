"""Everything that differs between the stages of a deployment."""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_logs as logs

from sm_constructs._validation import Problems
from sm_constructs.api import api_stage_problems
from sm_constructs.endpoint import Canary, RealTime, Serverless
from sm_constructs.endpoint.guardrails import Deployment
from sm_constructs.errors import InvalidPropsError
from sm_constructs.monitoring import ApiThresholds, EndpointThresholds, QueueThresholds


@dataclass(frozen=True, kw_only=True, slots=True)
class StageConfig:
    """Define one stage of :class:`~sm_constructs.TextClassification`: every choice that differs between stages.

    Args:
        name: The stage's name, also the first part of the API's paths.
        variant: How the endpoint serves the model.
        deployment: How the endpoint moves to another model or configuration, in deployments and promotions, watched by
            its alarms beside those that are named here: when one goes off, it goes back. It has a name then. None: at
            once, as a serverless one always does.
        customer_managed_key: Whether data, logs and notifications are encrypted with a KMS key of the stack's own,
            unless one is handed in.
        removal_policy: What happens to data, logs and the key when the stack is deleted.
        termination_protection: Whether CloudFormation refuses to delete the stack.
        log_retention: How long logs of functions and of the API are kept.
        noncurrent_version_days: How many days overwritten and deleted artifacts can be brought back.
        access_log_days: How many days the access logs of the artifacts are kept.
        result_database: Whether jobs' results go into a database, too: Aurora PostgreSQL, which pauses while nobody
            calls it, in a network of its own.
        throttling_rate_limit: Requests per second that the API takes lastingly, from all callers together.
        throttling_burst_limit: Requests that it takes at the same time, before the rate limit counts.
        api_thresholds: When the API's alarms go off.
        endpoint_thresholds: When the endpoint's alarms go off.
        queue_thresholds: When the queue's alarms go off.

    >>> from dataclasses import replace
    >>> staging = replace(PROD, name="staging", variant=RealTime(instance_type="ml.m5.large", instance_count=1))
    >>> staging.customer_managed_key
    True
    """

    name: str
    variant: RealTime | Serverless
    deployment: Deployment | None
    customer_managed_key: bool
    removal_policy: RemovalPolicy
    termination_protection: bool
    log_retention: logs.RetentionDays
    noncurrent_version_days: int
    access_log_days: int
    result_database: bool
    throttling_rate_limit: int
    throttling_burst_limit: int
    api_thresholds: ApiThresholds
    endpoint_thresholds: EndpointThresholds
    queue_thresholds: QueueThresholds

    def problems(self) -> list[str]:
        """Return what AWS would refuse of the values, one line each.

        >>> from dataclasses import replace
        >>> replace(DEV, name="a/b", noncurrent_version_days=0).problems()
        ["name is 'a/b': must be 1 to 128 letters, digits, hyphens or underscores", \
'noncurrent_version_days is 0 days: must be at least 1']
        """
        problems = Problems()
        problems.extend(
            api_stage_problems(
                "name",
                self.name,
                throttling_rate_limit=self.throttling_rate_limit,
                throttling_burst_limit=self.throttling_burst_limit,
            )
        )
        problems.extend(f"variant: {problem}" for problem in self.variant.problems())
        problems.at_least("noncurrent_version_days", self.noncurrent_version_days, 1, "days")
        problems.at_least("access_log_days", self.access_log_days, 1, "days")
        problems.extend(self.api_thresholds.problems("api_thresholds"))
        problems.extend(self.endpoint_thresholds.problems("endpoint_thresholds"))
        problems.extend(self.queue_thresholds.problems("queue_thresholds"))
        return list(problems)

    @classmethod
    def named(cls, name: str) -> StageConfig:
        """Return :data:`DEV` or :data:`PROD` by its name.

        Raises:
            InvalidPropsError: There is no such stage.

        >>> StageConfig.named("dev") is DEV
        True
        """
        stages = {stage.name: stage for stage in (DEV, PROD)}
        if name not in stages:
            choices = ", ".join(repr(choice) for choice in stages)
            raise InvalidPropsError("StageConfig", [f"stage is {name!r}: must be one of {choices}"])
        return stages[name]


DEV = StageConfig(
    name="dev",
    variant=Serverless(),
    deployment=None,
    customer_managed_key=False,
    removal_policy=RemovalPolicy.DESTROY,
    termination_protection=False,
    log_retention=logs.RetentionDays.ONE_WEEK,
    noncurrent_version_days=7,
    access_log_days=30,
    result_database=False,
    throttling_rate_limit=20,
    throttling_burst_limit=40,
    # A serverless endpoint that nobody called for a while starts within the call.
    api_thresholds=ApiThresholds(latency_p99=Duration.seconds(20)),
    endpoint_thresholds=EndpointThresholds(),
    queue_thresholds=QueueThresholds(),
)
"""Costs next to nothing while nobody uses it, and leaves nothing behind."""

PROD = StageConfig(
    name="prod",
    variant=RealTime(instance_type="ml.m5.large", instance_count=2),
    # Its alarms take three minutes of five.
    deployment=Canary(bake_time=Duration.minutes(10)),
    customer_managed_key=True,
    removal_policy=RemovalPolicy.RETAIN,
    termination_protection=True,
    log_retention=logs.RetentionDays.ONE_YEAR,
    noncurrent_version_days=90,
    access_log_days=365,
    result_database=True,
    throttling_rate_limit=200,
    throttling_burst_limit=400,
    api_thresholds=ApiThresholds(server_error_rate=0.01, latency_p99=Duration.seconds(2)),
    endpoint_thresholds=EndpointThresholds(server_error_rate=0.01, model_latency=Duration.seconds(1)),
    queue_thresholds=QueueThresholds(),
)
"""Two instances in two availability zones, guarded deployments, a key of its own, and nothing is deleted with it."""
