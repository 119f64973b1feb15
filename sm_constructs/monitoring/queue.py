"""A queue's alarms: jobs that wait too long, dead letters, files that became no jobs, and functions that fail."""

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
        age_of_oldest: How long the oldest job waits, the pauses between its first three tries included: SQS leaves out
            what was handed out more often than that. When omitted: 15 minutes.
        dead_letters: How many messages are dead letters. When omitted: 1. In any minute: they do not go away.
        failed_files: How many files could not be made jobs. When omitted: 1. In any minute, too.
        errors: Invocations of a function in one period that raised, timed out or ran out of memory. When omitted: 1.
        evaluation: For how long, but for dead letters and failed files. When omitted: in 3 of 5 minutes.

    >>> QueueThresholds(dead_letters=0).problems()
    ['thresholds.dead_letters is 0: must be at least 1']
    """

    age_of_oldest: Duration = field(default_factory=lambda: Duration.minutes(15))
    dead_letters: int = 1
    failed_files: int = 1
    errors: int = 1
    evaluation: Evaluation = field(default_factory=Evaluation)

    def problems(self, name: str = "thresholds") -> list[str]:
        """Say which thresholds make no sense, under the name that the caller gave them."""
        return [
            *latency_problems(f"{name}.age_of_oldest", self.age_of_oldest),
            *count_problems(f"{name}.dead_letters", self.dead_letters),
            *count_problems(f"{name}.failed_files", self.failed_files),
            *count_problems(f"{name}.errors", self.errors),
            *self.evaluation.problems(f"{name}.evaluation"),
        ]


@dataclass(frozen=True, kw_only=True, slots=True)
class WatchedQueue:
    """The names of what is watched.

    Args:
        queue_name: The queue.
        dead_letter_queue_name: The one of its dead letters.
        failed_files_queue_name: The one of events of files that became no jobs.
        consumer_name: The function that works on jobs.
        queueing_name: The function that queues jobs that were accepted.
        announcing_name: The function that says which jobs have ended.
        burying_name: The function that looks for jobs that nobody else would end.
    """

    queue_name: str
    dead_letter_queue_name: str
    failed_files_queue_name: str
    consumer_name: str
    queueing_name: str
    announcing_name: str
    burying_name: str


def queue_segment(
    scope: Construct, *, title: str, watched: WatchedQueue, topic: sns.ITopic, thresholds: QueueThresholds
) -> Segment:
    """Define the alarms and graphs of a queue of jobs."""
    queue = MetricFactory(dimensions={"QueueName": watched.queue_name})
    dead_letters = MetricFactory(dimensions={"QueueName": watched.dead_letter_queue_name})
    failed_files = MetricFactory(dimensions={"QueueName": watched.failed_files_queue_name})

    def factory(metrics: MetricFactory, evaluation: Evaluation = thresholds.evaluation) -> AlarmFactory:
        return AlarmFactory(scope=scope, topic=topic, metrics=metrics, evaluation=evaluation)

    def errors(name: str, function_name: str, description: str) -> cloudwatch.Alarm:
        metrics = MetricFactory(dimensions={"FunctionName": function_name})
        return factory(metrics).alarm(name, ERRORS, threshold=thresholds.errors, description=f"{title}: {description}")

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
        "FailedFiles": factory(failed_files, _AT_ONCE).alarm(
            "FailedFiles",
            WAITING,
            threshold=thresholds.failed_files,
            description=(
                f"{title}: a file was not, or not wholly, made jobs in three tries. The message in the queue of failed "
                "files names it, and the log group of the function that submits files says why. Mend the reason and "
                "invoke that function with the message's requestPayload: docs/jobs.md has the commands."
            ),
        ),
        "ConsumerErrors": errors(
            "ConsumerErrors",
            watched.consumer_name,
            "the consumer is killed, times out or lacks memory; its jobs are tried again. Find the reason in the "
            "function's log group; give it more memory or time if it lacks that.",
        ),
        "QueueingErrors": errors(
            "QueueingErrors",
            watched.queueing_name,
            "accepted jobs are not queued. They wait in the table's stream for 24 hours, and are queued by themselves "
            "an hour later; find the reason in the log group of the function that queues them.",
        ),
        "AnnouncingErrors": errors(
            "AnnouncingErrors",
            watched.announcing_name,
            "jobs that have ended are not announced. They wait in the table's stream for 24 hours: find the reason in "
            "the log group of the function that announces them before those are over.",
        ),
        "BuryingErrors": errors(
            "BuryingErrors",
            watched.burying_name,
            "jobs whose message died or got lost are not looked after. Find the reason in the log group of the "
            "function that does it each minute.",
        ),
    }
    return Segment(
        title=title,
        alarms=alarms,
        graphs=[
            graph("Age of the oldest job (s)", queue.line(AGE_OF_OLDEST), limits=[alarms["OldestMessage"]]),
            graph("Jobs", queue.line(WAITING), queue.line(SENT), queue.line(DELETED)),
            graph("Dead letters", dead_letters.line(WAITING), limits=[alarms["DeadLetters"]]),
            graph("Failed files", failed_files.line(WAITING), limits=[alarms["FailedFiles"]]),
        ],
    )
