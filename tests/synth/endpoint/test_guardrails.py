"""How an endpoint moves to another configuration."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_cloudwatch as cloudwatch

from sm_constructs.endpoint import (
    AllAtOnce,
    Canary,
    CapacitySize,
    Endpoint,
    Linear,
    Rolling,
    VariantProperty,
)
from sm_constructs.endpoint.guardrails import Deployment
from tests.synth.endpoint.making import ENDPOINT, REAL_TIME, model_in, queue_in
from tests.synth.templates import all_of, only, resources_of, statement_for

MINUTE, HOUR = cdk.Duration.minutes(1), cdk.Duration.hours(1)


def deployed(stack: cdk.Stack, deployment: Deployment) -> dict[str, Any]:
    Endpoint(stack, "Endpoint", model=model_in(stack), variant=REAL_TIME, deployment=deployment)
    found: dict[str, Any] = only(stack, ENDPOINT)["DeploymentConfig"]
    return found


def alarm_in(stack: cdk.Stack, construct_id: str = "Failing") -> cloudwatch.Alarm:
    watched = Endpoint.from_endpoint_name(stack, f"{construct_id}Watched", "reviews")
    return watched.metric_invocation_5xx_errors(statistic="Average").create_alarm(
        stack, construct_id, threshold=0.05, evaluation_periods=1
    )


def test_all_at_once_bakes_for_five_minutes(stack: cdk.Stack) -> None:
    assert deployed(stack, AllAtOnce()) == {
        "BlueGreenUpdatePolicy": {
            "TerminationWaitInSeconds": 0,
            "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 300},
        }
    }


def test_a_canary_comes_first(stack: cdk.Stack) -> None:
    canary = Canary(
        canary_size=CapacitySize.instances(1),
        bake_time=cdk.Duration.minutes(10),
        termination_wait=MINUTE,
        maximum_execution_timeout=HOUR,
    )

    assert deployed(stack, canary) == {
        "BlueGreenUpdatePolicy": {
            "MaximumExecutionTimeoutInSeconds": 3600,
            "TerminationWaitInSeconds": 60,
            "TrafficRoutingConfiguration": {
                "CanarySize": {"Type": "INSTANCE_COUNT", "Value": 1},
                "Type": "CANARY",
                "WaitIntervalInSeconds": 600,
            },
        }
    }


def test_calls_move_in_linear_steps(stack: cdk.Stack) -> None:
    found = deployed(stack, Linear(step_size=CapacitySize.percent(20), bake_time=MINUTE))

    assert found["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"] == {
        "LinearStepSize": {"Type": "CAPACITY_PERCENT", "Value": 20},
        "Type": "LINEAR",
        "WaitIntervalInSeconds": 60,
    }


def test_instances_are_replaced_in_batches(stack: cdk.Stack) -> None:
    rolling = Rolling(
        batch_size=CapacitySize.percent(50),
        bake_time=MINUTE,
        rollback_batch_size=CapacitySize.percent(100),
        maximum_execution_timeout=HOUR,
    )

    assert deployed(stack, rolling) == {
        "RollingUpdatePolicy": {
            "MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 50},
            "MaximumExecutionTimeoutInSeconds": 3600,
            "RollbackMaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 100},
            "WaitIntervalInSeconds": 60,
        }
    }


def test_alarms_on_an_endpoint_with_a_name_roll_it_back(stack: cdk.Stack) -> None:
    alarm = alarm_in(stack)

    Endpoint(
        stack,
        "Endpoint",
        model=model_in(stack),
        variant=REAL_TIME,
        endpoint_name="reviews",
        deployment=Canary(alarms=[alarm]),
    )

    rollback = only(stack, ENDPOINT)["DeploymentConfig"]["AutoRollbackConfiguration"]
    assert rollback == {"Alarms": [{"AlarmName": stack.resolve(alarm.alarm_name)}]}
    (name,) = (name for name, each in resources_of(stack).items() if each["Type"] == ENDPOINT)
    assert name not in str(all_of(stack, "AWS::CloudWatch::Alarm")), "each would wait for the other"


def test_the_models_role_may_see_the_alarms(stack: cdk.Stack) -> None:
    alarm = alarm_in(stack)

    deployed(stack, AllAtOnce(alarms=[alarm]))

    assert statement_for(stack, "cloudwatch:DescribeAlarms")["Resource"] == stack.resolve(alarm.alarm_arn)


def test_asynchronous_endpoints_are_guarded_too(stack: cdk.Stack) -> None:
    Endpoint(stack, "Endpoint", model=model_in(stack), variant=queue_in(stack), deployment=AllAtOnce())

    assert "BlueGreenUpdatePolicy" in only(stack, ENDPOINT)["DeploymentConfig"]


def test_nothing_is_retained_unless_it_is_asked_for(stack: cdk.Stack) -> None:
    Endpoint(stack, "Endpoint", model=model_in(stack), variant=REAL_TIME)

    assert only(stack, ENDPOINT).keys() == {"EndpointConfigName"}


def test_what_has_become_of_a_variant_is_retained_as_asked(stack: cdk.Stack) -> None:
    Endpoint(
        stack,
        "Endpoint",
        model=model_in(stack),
        variant=REAL_TIME,
        retain_variant_properties=[VariantProperty.INSTANCE_COUNT, VariantProperty.WEIGHT],
    )

    found = only(stack, ENDPOINT)
    assert found["RetainAllVariantProperties"] is True
    assert found["ExcludeRetainedVariantProperties"] == [{"VariantPropertyType": "DataCaptureConfig"}]


def test_everything_is_retained_without_an_exception(stack: cdk.Stack) -> None:
    Endpoint(
        stack, "Endpoint", model=model_in(stack), variant=REAL_TIME, retain_variant_properties=list(VariantProperty)
    )

    found = only(stack, ENDPOINT)
    assert found["RetainAllVariantProperties"] is True
    assert "ExcludeRetainedVariantProperties" not in found


PERCENT, INSTANCES = CapacitySize.percent, CapacitySize.instances


@pytest.mark.parametrize(
    ("deployment", "problem"),
    [
        (Canary(canary_size=PERCENT(51)), "canary_size is 51 %: must be from 1 to 50 % of the variant's instances"),
        (Canary(canary_size=PERCENT(0)), "canary_size is 0 %: must be from 1 to 50 % of the variant's instances"),
        (
            Canary(canary_size=INSTANCES(2)),
            "canary_size is 2 of 3 instances: must be from 1 to 50 % of the variant's instances",
        ),
        (Linear(step_size=PERCENT(9)), "step_size is 9 %: must be from 10 to 50 % of the variant's instances"),
        (Linear(step_size=PERCENT(51)), "step_size is 51 %: must be from 10 to 50 % of the variant's instances"),
        (Rolling(batch_size=PERCENT(4)), "batch_size is 4 %: must be from 5 to 50 % of the variant's instances"),
        (
            Rolling(rollback_batch_size=INSTANCES(4)),
            "rollback_batch_size is 4 of 3 instances: must be from 1 to 100 % of the variant's instances",
        ),
        (AllAtOnce(bake_time=cdk.Duration.seconds(3601)), "bake_time is 3601 s: must be from 0 to 3600 s"),
        (AllAtOnce(termination_wait=cdk.Duration.hours(2)), "termination_wait is 7200 s: must be from 0 to 3600 s"),
        (Rolling(bake_time=cdk.Duration.seconds(3601)), "bake_time is 3601 s: must be from 0 to 3600 s"),
        (
            AllAtOnce(maximum_execution_timeout=cdk.Duration.seconds(599)),
            "maximum_execution_timeout is 599 s: must be from 600 to 28800 s",
        ),
        (
            AllAtOnce(maximum_execution_timeout=cdk.Duration.hours(9)),
            "maximum_execution_timeout is 32400 s: must be from 600 to 28800 s",
        ),
        (
            Canary(maximum_execution_timeout=cdk.Duration.minutes(10)),
            "maximum_execution_timeout is 600 s: must be more than all waits, 600 s",
        ),
        (
            Linear(maximum_execution_timeout=cdk.Duration.minutes(20), termination_wait=MINUTE),
            "maximum_execution_timeout is 1200 s: must be more than all waits, 1260 s",
        ),
        (
            Rolling(maximum_execution_timeout=cdk.Duration.minutes(10), batch_size=INSTANCES(1)),
            "maximum_execution_timeout is 600 s: must be more than all waits, 900 s",
        ),
    ],
)
def test_what_sagemaker_would_refuse_is_said(deployment: Deployment, problem: str) -> None:
    assert deployment.problems(instance_count=3) == [f"deployment.{problem}"]


def test_more_alarms_than_sagemaker_takes_are_refused(stack: cdk.Stack) -> None:
    alarms = [alarm_in(stack, f"Alarm{number}") for number in range(11)]

    assert AllAtOnce(alarms=alarms).problems(2) == ["deployment.alarms are 11: SageMaker takes at most 10"]
    assert AllAtOnce(alarms=alarms[:10]).problems(2) == []


@pytest.mark.parametrize(
    "deployment",
    [
        AllAtOnce(bake_time=cdk.Duration.seconds(0), termination_wait=HOUR),
        Canary(canary_size=PERCENT(50), maximum_execution_timeout=cdk.Duration.seconds(601)),
        Canary(canary_size=INSTANCES(1)),
        Linear(step_size=PERCENT(10), bake_time=HOUR, maximum_execution_timeout=None),
        Rolling(batch_size=PERCENT(5)),
        Rolling(batch_size=PERCENT(50), rollback_batch_size=PERCENT(100)),
    ],
    ids=lambda deployment: type(deployment).__name__,
)
def test_values_at_sagemakers_limits_are_taken(deployment: Deployment) -> None:
    assert deployment.problems(instance_count=2) == []
