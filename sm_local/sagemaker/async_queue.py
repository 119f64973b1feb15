"""Asynchronous inference: an endpoint's queue, and the work on what is in it."""

from __future__ import annotations

import threading
from collections import deque
from functools import partial

from sm_local.clock import Clock
from sm_local.sagemaker import background
from sm_local.sagemaker.async_requests import AsyncRequest
from sm_local.sagemaker.async_work import AsyncWork
from sm_local.sagemaker.fleet import Fleet
from sm_local.sagemaker.metrics import BACKLOG, MetricSink, Publisher
from sm_local.sagemaker.traffic import Traffic

# https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference-monitor.html
_PUBLISHING_SECONDS = 60.0
_LOOK_SECONDS = 0.1


class AsyncQueue:
    """The queue of one endpoint.

    Args:
        endpoint_name: The endpoint.
        traffic: Has the fleet for the next request.
        clock: Tells how long requests wait.
        sink: Where metrics go.
    """

    def __init__(self, endpoint_name: str, traffic: Traffic[Fleet], clock: Clock, sink: MetricSink) -> None:
        self._traffic = traffic
        self._clock = clock
        self._backlog = Publisher(sink, BACKLOG, ({"EndpointName": endpoint_name},))
        self._waiting: deque[AsyncRequest] = deque()
        self._working: list[AsyncRequest] = []
        self._changed = threading.Condition()
        self._ended = threading.Event()
        background.keep_running(self._dispatch, "sagemaker-async")
        background.keep_running(self._publish_backlog, "sagemaker-backlog")

    def put(self, request: AsyncRequest) -> None:
        """Take a request."""
        with self._changed:
            self._waiting.append(request)
            self._changed.notify_all()

    def close(self) -> None:
        """Forget what waits; what is worked on goes on."""
        self._ended.set()
        with self._changed:
            self._waiting.clear()
            self._changed.notify_all()

    def _dispatch(self) -> None:
        while not self._ended.is_set():
            fleet = self._traffic.enter()
            with self._changed:
                expired = self._take_expired() if fleet else []
                request = self._take(fleet)
                if request is None and not expired:
                    self._changed.wait(timeout=_LOOK_SECONDS)
            if fleet is None:
                continue
            for one in expired:
                self._expire(one, fleet)
            if request is not None:
                AsyncWork(request, fleet, self._clock).begin(partial(self._done, request, fleet))
            else:
                self._traffic.leave(fleet)

    def _take_expired(self) -> list[AsyncRequest]:
        now = self._clock.now()
        expired = [one for one in self._waiting if now - one.queued > one.time_to_live_seconds]
        for one in expired:
            self._waiting.remove(one)
        return expired

    def _take(self, fleet: Fleet | None) -> AsyncRequest | None:
        if fleet is None or not self._waiting or len(self._working) >= _room(fleet):
            return None
        request = self._waiting.popleft()
        self._working.append(request)
        return request

    def _expire(self, request: AsyncRequest, fleet: Fleet) -> None:
        work = AsyncWork(request, fleet, self._clock)
        work.variant.metrics.put("ExpiredRequests", 1)
        work.fail(f"ClientError: The request expired after {request.time_to_live_seconds:g} seconds in the queue.")

    def _done(self, request: AsyncRequest, fleet: Fleet) -> None:
        self._traffic.leave(fleet)
        with self._changed:
            self._working.remove(request)
            self._changed.notify_all()

    def _publish_backlog(self) -> None:
        while True:
            with self._changed:
                backlog = [*self._waiting, *self._working]
            fleet = self._traffic.fleet
            instances = sum(one.instance_count for one in fleet.variants.values()) if fleet else 0
            self._backlog.put("ApproximateBacklogSize", len(backlog))
            self._backlog.put("HasBacklogWithoutCapacity", int(bool(backlog) and not instances))
            if instances:
                self._backlog.put("ApproximateBacklogSizePerInstance", len(backlog) / instances)
            if backlog:
                age = self._clock.now() - min(one.queued for one in backlog)
                self._backlog.put("ApproximateAgeOfOldestRequest", age)
            if self._clock.wait(self._ended, _PUBLISHING_SECONDS):
                return


def _room(fleet: Fleet) -> int:
    """Return how many requests a fleet works on at the same time."""
    settings = fleet.config.asynchronous
    per_instance = settings.concurrency if settings else 1
    return per_instance * sum(variant.instance_count for variant in fleet.variants.values())
