"""Evaluates the alarms in MiniStack's stores as time goes by."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import cast

from sm_local.clock import Clock
from sm_local.cloudwatch.alarm import Alarm, Metric, State, read_alarm
from sm_local.cloudwatch.evaluation import Samples, evaluate
from sm_local.cloudwatch.statistics import Sample
from sm_local.patches import cloudwatch

_TICK_S = 10  # the shortest time between two evaluations of an alarm
_MOST_MISSED = 10  # evaluations that are made up for after the process was busy or asleep
_SLACK_S = 0.001  # for what rounding does between the two clocks

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Watched:
    """An alarm as it was last seen; another `stored` object is another definition of it."""

    stored: cloudwatch.StoredAlarm
    alarm: Alarm
    evaluated: float | None = None


class Alarms:
    """The metric alarms of all accounts and regions.

    MiniStack's stores are read and changed between two requests, in the server's own event loop, so that a
    state never changes twice at once. Composite alarms and actions follow from MiniStack's own code.

    Args:
        clock: What periods are measured with.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._watched: dict[cloudwatch.AlarmKey, _Watched] = {}

    def state(self, name: str) -> State:
        """Return the state of an alarm, metric or composite, in the account and region of the request under way.

        Raises:
            KeyError: There is none of this name.
        """
        return cast(State, cloudwatch.alarm_state(name))

    async def run(self) -> None:
        """Evaluate what is due every 10 virtual seconds, until cancelled."""
        while True:
            self.evaluate_due()
            await asyncio.sleep(self._clock.real_seconds(_TICK_S - self._clock.now() % _TICK_S))

    def evaluate_due(self) -> None:
        """Evaluate each alarm whose next period is over, and set the states that changed."""
        now = self._clock.now()
        stored = cloudwatch.stored_alarms()
        for gone in self._watched.keys() - stored.keys():
            del self._watched[gone]
        for key, definition in stored.items():
            try:
                self._evaluate(key, definition, now)
            except Exception:
                _log.exception("alarm %s could not be evaluated", key.name)

    def _evaluate(self, key: cloudwatch.AlarmKey, stored: cloudwatch.StoredAlarm, now: float) -> None:
        watched = self._watched.get(key)
        if watched is None or watched.stored is not stored:
            watched = self._watched[key] = _Watched(stored, read_alarm(stored))
        alarm, end = watched.alarm, watched.alarm.window_end(now)
        due = end if watched.evaluated is None else watched.evaluated + alarm.step
        due = max(due, end - _MOST_MISSED * alarm.step)
        while due <= end:
            watched.evaluated = due
            result = evaluate(alarm, self._samples_of(key), current=stored["StateValue"], now=due)
            if result.state != stored["StateValue"]:
                cloudwatch.change_alarm_state(key, result.state, result.reason, result.data)
            due += alarm.step

    def _samples_of(self, key: cloudwatch.AlarmKey) -> Samples:
        clock = self._clock

        def samples(metric: Metric, start: float, end: float) -> list[Sample]:
            stored = cloudwatch.datapoints(
                key, metric.namespace, metric.name, metric.dimensions, since=clock.real(start) - _SLACK_S
            )
            return [
                Sample(at, *point.statistics)
                for point in stored
                if start <= (at := clock.virtual(point.timestamp)) < end and metric.unit in (None, point.unit)
            ]

        return samples
