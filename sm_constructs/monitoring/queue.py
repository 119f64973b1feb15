"""A queue's alarms: jobs that wait too long, dead letters, and functions that fail."""

from __future__ import annotations

from dataclasses import dataclass, field

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sns as sns
from constructs import Construct

from sm_constructs.monitoring.alarms import AlarmFactory
from sm_constructs.monitoring.functions import ERRORS
from sm_constructs.monitoring.metrics import MetricFactory, MetricKind
from sm_constructs.monitoring.segment import Segment, graph
from sm_constructs.monitoring.thresholds import Evaluation, count_problems, latency_problems

_NAMESPACE = "AWS/SQS"
AGE_OF_OLDEST = MetricKind(
    namespace=_NAMESPACE, name="ApproximateAgeOfOldestMessage", unit=cloudwatch.Unit.SECONDS, statistic="Maximum"
)
WAITING = MetricKind(
    namespace=_NAMESPACE, name="ApproximateNumberOfMessagesVisible", unit=cloudwatch.Unit.COUNT, statistic="Maximum"
)
SENT = MetricKind(namespace=_NAMESPACE, name="NumberOfMessagesSent", unit=cloudwatch.Unit.COUNT, statistic="Sum")
DELETED = MetricKind(namespace=_NAMESPACE, name="NumberOfMessagesDeleted", unit=cloudwatch.Unit.COUNT, statistic="Sum")

# Dead letters stay until somebody drives them back, so that the first minute says it all.
_AT_ONCE = Evaluation(datapoints_to_alarm=1, evaluation_periods=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueThresholds:
    """When the alarms of a queue of jobs go off.

    Args:
        age_of_oldest: How long the oldest job waits, its retries included. When omitted: 15 minutes.
        dead_letters: How many messages are dead letters. When omitted: 1. In any minute: they do not go away.
        errors: Invocations of a function in one period that raised, timed out or ran out of memory. When omitted: 1.
        evaluation: For how long, but for dead letters. When omitted: in 3 of 5 minutes.

    >>> QueueThresholds(dead_letters=0).problems()
    ['thresholds.dead_letters is 0: must be at least 1']
    """

    age_of_oldest: Duration = field(default_factory=lambda: Duration.minutes(15))
    dead_letters: int = 1
    errors: int = 1
    evaluation: Evaluation = field(default_factory=Evaluation)

    def problems(self, name: str = "thresholds") -> list[str]:
        """Say which thresholds make no sense, under the name that the caller gave them."""
        return [
            *latency_problems(f"{name}.age_of_oldest", self.age_of_oldest),
            *count_problems(f"{name}.dead_letters", self.dead_letters),
            *count_problems(f"{name}.errors", self.errors),
            *self.evaluation.problems(f"{name}.evaluation"),
        ]


@dataclass(frozen=True, kw_only=True, slots=True)
class WatchedQueue:
    """The names of what is watched.

    Args:
        queue_name: The queue.
        dead_letter_queue_name: The one of its dead letters.
        consumer_name: The function that works on jobs.
        queueing_name: The function that queues jobs that were accepted.
    """

    queue_name: str
    dead_letter_queue_name: str
    consumer_name: str
    queueing_name: str


def queue_segment(
    scope: Construct, *, title: str, watched: WatchedQueue, topic: sns.ITopic, thresholds: QueueThresholds
) -> Segment:
    """Define the alarms and graphs of a queue of jobs."""
    queue = MetricFactory(dimensions={"QueueName": watched.queue_name})
    dead_letters = MetricFactory(dimensions={"QueueName": watched.dead_letter_queue_name})
    consumer = MetricFactory(dimensions={"FunctionName": watched.consumer_name})
    queueing = MetricFactory(dimensions={"FunctionName": watched.queueing_name})

    def factory(metrics: MetricFactory, evaluation: Evaluation = thresholds.evaluation) -> AlarmFactory:
        return AlarmFactory(scope=scope, topic=topic, metrics=metrics, evaluation=evaluation)

    alarms = {
        "OldestMessage": factory(queue).alarm(
            "OldestMessage",
            AGE_OF_OLDEST,
            threshold=thresholds.age_of_oldest,
            description=(
                f"{title}: jobs wait too long. If the consumer's errors or the endpoint's alarms are up, mend those "
                "first. Otherwise more is sent than worked on: raise the queue's max_concurrency as far as the "
                "endpoint takes it, then the endpoint."
            ),
        ),
        "DeadLetters": factory(dead_letters, _AT_ONCE).alarm(
            "DeadLetters",
            WAITING,
            threshold=thresholds.dead_letters,
            description=(
                f"{title}: jobs failed for good. GET /v1/jobs/{{job_id}} says why. Mend the reason, then drive them "
                "back: aws sqs start-message-move-task --source-arn with the dead-letter queue's ARN."
            ),
        ),
        "ConsumerErrors": factory(consumer).alarm(
            "ConsumerErrors",
            ERRORS,
            threshold=thresholds.errors,
            description=(
                f"{title}: the consumer is killed, times out or lacks memory; its jobs are tried again. Find the "
                "reason in the function's log group; give it more memory or time if it lacks that."
            ),
        ),
        "QueueingErrors": factory(queueing).alarm(
            "QueueingErrors",
            ERRORS,
            threshold=thresholds.errors,
            description=(
                f"{title}: accepted jobs are not queued. They wait in the table's stream for 24 hours: find the "
                "reason in the log group of the function that queues them before those are over."
            ),
        ),
    }
    return Segment(
        title=title,
        alarms=alarms,
        graphs=[
            graph("Age of the oldest job (s)", queue.line(AGE_OF_OLDEST), limits=[alarms["OldestMessage"]]),
            graph("Jobs", queue.line(WAITING), queue.line(SENT), queue.line(DELETED)),
            graph("Dead letters", dead_letters.line(WAITING), limits=[alarms["DeadLetters"]]),
        ],
    )
