"""Where jobs are while they are on their way: the table, the queue, the dead letters and the topic."""

from __future__ import annotations

from collections.abc import Iterator

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

WATCHED_INDEX = "watched"
LONGEST_PAUSE_SECONDS = 900  # the consumer's
QUEUE_RETENTION = Duration.days(4)
DEAD_LETTER_RETENTION = Duration.days(14)
"""SQS's longest. A dead letter's age counts from when it was sent first, so it is kept longer than others."""


def job_table(scope: Construct, *, encryption_key: kms.IKey | None, removal_policy: RemovalPolicy) -> dynamodb.Table:
    """Define the table of jobs: paid by the request, restorable to any second, and forgetting jobs by itself.

    Its index has the jobs that have not ended, which alone have ``watched``, by when they are overdue.
    """
    table = dynamodb.Table(
        scope,
        "Jobs",
        partition_key=dynamodb.Attribute(name="job_id", type=dynamodb.AttributeType.STRING),
        billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
        deletion_protection=removal_policy == RemovalPolicy.RETAIN,
        encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED if encryption_key else dynamodb.TableEncryption.DEFAULT,
        encryption_key=encryption_key,
        point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
            point_in_time_recovery_enabled=True
        ),
        removal_policy=removal_policy,
        stream=dynamodb.StreamViewType.NEW_IMAGE,
        time_to_live_attribute="expires_at",
    )
    table.add_global_secondary_index(
        index_name=WATCHED_INDEX,
        partition_key=dynamodb.Attribute(name="watched", type=dynamodb.AttributeType.STRING),
        sort_key=dynamodb.Attribute(name="overdue_at", type=dynamodb.AttributeType.NUMBER),
        projection_type=dynamodb.ProjectionType.KEYS_ONLY,
    )
    return table


def job_queues(
    scope: Construct, *, encryption_key: kms.IKey | None, visibility_timeout: Duration, max_receive_count: int
) -> tuple[sqs.Queue, sqs.Queue]:
    """Define the queue and the one for its dead letters."""
    encryption = sqs.QueueEncryption.KMS if encryption_key else sqs.QueueEncryption.SQS_MANAGED
    dead_letters = sqs.Queue(
        scope,
        "DeadLetters",
        encryption=encryption,
        encryption_master_key=encryption_key,
        enforce_ssl=True,
        retention_period=DEAD_LETTER_RETENTION,
    )
    queue = sqs.Queue(
        scope,
        "Queue",
        dead_letter_queue=sqs.DeadLetterQueue(max_receive_count=max_receive_count, queue=dead_letters),
        encryption=encryption,
        encryption_master_key=encryption_key,
        enforce_ssl=True,
        retention_period=QUEUE_RETENTION,
        visibility_timeout=visibility_timeout,
    )
    return queue, dead_letters


def failed_files_queue(scope: Construct, *, encryption_key: kms.IKey | None) -> sqs.Queue:
    """Define the queue of what tells of files that became no jobs.

    Not the one of dead letters: SQS drives nothing back from a queue that has messages of Lambda's among its own.
    """
    return sqs.Queue(
        scope,
        "FailedFiles",
        encryption=sqs.QueueEncryption.KMS if encryption_key else sqs.QueueEncryption.SQS_MANAGED,
        encryption_master_key=encryption_key,
        enforce_ssl=True,
        retention_period=DEAD_LETTER_RETENTION,
    )


def job_topic(scope: Construct, *, encryption_key: kms.IKey | None) -> sns.Topic:
    """Define the topic that says which jobs have ended. Functions publish to it, so AWS's own key will do."""
    key = encryption_key or kms.Alias.from_alias_name(scope, "TopicKey", "alias/aws/sns")
    return sns.Topic(scope, "Topic", enforce_ssl=True, master_key=key)


def grant_table(table: dynamodb.Table, grantee: iam.IGrantable, *actions: str) -> iam.Grant:
    """Allow actions on the table and to decrypt and encrypt its items."""
    # Not the table's own grant, which names its indexes, too.
    grant = iam.Grant.add_to_principal(
        grantee=grantee,
        actions=[f"dynamodb:{action}" for action in actions],
        resource_arns=[table.table_arn],
    )
    key = table.encryption_key
    return grant.combine(key.grant_encrypt_decrypt(grantee)) if key else grant


def grant_query_watched(table: dynamodb.Table, grantee: iam.IGrantable) -> iam.Grant:
    """Allow to ask the index of :func:`job_table`."""
    return iam.Grant.add_to_principal(
        grantee=grantee,
        actions=["dynamodb:Query"],
        resource_arns=[f"{table.table_arn}/index/{WATCHED_INDEX}"],
    )


def read_stream(
    table: dynamodb.Table, function: lambda_.Function, *, event_name: str, statuses: list[str]
) -> lambda_.EventSourceMapping:
    """Call the function with what happens to jobs: with those that get one of the statuses by that.

    A batch that fails is tried again, in halves, as long as the stream has it, which is 24 hours.
    """
    grant = table.grant_stream_read(function)
    mapping = lambda_.EventSourceMapping(
        function,
        "Stream",
        target=function,
        event_source_arn=table.table_stream_arn,
        batch_size=100,
        bisect_batch_on_error=True,
        filters=[
            lambda_.FilterCriteria.filter(
                {
                    "eventName": lambda_.FilterRule.is_equal(event_name),
                    "dynamodb": {"NewImage": {"job_status": {"S": lambda_.FilterRule.or_(*statuses)}}},
                }
            )
        ],
        starting_position=lambda_.StartingPosition.TRIM_HORIZON,
    )
    grant.apply_before(mapping)
    return mapping


def read_queue(
    queue: sqs.Queue,
    function: lambda_.Function,
    *,
    batch_size: int,
    batching_window: Duration,
    max_concurrency: int,
) -> lambda_.EventSourceMapping:
    """Call the function with messages; those that it returns stay in the queue."""
    grant = queue.grant(
        function,
        "sqs:ReceiveMessage",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
        "sqs:ChangeMessageVisibility",
        "sqs:SendMessage",  # of jobs that there was no time for
    )
    if queue.encryption_master_key:
        grant = grant.combine(queue.encryption_master_key.grant_encrypt_decrypt(function))
    mapping = lambda_.EventSourceMapping(
        function,
        "Messages",
        target=function,
        event_source_arn=queue.queue_arn,
        batch_size=batch_size,
        max_batching_window=batching_window if batching_window.to_seconds() else None,
        max_concurrency=max_concurrency,
        report_batch_item_failures=True,
    )
    grant.apply_before(mapping)
    return mapping


def retry_problems(max_receive_count: int, hidden_seconds: float) -> Iterator[str]:
    """Yield what would let a message be too old before it was tried for the last time."""
    days = QUEUE_RETENTION.to_days()
    most = int(days * 86_400 // max(LONGEST_PAUSE_SECONDS, hidden_seconds))
    if not 2 <= max_receive_count <= most:
        yield (
            f"max_receive_count is {max_receive_count}: must be from 2 to {most}, as often as a message may be "
            f"tried in the {days} days that the queue keeps it"
        )


def batch_problems(batch_size: int, window_seconds: float) -> Iterator[str]:
    """Yield what Lambda would say: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-parameters.html."""
    if not 1 <= batch_size <= 10_000:
        yield f"batch_size is {batch_size}: must be from 1 to 10000"
    elif batch_size > 10 and not window_seconds:
        yield f"batch_size is {batch_size} without a batching_window: must be at most 10, or pass a window of a second"
