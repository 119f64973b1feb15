"""How fast jobs are worked on, from the first message to the last result."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import boto3

from tests.jobs.load import Load, mapping
from tests.jobs.stack import JobsStack


@contextmanager
def concurrency(stack: JobsStack, consumers: int) -> Iterator[None]:
    """Let so many consumers work at the same time; the event source's own least is two."""
    client, name = boto3.client("lambda"), stack.outputs["ConsumeFunctionName"]
    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=consumers)
    try:
        yield
    finally:
        client.delete_function_concurrency(FunctionName=name)


def drain(stack: JobsStack, jobs: int, *, batch_size: int, consumers: int) -> float:
    """Queue jobs while nobody works on them, let consumers have them, and return the jobs a second.

    The consumers are warm.
    """
    mapping(stack, BatchSize=batch_size)
    with concurrency(stack, consumers):
        warm = Load(stack)
        warm.submit(4 * consumers * batch_size if batch_size == 1 else 2 * consumers * batch_size)
        warm.wait(120)
        mapping(stack, Enabled=False)
        load = Load(stack)
        load.submit(jobs)
        _wait_until_queued(stack, jobs)
        began = time.time()
        mapping(stack, Enabled=True)
        load.wait(600, every=2)
    ends = [item["updated_at"] for item in load.items().values()]
    return jobs / (datetime.fromisoformat(max(ends)).timestamp() - began)


def outage(stack: JobsStack, seconds: float, *, jobs_a_second: float) -> tuple[int, float]:
    """Let the endpoint be down for a while; return the jobs accepted meanwhile and when the last was done after it."""
    stack.faults(failing=1)
    load, began = Load(stack), time.monotonic()
    while time.monotonic() - began < seconds:
        load.submit(1)
        time.sleep(1 / jobs_a_second)
    stack.faults()
    up = time.time()
    load.wait(900)
    items = load.items().values()
    assert not [item for item in items if item["job_status"] != "succeeded"]
    last = max(item["updated_at"] for item in items)
    return len(load.job_ids), datetime.fromisoformat(last).timestamp() - up


def _wait_until_queued(stack: JobsStack, jobs: int) -> None:
    sqs, url = boto3.client("sqs"), stack.outputs["QueueUrl"]
    names = ["ApproximateNumberOfMessages"]
    deadline = time.monotonic() + 300
    while True:
        waiting = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        if int(waiting["ApproximateNumberOfMessages"]) >= jobs:
            return
        assert time.monotonic() < deadline, waiting
        time.sleep(0.5)
