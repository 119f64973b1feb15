"""``make soak``: the queue of jobs at its full size in a local AWS, with all that goes wrong on the way."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from tests.jobs.load import Load, check, killing_consumers
from tests.jobs.measure import drain, outage
from tests.jobs.stack import JobsStack, deploy_jobs
from tests.local_aws import running_local_aws


def soak(stack: JobsStack, jobs: int) -> None:
    """Send jobs while the endpoint fails, consumers are killed and messages doubled; then look at each."""
    load, began = Load(stack), time.monotonic()
    stack.faults(failing=0.2, throttling=0.05, seconds=0.01)
    with killing_consumers(stack, pauses=[5, 10, 20]) as killed:
        load.submit(jobs // 2, poison_share=0.01)
        doubled = load.duplicate(0.1)  # of those, some of which are worked on by now
        load.submit(jobs - jobs // 2, poison_share=0.01)
        submitted = time.monotonic() - began
        load.wait(3600, share=0.5, every=5)
    stack.faults()
    load.wait(3600, every=5)
    ended = time.monotonic() - began
    counted = check(load, seconds=600)
    assert len(killed) == 3, f"consumers were killed {len(killed)} times"
    print(f"{jobs} jobs accepted in {submitted:.0f} s and ended after {ended:.0f} s; {doubled} messages sent twice,")
    print(f"consumers killed {len(killed)} times, which had {sum(map(len, killed))} jobs: {counted}", flush=True)


def measure(stack: JobsStack, jobs: int) -> None:
    """Compare batches and concurrencies with a model that takes 200 ms a call, whatever it is asked."""
    stack.faults(seconds=0.2)
    print("| messages a batch | consumers | jobs a second |\n|---|---|---|")
    rates = {}
    for batch_size, consumers in ((1, 1), (10, 1), (10, 2), (10, 4)):
        rate = rates[batch_size, consumers] = drain(stack, jobs, batch_size=batch_size, consumers=consumers)
        print(f"| {batch_size} | {consumers} | {rate:.1f} |", flush=True)
    stack.faults()
    ratio = rates[10, 1] / rates[1, 1]
    assert ratio >= 5, f"a batch of ten does only {ratio:.1f} times as much as one message"
    assert rates[10, 1] < rates[10, 2] < rates[10, 4], f"more consumers do not do more: {rates}"


def main() -> None:
    """Run it all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--measured-jobs", type=int, default=500)
    parser.add_argument("--outage-seconds", type=float, default=60)
    parser.add_argument("--only", choices=["measure", "outage", "soak"])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, running_local_aws(Path(directory) / "aws") as aws:
        stack = deploy_jobs(aws, Path(directory), concurrency=4, instances=4, max_receive_count=8, first_retry_pause=2)
        if arguments.only in (None, "measure"):
            measure(stack, arguments.measured_jobs)
        if arguments.only in (None, "outage"):
            accepted, seconds = outage(stack, arguments.outage_seconds, jobs_a_second=5)
            print(f"endpoint down for {arguments.outage_seconds:.0f} s: {accepted} jobs accepted meanwhile,")
            print(f"the last of them done {seconds:.0f} s after it was up again", flush=True)
        if arguments.only in (None, "soak"):
            soak(stack, arguments.jobs)
        stack.close()


if __name__ == "__main__":
    main()
