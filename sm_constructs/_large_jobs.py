"""What jobs need that are too large for one call: an asynchronous endpoint that tells the queue when it is done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs

from sm_constructs._validation import Problems
from sm_constructs.endpoint.endpoint import Endpoint
from sm_constructs.endpoint.variants import Asynchronous
from sm_constructs.storage import ArtifactPrefix

_TIMEOUT = Duration.hours(8)
"""A request waits for six hours at most, and is worked on for one at most; one more for its answer to be kept.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpointAsync.html
"""
_LEAST_SECONDS, _MOST_SECONDS = 15 * 60, 24 * 60 * 60
_LEAST_MEMORY_MB = 512


def large_job_problems(endpoint: Endpoint | None, timeout: Duration | None, memory_size_mb: int) -> Iterator[str]:
    """Yield what is missing for jobs to go through the endpoint and come back."""
    if endpoint is None:
        if timeout is not None:
            yield "large_job_timeout without an asynchronous_endpoint: only that takes large jobs: leave it out"
        return
    problems = Problems()
    seconds = (timeout or _TIMEOUT).to_seconds(integral=False)
    problems.between("large_job_timeout", seconds, _LEAST_SECONDS, _MOST_SECONDS, "seconds")
    problems.at_least("memory_size_mb with an asynchronous_endpoint", memory_size_mb, _LEAST_MEMORY_MB, "MB")
    yield from problems
    variant = endpoint.variants[0]
    if not isinstance(variant, Asynchronous):
        yield f"asynchronous_endpoint has a {type(variant).__name__} variant: must be Asynchronous"
        return
    for name in ("inputs", "success_topic", "error_topic"):
        if getattr(variant, name) is None:
            yield f"asynchronous_endpoint has a variant without {name}: its jobs would never end, so pass one"


def whole_seconds(timeout: Duration | None) -> int:
    """Return how long the endpoint may have a job, in seconds."""
    return int((timeout or _TIMEOUT).to_seconds(integral=False))


@dataclass(frozen=True, kw_only=True, slots=True)
class LargeJobs:
    """An asynchronous endpoint that has all that :func:`large_job_problems` looks for.

    Args:
        endpoint: The endpoint.
        inputs: Where its inputs go.
        output: Where its answers are.
        failures: Where its errors are. None: nowhere.
        topics: Where it says that it is done with an input.
    """

    endpoint: Endpoint
    inputs: ArtifactPrefix
    output: ArtifactPrefix
    failures: ArtifactPrefix | None
    topics: Sequence[sns.ITopic]

    @classmethod
    def of(cls, endpoint: Endpoint | None) -> LargeJobs | None:
        """Return what is known of the endpoint; None without one."""
        match endpoint.variants[0] if endpoint else None:
            case Asynchronous(inputs=ArtifactPrefix() as inputs, output=output) as variant if endpoint:
                topics = [topic for topic in (variant.success_topic, variant.error_topic) if topic]
                return cls(endpoint=endpoint, inputs=inputs, output=output, failures=variant.failures, topics=topics)
            case _:
                return None

    @property
    def environment(self) -> dict[str, str]:
        """What functions are told of it."""
        return {
            "ASYNCHRONOUS_ENDPOINT_NAME": self.endpoint.endpoint_name,
            "ASYNCHRONOUS_INPUTS_URL": self.inputs.url(),
        }

    def connect(self, queue: sqs.Queue, consumer: iam.IGrantable) -> None:
        """Let the consumer hand jobs over and read answers, and the endpoint tell the queue."""
        self.endpoint.grant_invoke_async(consumer)
        self.inputs.grant_put(consumer)
        for prefix in (self.output, self.failures):
            if prefix:
                # With the permission to list, by which it sees what is not there: an endpoint may keep silent.
                prefix.grant_read(consumer)
        for topic in self.topics:
            topic.add_subscription(subscriptions.SqsSubscription(queue, raw_message_delivery=True))
