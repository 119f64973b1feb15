"""Capacity that follows what comes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import aws_cdk as cdk
import pytest
from aws_cdk import aws_applicationautoscaling as autoscaling

from sm_constructs import InvalidPropsError
from sm_constructs.endpoint import (
    Endpoint,
    InferenceComponent,
    ManagedInstanceScaling,
    RealTime,
    Serverless,
    VariantProperty,
)
from sm_constructs.endpoint.scaling import ScalableCapacity
from tests.synth.endpoint.making import (
    ALARM,
    COMPONENT,
    ENDPOINT,
    POLICY,
    REAL_TIME,
    SERVERLESS,
    TARGET,
    endpoint_in,
    model_in,
    queue_in,
)
from tests.synth.templates import all_of, only, resources_of, text_of

SERVICE_LINKED_ROLE = (
    "role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com/"
    "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
)
SLOWLY: Any = {"scale_in_cooldown": cdk.Duration.minutes(10), "scale_out_cooldown": cdk.Duration.minutes(1)}


def component_in(stack: cdk.Stack, **arguments: Any) -> InferenceComponent:
    scaling = ManagedInstanceScaling(min_instance_count=0, max_instance_count=2)
    variant = RealTime(instance_type="ml.m5.large", instance_count=1, managed_instance_scaling=scaling)
    host = Endpoint(stack, "Host", variant=variant)
    model = model_in(stack)
    return InferenceComponent(stack, "Component", endpoint=host, model=model, memory_size_mb=512, **arguments)


def capacity_of_kind(stack: cdk.Stack, kind: str) -> ScalableCapacity:
    """Return a capacity of 1 to 10."""
    limits: Any = {"min_capacity": 1, "max_capacity": 10}
    match kind:
        case "component":
            return component_in(stack).auto_scale_copy_count(**limits)
        case "serverless":
            variant = Serverless(max_concurrency=10, provisioned_concurrency=1)
            return endpoint_in(stack, variant).auto_scale_provisioned_concurrency(**limits)
        case "asynchronous":
            return endpoint_in(stack, queue_in(stack)).auto_scale_instance_count(**limits)
        case _:
            return endpoint_in(stack).auto_scale_instance_count(**limits)


def scaled_twice(stack: cdk.Stack, kind: str) -> Callable[[], ScalableCapacity]:
    """Scale a capacity, and return what scales it again."""
    scale: Callable[..., ScalableCapacity]
    match kind:
        case "component":
            scale = component_in(stack).auto_scale_copy_count
        case "serverless":
            scale = endpoint_in(stack, SERVERLESS).auto_scale_provisioned_concurrency
        case _:
            scale = endpoint_in(stack).auto_scale_instance_count
    again = partial(scale, min_capacity=1, max_capacity=2)
    again()
    return again


def tracked(stack: cdk.Stack) -> dict[str, Any]:
    """Return the one target-tracking policy."""
    (policy,) = (
        each["Properties"]
        for each in all_of(stack, POLICY)
        if each["Properties"]["PolicyType"] == "TargetTrackingScaling"
    )
    found: dict[str, Any] = policy["TargetTrackingScalingPolicyConfiguration"]
    return found


def problems_of(raised: pytest.ExceptionInfo[InvalidPropsError]) -> tuple[str, ...]:
    return raised.value.problems


def test_the_instances_of_a_variant_are_the_target(stack: cdk.Stack) -> None:
    endpoint = endpoint_in(stack)

    endpoint.auto_scale_instance_count(min_capacity=2, max_capacity=8)

    found = only(stack, TARGET)
    assert (found["MinCapacity"], found["MaxCapacity"]) == (2, 8)
    assert found["ScalableDimension"] == "sagemaker:variant:DesiredInstanceCount"
    assert found["ServiceNamespace"] == "sagemaker"
    assert found["ResourceId"] == {
        "Fn::Join": ["", ["endpoint/", stack.resolve(endpoint.endpoint_name), "/variant/AllTraffic"]]
    }


def test_scaling_uses_the_service_linked_role_and_makes_none(stack: cdk.Stack) -> None:
    endpoint_in(stack).auto_scale_instance_count(min_capacity=1, max_capacity=2)

    assert only(stack, TARGET)["RoleARN"]["Fn::Join"][1][-1].endswith(f":{SERVICE_LINKED_ROLE}")
    assert "application-autoscaling.amazonaws.com" not in str(all_of(stack, "AWS::IAM::Role"))


def test_deployments_leave_the_scaled_number_alone_but_not_weights_and_capture(stack: cdk.Stack) -> None:
    endpoint_in(stack).auto_scale_instance_count(min_capacity=1, max_capacity=2)

    found = only(stack, ENDPOINT)
    assert found["RetainAllVariantProperties"] is True
    assert found["ExcludeRetainedVariantProperties"] == [
        {"VariantPropertyType": "DesiredWeight"},
        {"VariantPropertyType": "DataCaptureConfig"},
    ]


@pytest.mark.parametrize("retained", [[], [VariantProperty.WEIGHT]], ids=["nothing", "weights"])
def test_what_is_asked_to_be_retained_wins_over_scaling(stack: cdk.Stack, retained: list[VariantProperty]) -> None:
    endpoint = Endpoint(stack, "Endpoint", model=model_in(stack), variant=REAL_TIME, retain_variant_properties=retained)

    endpoint.auto_scale_instance_count(min_capacity=1, max_capacity=2)

    found = only(stack, ENDPOINT)
    assert found.get("RetainAllVariantProperties", False) is bool(retained)


def test_calls_per_instance_are_tracked(stack: cdk.Stack) -> None:
    capacity = endpoint_in(stack).auto_scale_instance_count(min_capacity=1, max_capacity=2)

    capacity.scale_on_invocations("Calls", target_invocations_per_minute=600, disable_scale_in=True, **SLOWLY)

    assert tracked(stack) == {
        "DisableScaleIn": True,
        "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
        "ScaleInCooldown": 600,
        "ScaleOutCooldown": 60,
        "TargetValue": 600,
    }


def test_calls_under_way_are_tracked_at_high_resolution(stack: cdk.Stack) -> None:
    capacity = endpoint_in(stack).auto_scale_instance_count(min_capacity=1, max_capacity=2)

    capacity.scale_on_concurrent_requests("UnderWay", target_concurrent_requests=5)

    metric = "SageMakerVariantConcurrentRequestsPerModelHighResolution"
    assert tracked(stack) == {
        "PredefinedMetricSpecification": {"PredefinedMetricType": metric},
        "TargetValue": 5,
    }


def test_warm_concurrency_follows_its_use(stack: cdk.Stack) -> None:
    endpoint = endpoint_in(stack, Serverless(max_concurrency=10, provisioned_concurrency=2))

    capacity = endpoint.auto_scale_provisioned_concurrency(min_capacity=1, max_capacity=10)
    capacity.scale_on_utilization("Use", target_utilization=0.7, **SLOWLY)

    assert only(stack, TARGET)["ScalableDimension"] == "sagemaker:variant:DesiredProvisionedConcurrency"
    assert tracked(stack) == {
        "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantProvisionedConcurrencyUtilization"},
        "ScaleInCooldown": 600,
        "ScaleOutCooldown": 60,
        "TargetValue": 0.7,
    }
    assert "RetainAllVariantProperties" not in only(stack, ENDPOINT)


def test_a_queue_is_tracked_by_the_endpoints_name_alone(stack: cdk.Stack) -> None:
    endpoint = endpoint_in(stack, queue_in(stack))

    endpoint.auto_scale_instance_count(min_capacity=1, max_capacity=5).scale_on_backlog(
        "Queue", target_backlog_per_instance=5
    )

    assert tracked(stack) == {
        "CustomizedMetricSpecification": {
            "Dimensions": [{"Name": "EndpointName", "Value": stack.resolve(endpoint.endpoint_name)}],
            "MetricName": "ApproximateBacklogSizePerInstance",
            "Namespace": "AWS/SageMaker",
            "Statistic": "Average",
        },
        "TargetValue": 5,
    }
    assert not all_of(stack, ALARM)


def test_a_queue_without_instances_starts_the_first_one(stack: cdk.Stack) -> None:
    endpoint = endpoint_in(stack, queue_in(stack))

    endpoint.auto_scale_instance_count(min_capacity=0, max_capacity=5).scale_on_backlog(
        "Queue", target_backlog_per_instance=5
    )

    (step,) = (
        each["Properties"] for each in all_of(stack, POLICY) if "StepScaling" in each["Properties"]["PolicyType"]
    )
    assert step["StepScalingPolicyConfiguration"] == {
        "AdjustmentType": "ChangeInCapacity",
        "Cooldown": 300,
        "MetricAggregationType": "Average",
        "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
    }
    alarm = only(stack, ALARM)
    assert alarm["Dimensions"] == [{"Name": "EndpointName", "Value": stack.resolve(endpoint.endpoint_name)}]
    assert (alarm["MetricName"], alarm["Namespace"], alarm["Statistic"], alarm["Period"]) == (
        "HasBacklogWithoutCapacity",
        "AWS/SageMaker",
        "Average",
        60,
    )
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanOrEqualToThreshold", 1)
    assert (alarm["EvaluationPeriods"], alarm["DatapointsToAlarm"], alarm["TreatMissingData"]) == (2, 2, "missing")
    (name,) = (
        name
        for name, each in resources_of(stack).items()
        if each["Type"] == POLICY and "StepScalingPolicyConfiguration" in each["Properties"]
    )
    assert alarm["AlarmActions"] == [{"Ref": name}]


NIGHT: Any = {"schedule": autoscaling.Schedule.rate(cdk.Duration.days(1)), "min_capacity": 0}


@pytest.mark.parametrize("night_first", [True, False])
def test_a_queue_that_a_schedule_leaves_without_instances_starts_the_first_one(
    stack: cdk.Stack, night_first: bool
) -> None:
    capacity = endpoint_in(stack, queue_in(stack)).auto_scale_instance_count(min_capacity=1, max_capacity=5)
    calls: list[Callable[[], None]] = [
        partial(capacity.scale_on_schedule, "Night", **NIGHT),
        partial(capacity.scale_on_backlog, "Queue", target_backlog_per_instance=5),
    ]

    for call in calls if night_first else reversed(calls):
        call()

    assert only(stack, ALARM)["MetricName"] == "HasBacklogWithoutCapacity"


def test_only_one_alarm_starts_the_first_one(stack: cdk.Stack) -> None:
    capacity = endpoint_in(stack, queue_in(stack)).auto_scale_instance_count(min_capacity=0, max_capacity=5)

    capacity.scale_on_backlog("Queue", target_backlog_per_instance=5)
    capacity.scale_on_schedule("Night", **NIGHT)
    capacity.scale_on_schedule("Weekend", **NIGHT)

    assert only(stack, ALARM)["MetricName"] == "HasBacklogWithoutCapacity"


def test_a_queue_may_turn_out_to_have_no_instances_at_deployment(stack: cdk.Stack) -> None:
    low = cast(int, cdk.CfnParameter(stack, "Low", type="Number").value_as_number)
    capacity = endpoint_in(stack, queue_in(stack)).auto_scale_instance_count(min_capacity=low, max_capacity=5)

    capacity.scale_on_backlog("Queue", target_backlog_per_instance=5)

    assert only(stack, ALARM)["MetricName"] == "HasBacklogWithoutCapacity"


def test_copies_that_a_schedule_takes_away_come_back(stack: cdk.Stack) -> None:
    capacity = component_in(stack).auto_scale_copy_count(min_capacity=1, max_capacity=4)
    capacity.scale_on_invocations("Calls", target_invocations_per_minute=60)

    capacity.scale_on_schedule("Night", **NIGHT)

    assert only(stack, ALARM)["MetricName"] == "NoCapacityInvocationFailures"


def test_copies_follow_calls_and_come_back_from_none(stack: cdk.Stack) -> None:
    component = component_in(stack)

    capacity = component.auto_scale_copy_count(min_capacity=0, max_capacity=4)
    capacity.scale_on_invocations("Calls", target_invocations_per_minute=60, **SLOWLY)

    target = only(stack, TARGET)
    assert target["ScalableDimension"] == "sagemaker:inference-component:DesiredCopyCount"
    assert target["ResourceId"] == f"inference-component/{component.inference_component_name}"
    assert tracked(stack)["PredefinedMetricSpecification"] == {
        "PredefinedMetricType": "SageMakerInferenceComponentInvocationsPerCopy"
    }
    alarm = only(stack, ALARM)
    assert alarm["MetricName"] == "NoCapacityInvocationFailures"
    assert alarm["Dimensions"] == [{"Name": "InferenceComponentName", "Value": component.inference_component_name}]
    assert (alarm["Threshold"], alarm["EvaluationPeriods"], alarm["Statistic"]) == (1, 1, "Sum")


def test_copies_can_follow_calls_under_way(stack: cdk.Stack) -> None:
    capacity = component_in(stack).auto_scale_copy_count(min_capacity=1, max_capacity=4)

    capacity.scale_on_concurrent_requests("UnderWay", target_concurrent_requests=5)

    assert tracked(stack)["PredefinedMetricSpecification"] == {
        "PredefinedMetricType": "SageMakerInferenceComponentConcurrentRequestsPerCopyHighResolution"
    }
    assert not all_of(stack, ALARM)


def test_scaling_of_copies_begins_when_the_component_is_there(stack: cdk.Stack) -> None:
    component_in(stack).auto_scale_copy_count(min_capacity=1, max_capacity=4)

    (name,) = (name for name, each in resources_of(stack).items() if each["Type"] == COMPONENT)
    (target,) = all_of(stack, TARGET)
    assert name in target["DependsOn"]


def test_office_hours_have_limits_of_their_own(stack: cdk.Stack) -> None:
    capacity = endpoint_in(stack).auto_scale_instance_count(min_capacity=1, max_capacity=8)

    capacity.scale_on_schedule(
        "Morning",
        schedule=autoscaling.Schedule.cron(week_day="MON-FRI", hour="8", minute="0"),
        min_capacity=4,
        time_zone=cdk.TimeZone.EUROPE_BERLIN,
    )
    capacity.scale_on_schedule(
        "Evening", schedule=autoscaling.Schedule.expression("cron(0 18 ? * MON-FRI *)"), min_capacity=1, max_capacity=2
    )

    assert only(stack, TARGET)["ScheduledActions"] == [
        {
            "ScalableTargetAction": {"MinCapacity": 4},
            "Schedule": "cron(0 8 ? * MON-FRI *)",
            "ScheduledActionName": "Morning",
            "Timezone": "Europe/Berlin",
        },
        {
            "ScalableTargetAction": {"MaxCapacity": 2, "MinCapacity": 1},
            "Schedule": "cron(0 18 ? * MON-FRI *)",
            "ScheduledActionName": "Evening",
        },
    ]


def test_each_of_several_variants_scales_by_itself(stack: cdk.Stack) -> None:
    variants = [
        RealTime(instance_type="ml.m5.large", instance_count=1, variant_name="Old"),
        RealTime(instance_type="ml.m5.large", instance_count=1, variant_name="New"),
    ]
    endpoint = Endpoint(stack, "Endpoint", model=model_in(stack), variants=variants)

    endpoint.auto_scale_instance_count(min_capacity=1, max_capacity=2)
    endpoint.auto_scale_instance_count(min_capacity=1, max_capacity=4, variant_name="New")

    found = {each["Properties"]["ResourceId"]["Fn::Join"][1][-1] for each in all_of(stack, TARGET)}
    assert found == {"/variant/Old", "/variant/New"}
    assert "undefined" not in text_of(stack)


# What SageMaker does not scale


def test_real_time_instances_are_never_scaled_to_none(stack: cdk.Stack) -> None:
    with pytest.raises(InvalidPropsError) as raised:
        endpoint_in(stack).auto_scale_instance_count(min_capacity=0, max_capacity=2)

    assert problems_of(raised) == (
        "min_capacity is 0 with RealTime: must be at least 1: use Asynchronous, Serverless or inference components to "
        "pay for nothing while nobody calls",
    )


def test_nor_at_night(stack: cdk.Stack) -> None:
    capacity = endpoint_in(stack).auto_scale_instance_count(min_capacity=1, max_capacity=2)

    with pytest.raises(InvalidPropsError, match="min_capacity is 0 with RealTime: must be at least 1"):
        capacity.scale_on_schedule("Night", schedule=autoscaling.Schedule.rate(cdk.Duration.days(1)), min_capacity=0)


def test_an_asynchronous_variant_may_go_to_none_at_night(stack: cdk.Stack) -> None:
    capacity = endpoint_in(stack, queue_in(stack)).auto_scale_instance_count(min_capacity=1, max_capacity=2)

    capacity.scale_on_schedule("Night", schedule=autoscaling.Schedule.rate(cdk.Duration.days(1)), min_capacity=0)

    (action,) = only(stack, TARGET)["ScheduledActions"]
    assert action["ScalableTargetAction"] == {"MinCapacity": 0}


@pytest.mark.parametrize("instance_type", ["ml.t2.medium", "ml.t3.large", "ml.t4g.medium"])
def test_burstable_instances_do_not_scale(stack: cdk.Stack, instance_type: str) -> None:
    endpoint = endpoint_in(stack, RealTime(instance_type=instance_type, instance_count=1))

    with pytest.raises(InvalidPropsError) as raised:
        endpoint.auto_scale_instance_count(min_capacity=1, max_capacity=2)

    assert problems_of(raised) == (
        f"scaling of {instance_type}: SageMaker scales no burstable instances: use another type, such as ml.m5.large",
    )


def test_everything_wrong_with_limits_is_said_at_once(stack: cdk.Stack) -> None:
    endpoint = endpoint_in(stack, RealTime(instance_type="ml.t2.medium", instance_count=1))

    with pytest.raises(InvalidPropsError) as raised:
        endpoint.auto_scale_instance_count(min_capacity=-1, max_capacity=0)

    assert problems_of(raised)[:2] == (
        "max_capacity is 0: must be at least 1",
        "min_capacity is -1: must be at least 0",
    )
    assert len(problems_of(raised)) == 3


def test_the_least_is_at_most_the_most(stack: cdk.Stack) -> None:
    with pytest.raises(InvalidPropsError, match="min_capacity is 3: must be at most max_capacity, 2"):
        endpoint_in(stack).auto_scale_instance_count(min_capacity=3, max_capacity=2)


def test_instances_of_inference_components_scale_with_the_copies(stack: cdk.Stack) -> None:
    host = Endpoint(stack, "Host", variant=REAL_TIME)

    with pytest.raises(InvalidPropsError, match="scale the copies of its inference components instead"):
        host.auto_scale_instance_count(min_capacity=1, max_capacity=2)


def test_a_serverless_variant_has_no_instances(stack: cdk.Stack) -> None:
    with pytest.raises(InvalidPropsError, match="use auto_scale_provisioned_concurrency"):
        endpoint_in(stack, SERVERLESS).auto_scale_instance_count(min_capacity=1, max_capacity=2)


@pytest.mark.parametrize(
    ("variant", "problem"),
    [
        (REAL_TIME, "auto_scale_provisioned_concurrency with RealTime: use auto_scale_instance_count"),
        (Serverless(max_concurrency=6), "provisioned_concurrency is missing: give the variant what it begins with"),
        (
            Serverless(max_concurrency=5, provisioned_concurrency=1),
            "max_capacity is 6: must be at most the variant's max_concurrency, 5",
        ),
    ],
    ids=["real-time", "nothing provisioned", "too much"],
)
def test_only_what_is_provisioned_scales(stack: cdk.Stack, variant: RealTime | Serverless, problem: str) -> None:
    with pytest.raises(InvalidPropsError) as raised:
        endpoint_in(stack, variant).auto_scale_provisioned_concurrency(min_capacity=1, max_capacity=6)

    assert problems_of(raised) == (problem,)


def test_a_variant_that_is_not_there_does_not_scale(stack: cdk.Stack) -> None:
    with pytest.raises(InvalidPropsError, match="variant_name is 'Blue': must be one of 'AllTraffic'"):
        endpoint_in(stack).auto_scale_instance_count(min_capacity=1, max_capacity=2, variant_name="Blue")


def test_a_variant_is_scaled_by_what_it_publishes(stack: cdk.Stack) -> None:
    called = endpoint_in(stack).auto_scale_instance_count(min_capacity=1, max_capacity=2)
    queue = Endpoint(stack, "Queue", model=model_in(stack, "QueueModel"), variant=queue_in(stack))
    queued = queue.auto_scale_instance_count(min_capacity=1, max_capacity=2)

    with pytest.raises(InvalidPropsError, match="scale_on_backlog with RealTime: it has no such metric"):
        called.scale_on_backlog("Queue", target_backlog_per_instance=5)
    with pytest.raises(InvalidPropsError, match="scale_on_invocations with Asynchronous: it has no such metric"):
        queued.scale_on_invocations("Calls", target_invocations_per_minute=5)
    with pytest.raises(InvalidPropsError, match="scale_on_concurrent_requests with Asynchronous"):
        queued.scale_on_concurrent_requests("UnderWay", target_concurrent_requests=5)


def test_a_target_is_above_zero_and_a_share_at_most_one(stack: cdk.Stack) -> None:
    called = endpoint_in(stack).auto_scale_instance_count(min_capacity=1, max_capacity=2)
    warm = Endpoint(stack, "Warm", model=model_in(stack, "WarmModel"), variant=SERVERLESS)
    concurrency = warm.auto_scale_provisioned_concurrency(min_capacity=1, max_capacity=2)

    with pytest.raises(InvalidPropsError, match="target_invocations_per_minute is 0: must be more than 0"):
        called.scale_on_invocations("Calls", target_invocations_per_minute=0)
    with pytest.raises(InvalidPropsError, match="target_utilization is 70: must be above 0 and at most 1"):
        concurrency.scale_on_utilization("Use", target_utilization=70)


def test_a_schedule_changes_something(stack: cdk.Stack) -> None:
    capacity: ScalableCapacity = endpoint_in(stack).auto_scale_instance_count(min_capacity=1, max_capacity=2)

    with pytest.raises(InvalidPropsError, match="pass min_capacity, max_capacity or both"):
        capacity.scale_on_schedule("Never", schedule=autoscaling.Schedule.rate(cdk.Duration.days(1)))


@pytest.mark.parametrize(
    ("kind", "limits", "problem"),
    [
        ("asynchronous", (5, -1), "max_capacity is -1: must be at least 0"),
        ("asynchronous", (5, 4), "min_capacity is 5: must be at most max_capacity, 4"),
        ("asynchronous", (-1, None), "min_capacity is -1: must be at least 0"),
        ("real-time", (None, 0), "max_capacity is 0 with RealTime: must be at least 1"),
        ("serverless", (None, 500), "max_capacity is 500: must be at most the variant's max_concurrency, 10"),
        ("serverless", (11, None), "min_capacity is 11: must be at most the variant's max_concurrency, 10"),
        ("component", (3, 2), "min_capacity is 3: must be at most max_capacity, 2"),
    ],
)
def test_a_schedule_has_the_limits_that_scaling_has(
    stack: cdk.Stack, kind: str, limits: tuple[int | None, int | None], problem: str
) -> None:
    capacity = capacity_of_kind(stack, kind)
    low, high = limits

    with pytest.raises(InvalidPropsError) as raised:
        capacity.scale_on_schedule("Odd", schedule=NIGHT["schedule"], min_capacity=low, max_capacity=high)

    assert any(one.startswith(problem) for one in problems_of(raised))


@pytest.mark.parametrize("kind", ["asynchronous", "serverless", "component"])
def test_a_schedule_may_let_everything_go(stack: cdk.Stack, kind: str) -> None:
    capacity_of_kind(stack, kind).scale_on_schedule("Night", **NIGHT, max_capacity=0)

    (action,) = only(stack, TARGET)["ScheduledActions"]
    assert action["ScalableTargetAction"] == {"MinCapacity": 0, "MaxCapacity": 0}


@pytest.mark.parametrize("kind", ["real-time", "serverless", "component"])
def test_a_capacity_is_scaled_once(stack: cdk.Stack, kind: str) -> None:
    again = scaled_twice(stack, kind)

    with pytest.raises(InvalidPropsError) as raised:
        again()

    (problem,) = problems_of(raised)
    assert problem.startswith("auto_scale_")
    assert problem.endswith(" a second time: use what the first call returned")


def test_a_variant_whose_name_is_known_at_deployment_scales(stack: cdk.Stack) -> None:
    name = cdk.CfnParameter(stack, "Text").value_as_string
    variant = RealTime(instance_type="ml.m5.large", instance_count=1, variant_name=name)

    endpoint_in(stack, variant).auto_scale_instance_count(min_capacity=1, max_capacity=2)

    assert only(stack, TARGET)["ResourceId"]["Fn::Join"][1][-1] == {"Ref": "Text"}


def test_limits_known_at_deployment_are_let_through(stack: cdk.Stack) -> None:
    low = cast(int, cdk.Token.as_number(cdk.Fn.import_value("Low")))

    capacity = endpoint_in(stack).auto_scale_instance_count(min_capacity=low, max_capacity=low)
    capacity.scale_on_schedule("Night", schedule=NIGHT["schedule"], min_capacity=low, max_capacity=low)

    target = only(stack, TARGET)
    assert target["MinCapacity"] == {"Fn::ImportValue": "Low"}
    assert target["ScheduledActions"][0]["ScalableTargetAction"]["MaxCapacity"] == {"Fn::ImportValue": "Low"}
    assert not all_of(stack, ALARM)
