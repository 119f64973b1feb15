"""The functions around a queue of jobs, beside the consumer: each with what it needs and with what calls it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs

from sm_constructs._function_settings import FunctionSettings
from sm_constructs._job_store import grant_query_watched, grant_table, read_stream

if TYPE_CHECKING:
    from sm_constructs.queue import ClassificationQueue

_TIMEOUT = Duration.minutes(1)
_FILE_TIMEOUT = Duration.minutes(15)  # Lambda's longest
_FILE_MEMORY_MB = 1769  # a whole core, which the largest files take for four minutes


def queue_function(queue: ClassificationQueue, settings: FunctionSettings) -> lambda_.Function:
    """Define the function that queues the jobs that were written to the table."""
    function = settings.function(
        queue,
        "QueueJobs",
        handler="queue_jobs",
        environment={"QUEUE_URL": queue.queue.queue_url},
        timeout=_TIMEOUT,
    )
    queue.queue.grant(function, "sqs:SendMessage")
    if key := queue.queue.encryption_master_key:
        key.grant_encrypt_decrypt(function)
    read_stream(queue.job_table, function, event_name="INSERT", statuses=["queued"])
    return function


def announce_function(queue: ClassificationQueue, settings: FunctionSettings) -> lambda_.Function:
    """Define the function that tells topic and event bus which jobs have ended."""
    environment = {
        "TOPIC_ARN": queue.topic.topic_arn,
        "EVENT_BUS_NAME": queue.event_bus.event_bus_name,
        "BUCKET_NAME": queue.artifacts.bucket.bucket_name,
    }
    function = settings.function(
        queue, "AnnounceJobs", handler="announce_jobs", environment=environment, timeout=_TIMEOUT
    )
    # Not the topic's own grant: it would name AWS's key, whose policy lets everybody in who may publish.
    iam.Grant.add_to_principal(grantee=function, actions=["sns:Publish"], resource_arns=[queue.topic.topic_arn])
    if settings.encryption_key:
        settings.encryption_key.grant(function, "kms:Decrypt", "kms:GenerateDataKey*")
    queue.event_bus.grant_put_events_to(function)
    read_stream(queue.job_table, function, event_name="MODIFY", statuses=["succeeded", "failed"])
    return function


def bury_function(queue: ClassificationQueue, settings: FunctionSettings) -> lambda_.Function:
    """Define the function that looks each minute for jobs that nobody else will end."""
    environment = {
        "JOB_TABLE_NAME": queue.job_table.table_name,
        "DEAD_LETTER_QUEUE_URL": queue.dead_letter_queue.queue_url,
        "QUEUE_URL": queue.queue.queue_url,
    }
    function = settings.function(queue, "BuryJobs", handler="bury_jobs", environment=environment, timeout=_TIMEOUT)
    grant_table(queue.job_table, function, "BatchGetItem", "UpdateItem")
    grant_query_watched(queue.job_table, function)
    queue.dead_letter_queue.grant(function, "sqs:ReceiveMessage", "sqs:ChangeMessageVisibility")
    queue.queue.grant(function, "sqs:SendMessage", "sqs:GetQueueAttributes")
    if key := queue.queue.encryption_master_key:
        key.grant_encrypt_decrypt(function)
    events.Rule(
        queue,
        "LookAtDeadLetters",
        schedule=events.Schedule.rate(Duration.minutes(1)),
        targets=[targets.LambdaFunction(function, retry_attempts=0)],
    )
    return function


def submit_function(
    queue: ClassificationQueue, settings: FunctionSettings, environment: Mapping[str, str]
) -> lambda_.Function:
    """Define the function that makes jobs of files."""
    function = replace(settings, memory_size_mb=max(settings.memory_size_mb, _FILE_MEMORY_MB)).function(
        queue,
        "SubmitFile",
        handler="submit_file",
        environment={**queue.accepting_environment, **environment},
        timeout=_FILE_TIMEOUT,
    )
    queue.artifacts.jobs.under("requests/").grant_put(function)
    _tell_of_failures(function, queue.failed_files_queue)
    # By the last two Powertools remembers the files that were submitted.
    grant_table(queue.job_table, function, "PutItem", "UpdateItem", "DeleteItem")
    incoming = queue.artifacts.jobs.under("incoming/")
    incoming.grant_get(function)
    queue.artifacts.jobs.under("submitted/").grant_put(function)
    events.Rule(
        queue,
        "Files",
        event_pattern=events.EventPattern(
            source=["aws.s3"],
            detail_type=["Object Created"],
            detail={
                "bucket": {"name": [incoming.bucket.bucket_name]},
                "object": {"key": events.Match.prefix(incoming.prefix)},
            },
        ),
        targets=[targets.LambdaFunction(function)],
    )
    return function


def _tell_of_failures(function: lambda_.Function, failures: sqs.Queue) -> None:
    """Let Lambda put an event into the queue for which the function failed in all tries."""
    grant = failures.grant(function, "sqs:SendMessage")
    if key := failures.encryption_master_key:
        grant = grant.combine(key.grant_encrypt_decrypt(function))
    # CDK's destination for it takes the import of a package of its own, and grants more.
    destination = lambda_.CfnEventInvokeConfig(
        function,
        "Failures",
        function_name=function.function_name,
        qualifier="$LATEST",
        destination_config=lambda_.CfnEventInvokeConfig.DestinationConfigProperty(
            on_failure=lambda_.CfnEventInvokeConfig.OnFailureProperty(destination=failures.queue_arn)
        ),
    )
    grant.apply_before(destination)  # Lambda looks whether the function may
