"""500 jobs of the kind that ``make soak`` sends 10,000 of."""

from __future__ import annotations

from pathlib import Path

import boto3
import pytest

from tests.jobs.load import Load, check, killing_consumers
from tests.jobs.stack import deploy_jobs
from tests.local_aws import LocalAws

pytestmark = pytest.mark.e2e


def test_each_of_500_jobs_has_one_result_or_a_reason_whatever_goes_wrong(local_aws: LocalAws, tmp_path: Path) -> None:
    stack = deploy_jobs(local_aws, tmp_path)
    queue = {"QueueUrl": stack.outputs["QueueUrl"], "Attributes": {"VisibilityTimeout": "32"}}
    boto3.client("sqs").set_queue_attributes(**queue)  # not 180 s, for the killed consumers' messages
    load = Load(stack)
    stack.faults(failing=0.2, throttling=0.05)
    with killing_consumers(stack, pauses=[2, 3]) as killed:
        load.submit(250, poison_share=0.01)
        assert load.duplicate(0.1) == 25
        load.submit(250, poison_share=0.01)
        load.wait(300, share=0.5)
    stack.faults()
    load.wait(300)

    counted = check(load)

    assert len(killed) == 2
    assert set().union(*killed) <= {*load.good, *load.poison}
    assert (counted["jobs"], counted["failed"]) == (500, 5)
    announced = load.announced()
    for job_id in load.good:
        assert announced[job_id, "succeeded"]
    for job_id in load.poison:
        assert announced[job_id, "failed"]
    stack.close()
