"""Alarms in MiniStack's stores change their states as time goes by."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator, Sequence
from typing import Any
from unittest import mock

import pytest
from ministack.core.responses import request_scope
from ministack.services import cloudwatch

from sm_local.clock import Clock
from sm_local.cloudwatch.alarms import Alarms
from sm_local.cloudwatch.metrics import Metrics
from tests.unit.cloudwatch.conftest import START, Wall

_ALARM = {
    "AlarmName": "errors",
    "Namespace": "N",
    "MetricName": "M",
    "Dimensions": [{"Name": "EndpointName", "Value": "mine"}],
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 1,
    "Threshold": 5,
    "ComparisonOperator": "GreaterThanOrEqualToThreshold",
}


@pytest.fixture(autouse=True)
def _ministack_leaves_alarms_alone() -> Iterator[None]:
    with mock.patch.object(cloudwatch, "_evaluate_alarm"):
        yield


@pytest.fixture
def dispatched() -> Iterator[mock.Mock]:
    with mock.patch.object(cloudwatch, "_dispatch_alarm_actions") as dispatch:
        yield dispatch


class _Local:
    """A clock, metrics and alarms; minutes are counted from the start."""

    def __init__(self, wall: Wall, scale: float = 1) -> None:
        self.wall = wall
        self.clock = Clock(scale, origin=START)
        self.alarms = Alarms(self.clock)
        self.metrics = Metrics(self.clock)

    def at_minute(self, minute: float) -> str:
        """Go there, evaluate what is due, and return the state of the alarm."""
        self.wall.now = self.clock.real(START + 60 * minute)
        self.alarms.evaluate_due()
        return self.alarms.state("errors")

    def put(self, minute: float, value: float, endpoint: str = "mine", unit: str = "Count") -> None:
        self.wall.now = self.clock.real(START + 60 * minute)
        self.metrics.put("N", "M", {"EndpointName": endpoint}, value, unit)


@pytest.fixture(params=[1, 60])
def local(wall: Wall, request: pytest.FixtureRequest) -> _Local:
    return _Local(wall, scale=request.param)


def _put_alarm(**changes: Any) -> None:
    status, _, body = cloudwatch._put_metric_alarm({}, {**_ALARM, **changes}, False, True)
    assert status == 200, body


def _states(dispatched: mock.Mock) -> Sequence[str]:
    """The states that actions were taken for, in order."""
    return [call.args[2] for call in dispatched.call_args_list]


def test_an_alarm_fires_for_its_own_dimensions_once_the_period_is_over(local: _Local) -> None:
    _put_alarm()
    local.put(0.1, 3)
    local.put(0.9, 2)
    local.put(0.9, 100, endpoint="other")
    assert local.at_minute(0.95) == "INSUFFICIENT_DATA"
    assert local.at_minute(1.02) == "ALARM"


def test_data_of_another_endpoint_do_not_count(local: _Local) -> None:
    _put_alarm()
    local.put(0.1, 100, endpoint="other")
    assert local.at_minute(1.02) == "INSUFFICIENT_DATA"


def test_data_of_another_unit_do_not_count(local: _Local) -> None:
    _put_alarm(Unit="Count")
    local.put(0.1, 4)
    local.put(0.2, 100, unit="Percent")
    assert local.at_minute(1.02) == "OK"


def test_it_returns_by_itself_as_time_goes_by(local: _Local) -> None:
    _put_alarm(TreatMissingData="notBreaching")
    assert local.at_minute(0) == "OK"
    local.put(0.1, 9)
    assert local.at_minute(1) == "ALARM"
    assert local.at_minute(3.5) == "ALARM"  # the last datapoint is still in the evaluation range
    assert local.at_minute(4.02) == "OK"


def test_a_high_resolution_alarm_is_evaluated_every_ten_seconds(local: _Local) -> None:
    _put_alarm(Period=10)
    local.put(0.05, 9)
    assert local.at_minute(11 / 60) == "ALARM"


def test_data_from_before_the_alarm_count(local: _Local) -> None:
    local.put(0.5, 9)
    local.wall.now = local.clock.real(START + 61)
    _put_alarm()
    assert local.at_minute(1.1) == "ALARM"


def test_each_change_is_acted_on_once(local: _Local, dispatched: mock.Mock) -> None:
    _put_alarm(TreatMissingData="notBreaching")
    local.put(0.1, 9)
    for second in range(60, 420, 5):
        local.at_minute(second / 60)
    assert _states(dispatched) == ["ALARM", "OK"]


def test_a_minute_that_was_slept_through_is_made_up_for(local: _Local, dispatched: mock.Mock) -> None:
    _put_alarm(TreatMissingData="notBreaching", EvaluationPeriods=1)
    local.at_minute(0)
    local.put(0.1, 9)
    local.put(1.1, 0)
    assert local.at_minute(2.5) == "OK"
    assert _states(dispatched) == ["OK", "ALARM", "OK"]


def test_after_a_long_sleep_only_the_last_minutes_are_made_up_for(local: _Local) -> None:
    _put_alarm()
    local.at_minute(0)
    with mock.patch("sm_local.cloudwatch.alarms.evaluate", side_effect=ValueError) as evaluate:
        local.at_minute(10_000)
    assert evaluate.call_args.kwargs["now"] == START + 60 * 9_990


def test_a_state_set_by_hand_lasts_until_the_next_evaluation(local: _Local) -> None:
    _put_alarm()
    local.put(0.1, 1)
    assert local.at_minute(1) == "OK"
    request = {"AlarmName": "errors", "StateValue": "ALARM", "StateReason": "tried"}
    cloudwatch._set_alarm_state({}, request, False, True)
    assert local.at_minute(1.9) == "ALARM"
    assert local.at_minute(2) == "OK"


def test_another_definition_is_evaluated_at_once(local: _Local) -> None:
    _put_alarm()
    local.put(0.1, 3)
    assert local.at_minute(1) == "OK"
    _put_alarm(Threshold=3)
    assert local.at_minute(1.1) == "ALARM"


def test_what_a_change_leaves_behind(local: _Local, dispatched: mock.Mock) -> None:
    _put_alarm()
    local.put(0.1, 9)
    local.at_minute(1)
    alarm = cloudwatch._alarms["errors"]
    reason = (
        "Threshold Crossed: 1 out of the last 1 datapoints [9.0 (14/11/23 22:14:00)] was greater than or equal to the "
        "threshold (5.0) (minimum 1 datapoint for OK -> ALARM transition)."
    )
    assert alarm["StateReason"] == reason
    assert json.loads(alarm["StateReasonData"])["recentDatapoints"] == [9]
    assert alarm["StateUpdatedTimestamp"] == alarm["StateTransitionedTimestamp"] == int(local.wall.now)
    dispatched.assert_called_once_with(alarm, "INSUFFICIENT_DATA", "ALARM", reason)
    history = json.loads(cloudwatch._history_entries()[-1]["HistoryData"])
    assert history["newState"] == {
        "stateValue": "ALARM",
        "stateReason": reason,
        "stateReasonData": json.loads(alarm["StateReasonData"]),
    }


def test_composite_alarms_follow(local: _Local, dispatched: mock.Mock) -> None:
    _put_alarm()
    composite = {"AlarmName": "composite", "AlarmRule": "ALARM(errors)"}
    assert cloudwatch._put_composite_alarm({}, composite, False, True)[0] == 200
    assert local.alarms.state("composite") == "OK"
    local.put(0.1, 9)
    local.at_minute(1)
    assert local.alarms.state("composite") == "ALARM"
    assert [call.args[0]["AlarmName"] for call in dispatched.call_args_list[-2:]] == ["errors", "composite"]


def test_alarms_of_other_regions_see_only_their_own_data(local: _Local) -> None:
    _put_alarm()
    with request_scope("111111111111", "eu-west-1"):
        _put_alarm()
        local.put(0.1, 9)
    assert local.at_minute(1) == "INSUFFICIENT_DATA"
    with request_scope("111111111111", "eu-west-1"):
        assert local.alarms.state("errors") == "ALARM"


def test_a_deleted_alarm_is_forgotten(local: _Local) -> None:
    _put_alarm()
    local.put(0.1, 9)
    assert local.at_minute(1) == "ALARM"
    cloudwatch._delete_alarms({}, {"AlarmNames": ["errors"]}, False, True)
    with pytest.raises(KeyError):
        local.at_minute(1.1)
    _put_alarm()
    assert local.at_minute(1.2) == "ALARM"


def test_an_alarm_that_fails_does_not_keep_the_others_from_evaluation(
    local: _Local, caplog: pytest.LogCaptureFixture
) -> None:
    _put_alarm(AlarmName="broken", Statistic="Median")
    _put_alarm()
    local.put(0.1, 9)
    with caplog.at_level(logging.ERROR):
        assert local.at_minute(1) == "ALARM"
    assert "alarm broken could not be evaluated" in caplog.text


def test_it_runs_every_ten_virtual_seconds_until_cancelled() -> None:
    alarms = Alarms(Clock(scale=1000))

    async def run() -> int:
        with mock.patch.object(alarms, "evaluate_due") as evaluate_due:
            task = asyncio.create_task(alarms.run())
            await asyncio.sleep(0.2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            calls = evaluate_due.call_count
            await asyncio.sleep(0.03)
            assert evaluate_due.call_count == calls
            return int(calls)

    assert 5 <= asyncio.run(run()) <= 22
