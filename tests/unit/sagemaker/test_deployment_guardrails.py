"""How traffic moves to a new fleet."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from sm_local.clock import Clock
from sm_local.sagemaker.config import EndpointConfig
from sm_local.sagemaker.errors import SageMakerError
from sm_local.sagemaker.guardrails import ALL_AT_ONCE, Deployment, Plan, RolledBackError, Step, plan, rolling_plan
from tests.unit.sagemaker.recording import AlarmsInState

# A minute lasts 10 ms.
FAST = 6000


def config(*names: str, instances: int = 1, **variant: Any) -> EndpointConfig:
    variants = [
        {
            "VariantName": name,
            "ModelName": "m",
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": instances,
            **variant,
        }
        for name in names or ("AllTraffic",)
    ]
    return EndpointConfig(name="c", arn="arn", created=0, parameters={"ProductionVariants": variants})


def blue_green(kind: str, last: int | None = 30, *, wait: int = 60, **routing: Any) -> Any:
    policy: Any = {"TrafficRoutingConfiguration": {"Type": kind, "WaitIntervalInSeconds": wait, **routing}}
    if last is not None:
        policy["TerminationWaitInSeconds"] = last
    return {"BlueGreenUpdatePolicy": policy}


def percent(value: int) -> dict[str, object]:
    return {"Type": "CAPACITY_PERCENT", "Value": value}


def instances(value: int) -> dict[str, object]:
    return {"Type": "INSTANCE_COUNT", "Value": value}


@pytest.mark.parametrize(
    ("deployment", "steps"),
    [
        (None, [(1.0, 0)]),
        (blue_green("ALL_AT_ONCE"), [(1.0, 30)]),
        (blue_green("ALL_AT_ONCE", None), [(1.0, 0)]),
        (blue_green("CANARY", CanarySize=percent(30)), [(0.3, 60), (1.0, 30)]),
        (blue_green("CANARY", CanarySize=instances(1)), [(0.1, 60), (1.0, 30)]),
        (
            blue_green("LINEAR", LinearStepSize=percent(33)),
            [(0.33, 60), (0.66, 60), (0.99, 60), (1.0, 30)],
        ),
        (blue_green("LINEAR", LinearStepSize=instances(5)), [(0.5, 60), (1.0, 30)]),
        (
            {"RollingUpdatePolicy": {"MaximumBatchSize": instances(4), "WaitIntervalInSeconds": 7}},
            [(0.4, 7), (0.8, 7), (1.0, 7)],
        ),
    ],
)
def test_traffic_shifts_in_the_steps_that_the_policy_says(deployment: Any, steps: list[tuple[float, float]]) -> None:
    ten = config(instances=10)
    assert [(step.share, step.bake_seconds) for step in plan(deployment, ten, ten).steps] == steps


def test_alarms_and_the_time_limit_are_part_of_the_plan() -> None:
    deployment = blue_green("ALL_AT_ONCE")
    deployment["BlueGreenUpdatePolicy"]["MaximumExecutionTimeoutInSeconds"] = 900
    deployment["AutoRollbackConfiguration"] = {"Alarms": [{"AlarmName": "a"}, {"AlarmName": "b"}]}
    planned = plan(deployment, config(), config())
    assert (planned.alarms, planned.longest_seconds) == (("a", "b"), 900)


@pytest.mark.parametrize(
    ("deployment", "words"),
    [
        (blue_green("CANARY", CanarySize=percent(51)), "CanarySize must be less than or equal to 50%"),
        (blue_green("CANARY", CanarySize=instances(1)), "got 100%"),
        (blue_green("CANARY"), "CanarySize is required"),
        (blue_green("LINEAR", LinearStepSize=percent(9)), "LinearStepSize must be between 10% and 50%"),
        (blue_green("LINEAR"), "LinearStepSize is required"),
        (
            {"RollingUpdatePolicy": {"MaximumBatchSize": percent(4), "WaitIntervalInSeconds": 0}},
            "MaximumBatchSize must be between 5% and 50%",
        ),
        (
            {
                **blue_green("ALL_AT_ONCE"),
                "RollingUpdatePolicy": {"MaximumBatchSize": percent(50), "WaitIntervalInSeconds": 0},
            },
            "and not both",
        ),
    ],
)
def test_a_policy_that_sagemaker_would_refuse_is_refused(deployment: Any, words: str) -> None:
    with pytest.raises(SageMakerError, match=words):
        plan(deployment, config(), config())


def test_a_guarded_deployment_keeps_the_variant_names() -> None:
    with pytest.raises(SageMakerError, match="must have the same variant names"):
        plan(blue_green("ALL_AT_ONCE"), config("Old"), config("New"))
    assert plan(None, config("Old"), config("New")) == ALL_AT_ONCE


SERVERLESS: Any = {"ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1}}
ROLLING = {"RollingUpdatePolicy": {"MaximumBatchSize": percent(50), "WaitIntervalInSeconds": 60}}


@pytest.mark.parametrize(
    ("deployment", "excluded"),
    [
        (blue_green("CANARY", CanarySize=percent(10)), config(**SERVERLESS)),
        (blue_green("CANARY", CanarySize=percent(10)), config(InstanceType="ml.inf1.xlarge")),
        (ROLLING, config("A", "B")),
    ],
    ids=["serverless", "inf1", "rolling several variants"],
)
def test_where_guardrails_do_not_apply_all_traffic_shifts_at_once_without_baking(
    deployment: Any, excluded: EndpointConfig
) -> None:
    assert plan(deployment, excluded, excluded) == ALL_AT_ONCE


def test_several_variants_may_be_deployed_blue_green() -> None:
    two = config("A", "B")
    assert len(plan(blue_green("CANARY", CanarySize=percent(10)), two, two).steps) == 2


def test_copies_of_a_component_are_rolled_in_batches() -> None:
    deployment: Any = {
        "RollingUpdatePolicy": {"MaximumBatchSize": {"Type": "COPY_COUNT", "Value": 1}, "WaitIntervalInSeconds": 5}
    }
    assert [step.share for step in rolling_plan(deployment, 2).steps] == [0.5, 1.0]
    assert rolling_plan(None, 2) == ALL_AT_ONCE


class Running:
    """Carries out a plan and keeps what happened."""

    def __init__(self, planned: Plan, alarms: AlarmsInState | None = None) -> None:
        self.alarms = alarms or AlarmsInState()
        self.clock = Clock(FAST)
        self.shares: list[float] = []
        self.times: list[float] = []
        self.ended = threading.Event()
        self._began = self.clock.now()
        self._deployment = Deployment(planned, self.clock, self.alarms, ended=self.ended, began=self._began)

    def shift(self, share: float) -> None:
        self.shares.append(share)
        self.times.append(self.clock.now() - self._began)

    def run(self) -> None:
        self._deployment.run(self.shift, lambda: None)


def test_each_step_bakes_before_the_next() -> None:
    running = Running(Plan(steps=(Step(0.1, 600), Step(1.0, 300))))
    running.run()
    assert running.shares == [0.1, 1.0]
    assert running.times[1] - running.times[0] >= 600
    assert running.clock.now() - running._began >= 900


def test_an_alarm_while_baking_ends_the_deployment() -> None:
    running = Running(
        Plan(steps=(Step(0.1, 6000), Step(1.0, 0)), alarms=("a", "b")), AlarmsInState({"a": "OK", "b": "OK"})
    )
    threading.Timer(0.1, lambda: running.alarms.states.update(b="ALARM")).start()
    with pytest.raises(RolledBackError, match=r"in the ALARM state .*: b\."):
        running.run()
    assert running.shares == [0.1]


def test_an_alarm_before_the_deployment_keeps_all_traffic_where_it_is() -> None:
    running = Running(Plan(steps=ALL_AT_ONCE.steps, alarms=("a",)), AlarmsInState({"a": "ALARM"}))
    with pytest.raises(RolledBackError):
        running.run()
    assert running.shares == []


def test_insufficient_data_is_no_alarm() -> None:
    running = Running(Plan(steps=ALL_AT_ONCE.steps, alarms=("a",)), AlarmsInState({"a": "INSUFFICIENT_DATA"}))
    running.run()
    assert running.shares == [1.0]


def test_an_alarm_that_does_not_exist_ends_the_deployment() -> None:
    with pytest.raises(RolledBackError, match="there is no alarm 'gone'"):
        Running(Plan(steps=ALL_AT_ONCE.steps, alarms=("gone",))).run()


def test_the_time_limit_ends_the_deployment() -> None:
    running = Running(Plan(steps=(Step(0.1, 60_000), Step(1.0, 0)), longest_seconds=600))
    with pytest.raises(RolledBackError, match="MaximumExecutionTimeoutInSeconds, 600,"):
        running.run()
    assert running.shares == [0.1]


def test_a_deleted_endpoint_ends_the_deployment() -> None:
    running = Running(Plan(steps=(Step(0.1, 60_000), Step(1.0, 0))))
    threading.Timer(0.1, running.ended.set).start()
    with pytest.raises(RolledBackError, match="was deleted"):
        running.run()
