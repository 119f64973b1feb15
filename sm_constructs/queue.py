"""The queue of texts to be classified later, and what works on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sagemaker as sagemaker
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from sm_constructs._endpoint_environment import endpoint_environment, endpoint_problems, max_payload_bytes
from sm_constructs._function import function_problems
from sm_constructs._function_settings import FunctionSettings
from sm_constructs._job_functions import announce_function, bury_function, queue_function, submit_function
from sm_constructs._job_store import (
    DEAD_LETTER_RETENTION,
    LONGEST_PAUSE_SECONDS,
    QUEUE_RETENTION,
    batch_problems,
    failed_files_queue,
    grant_table,
    job_queues,
    job_table,
    job_topic,
    read_queue,
    retry_problems,
)
from sm_constructs._large_jobs import LargeJobs, large_job_problems, whole_seconds
from sm_constructs._validation import Problems
from sm_constructs.endpoint.endpoint import Endpoint
from sm_constructs.lambda_platform import LambdaPlatform
from sm_constructs.preprocessing import TextPreprocessor
from sm_constructs.storage import ArtifactStore

if TYPE_CHECKING:
    from sm_constructs.database import ResultDatabase

_LONGEST_TIMEOUT_SECONDS = 900
_SHORTEST_TIMEOUT_SECONDS = 30  # a call of the table alone may take ten
_SHARE_OF_A_CALL = 0.6  # of the consumer's time; a batch that the model refuses needs more than one


class ClassificationQueue(Construct):
    """Define a queue of jobs, the Lambda function that works on them, and where their results go.

    A job is accepted by writing an item into a DynamoDB table. Everything else follows from that: the table's stream
    queues the job in SQS, the consumer labels the texts of all messages of a batch by one call of the endpoint, puts
    each job's results into S3 and writes the item again, and the stream announces that to an SNS topic and an
    EventBridge bus. A message whose job fails too often is kept as a dead letter, from which SQS drives it back.

    Args:
        scope: The parent construct.
        construct_id: The id within the parent.
        endpoint: The endpoint that classifies: with a model, and neither asynchronous nor with inference components.
        artifacts: Results go under ``results/jobs/`` there, requests that are too large for the table under
            ``jobs/requests/``. JSON lines that are put under ``jobs/incoming/`` become jobs; which, and what is wrong
            with the lines that do not, stands under ``jobs/submitted/`` then. A bucket that was handed in must tell
            EventBridge of new objects for that.
        preprocessor: Annotates texts, for requests with ``"annotations": true``. When omitted: such requests are
            refused.
        database: Gets a row for each text of a job, before the job has succeeded. When omitted: results are in S3
            alone.
        asynchronous_endpoint: Has the jobs that are larger than a caller of the API may send, which only files hold.
            Its variant has ``inputs``, ``success_topic`` and ``error_topic``. When omitted: such jobs are refused.
        large_job_timeout: How long ``asynchronous_endpoint`` may have a job before it is looked after, 15 minutes to a
            day: its answer is taken from S3 then, as if the endpoint had told of it, or the job fails. When omitted:
            8 hours, one more than SageMaker itself takes at most.
        event_bus: Where it is said that jobs have ended, beside the topic. When omitted: the account's default bus.
        batch_size: The most messages that the consumer gets at once, 1 to 10,000; more than 10 need a
            ``batching_window``. When omitted: 10.
        batching_window: How long messages are gathered for a batch, up to 5 minutes. When omitted: not at all.
        max_concurrency: How many batches are worked on at the same time, 2 to 1,000: as many as the endpoint takes.
            When omitted: 10.
        max_texts_per_call: How many texts of several jobs are put together into one call of the endpoint, 100 to
            10,000, and a thousand times as many characters: what the model labels in half of the consumer's timeout.
            When omitted: 1,000, for which this project's models take some seconds.
        max_receive_count: How often a job is tried before its message is a dead letter, from 2 to as often as fits into
            the four days that the queue keeps a message: 384 times with the default ``timeout``. When omitted: 8, which
            with the pauses between them is about a quarter of an hour. In the second half of its tries it has a call of
            its own, so that what breaks a call takes no others with it.
        first_retry_pause: The pause after the first try, whole seconds; each further one is twice as long, up to 15
            minutes, and all of them are shortened by up to a half at random. When omitted: 10 seconds.
        job_retention: How long a job is remembered after it was accepted, with its idempotency key, and after it was
            driven back; more than the 14 days that a dead letter is kept and the 4 that one is which was driven back,
            and less than the ``job_expiration`` of ``artifacts``. When omitted: 30 days. Results in S3 stay.
        memory_size_mb: Memory of each function in MB, 128 to 10,240; at least 512 with ``asynchronous_endpoint``, for
            its answers, and more for models of more than 150 labels. When omitted: 512 MB. The one that makes jobs of
            files has 1,769 at least.
        timeout: How long the consumer may work on a batch, 30 to 900 seconds. When omitted: one minute. A message
            stays hidden for six times that and the window, as AWS advises, when a consumer was killed with it.
        reserved_concurrent_executions: How many consumers run at the same time at most; not less than
            ``max_concurrency``. When omitted: no limit but the account's.
        log_retention: How long logs are kept. When omitted: one month.
        removal_policy: What happens to table and logs when the stack is deleted. When omitted: they are kept, and
            the table is protected from deletion.
        vpc: The VPC that the functions run in, in its private subnets; ``docs/vpc.md`` lists the VPC endpoints that
            they need there. When omitted: Lambda's own network.
        encryption_key: The KMS key for table, queues, topic, environment variables and logs. When omitted: keys that
            AWS manages.
        lambda_platform: Python version and architecture of the functions. When omitted: Python 3.13 on arm64.

    Attributes:
        job_table: The jobs.
        queue: The queue.
        dead_letter_queue: The messages whose jobs failed too often.
        failed_files_queue: The events of files that could not be made jobs in three tries.
        topic: Says which jobs have succeeded and failed, with the attributes ``status``, ``submitted_by``, ``texts``
            and ``model_version``, which subscriptions filter by.
        event_bus: Says the same.
        consumer: The function that works on jobs.
        functions: All functions by what they do: ``consume``, ``queue``, ``announce``, ``bury`` and ``submit``.

    Raises:
        InvalidPropsError: Arguments that AWS would refuse or that lose jobs, all of them at once; or the functions'
            dependencies have not been bundled, with the command that does it.

    Example: ``docs/examples/classification_queue.py``.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        endpoint: sagemaker.IEndpoint,
        artifacts: ArtifactStore,
        preprocessor: TextPreprocessor | None = None,
        database: ResultDatabase | None = None,
        asynchronous_endpoint: Endpoint | None = None,
        large_job_timeout: Duration | None = None,
        event_bus: events.IEventBus | None = None,
        batch_size: int = 10,
        batching_window: Duration | None = None,
        max_concurrency: int = 10,
        max_texts_per_call: int = 1000,
        max_receive_count: int = 8,
        first_retry_pause: Duration | None = None,
        job_retention: Duration | None = None,
        memory_size_mb: int = 512,
        timeout: Duration | None = None,
        reserved_concurrent_executions: int | None = None,
        log_retention: logs.RetentionDays = logs.RetentionDays.ONE_MONTH,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
        vpc: ec2.IVpc | None = None,
        encryption_key: kms.IKey | None = None,
        lambda_platform: LambdaPlatform | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        timeout = timeout or Duration.minutes(1)
        window = batching_window or Duration.seconds(0)
        pause = first_retry_pause or Duration.seconds(10)
        self.job_retention: Duration = job_retention or Duration.days(30)
        platform = lambda_platform or LambdaPlatform()

        problems = Problems()
        problems.extend(endpoint_problems(endpoint))
        window_seconds = window.to_seconds(integral=False)
        problems.whole_seconds("batching_window", window_seconds, 0, 300)
        problems.extend(batch_problems(batch_size, window_seconds))
        problems.extend(large_job_problems(asynchronous_endpoint, large_job_timeout, memory_size_mb))
        problems.between("max_concurrency", max_concurrency, 2, 1000)
        problems.at_least("reserved_concurrent_executions", reserved_concurrent_executions, max_concurrency)
        problems.between("max_texts_per_call", max_texts_per_call, 100, 10_000)
        # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
        hidden_seconds = 6 * timeout.to_seconds(integral=False) + window_seconds
        problems.extend(retry_problems(max_receive_count, hidden_seconds))
        problems.whole_seconds("first_retry_pause", pause.to_seconds(integral=False), 1, LONGEST_PAUSE_SECONDS)
        longest_days = DEAD_LETTER_RETENTION.to_days() + QUEUE_RETENTION.to_days()
        problems.unless(
            self.job_retention.to_days(integral=False) > longest_days,
            f"job_retention is {self.job_retention.to_human_string()}: must be more than the {longest_days} days that "
            "a dead letter and one that was driven back are kept, or it names a job that is forgotten",
        )
        kept = artifacts.job_expiration
        problems.unless(
            kept is None or self.job_retention.to_seconds(integral=False) < kept.to_seconds(),
            f"job_retention is {self.job_retention.to_human_string()}: must be less than the time that "
            f"artifacts keep requests, {kept.to_human_string() if kept else ''}: raise their job_expiration",
        )
        problems.at_least("timeout", timeout.to_seconds(integral=False), _SHORTEST_TIMEOUT_SECONDS, "seconds")
        function_problems(
            problems,
            memory_size_mb=memory_size_mb,
            timeout=timeout,
            longest_timeout_seconds=_LONGEST_TIMEOUT_SECONDS,
            reserved_concurrent_executions=reserved_concurrent_executions,
            lambda_platform=platform,
        )
        problems.raise_for(self)

        self.artifacts = artifacts
        self.preprocessor = preprocessor
        self.job_table: dynamodb.Table = job_table(self, encryption_key=encryption_key, removal_policy=removal_policy)
        self.queue: sqs.Queue
        self.dead_letter_queue: sqs.Queue
        self.queue, self.dead_letter_queue = job_queues(
            self,
            encryption_key=encryption_key,
            visibility_timeout=Duration.seconds(hidden_seconds),
            max_receive_count=max_receive_count,
        )
        self.failed_files_queue: sqs.Queue = failed_files_queue(self, encryption_key=encryption_key)
        self.topic: sns.Topic = job_topic(self, encryption_key=encryption_key)
        self.event_bus: events.IEventBus = event_bus or events.EventBus.from_event_bus_name(
            self, "DefaultBus", "default"
        )
        settings = FunctionSettings(
            memory_size_mb=memory_size_mb,
            log_retention=log_retention,
            removal_policy=removal_policy,
            vpc=vpc,
            encryption_key=encryption_key,
            lambda_platform=platform,
        )
        large_jobs = LargeJobs.of(asynchronous_endpoint)
        large_job_environment = large_jobs.environment if large_jobs else {}
        self.consumer: lambda_.Function = settings.function(
            self,
            "ConsumeJobs",
            handler="consume_jobs",
            environment={
                **self.environment,
                **endpoint_environment(endpoint, preprocessor, timeout.to_seconds() * _SHARE_OF_A_CALL),
                **large_job_environment,
                **({"LARGE_JOB_TIMEOUT_SECONDS": str(whole_seconds(large_job_timeout))} if large_jobs else {}),
                **(database.environment if database else {}),
                "QUEUE_URL": self.queue.queue_url,
                "MAX_RECEIVE_COUNT": str(max_receive_count),
                "FIRST_PAUSE_SECONDS": str(pause.to_seconds()),
                "JOB_RETENTION_SECONDS": str(self.job_retention.to_seconds()),
                "MAX_PAYLOAD_BYTES": str(max_payload_bytes(endpoint)),
                "MAX_TEXTS_PER_CALL": str(max_texts_per_call),
            },
            timeout=timeout,
            reserved_concurrent_executions=reserved_concurrent_executions,
        )
        self._grant_consumer(endpoint)
        if database is not None:
            database.grant_write(self.consumer)
            self.consumer.node.add_dependency(database.schema)
        if large_jobs:
            large_jobs.connect(self.queue, self.consumer)
        read_queue(
            self.queue,
            self.consumer,
            batch_size=batch_size,
            batching_window=window,
            max_concurrency=max_concurrency,
        )
        self.functions: Mapping[str, lambda_.Function] = {
            "consume": self.consumer,
            "queue": queue_function(self, settings),
            "announce": announce_function(self, settings),
            "bury": bury_function(self, settings),
            "submit": submit_function(self, settings, large_job_environment),
        }

    @property
    def environment(self) -> dict[str, str]:
        """What a function has to know to look at jobs, when :meth:`grant_look` or such lets it."""
        return {"JOB_TABLE_NAME": self.job_table.table_name, "BUCKET_NAME": self.artifacts.bucket.bucket_name}

    @property
    def accepting_environment(self) -> dict[str, str]:
        """What a function has to know to accept jobs, when :meth:`grant_accept` lets it."""
        return {
            **self.environment,
            "JOB_RETENTION_SECONDS": str(self.job_retention.to_seconds()),
            "ANNOTATED_LANGUAGES": " ".join(self.preprocessor.functions if self.preprocessor else ()),
        }

    def grant_accept(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow to accept jobs: to write new items into the table, or find them there, and large requests into S3."""
        grant = grant_table(self.job_table, grantee, "PutItem", "BatchGetItem")
        return grant.combine(self.artifacts.jobs.under("requests/").grant_put(grantee))

    def grant_look(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow to look at jobs and their results."""
        grant = grant_table(self.job_table, grantee, "BatchGetItem")
        return grant.combine(self.artifacts.results.under("jobs/").grant_get(grantee))

    def grant_texts(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow to read what jobs were asked to classify."""
        grant = grant_table(self.job_table, grantee, "BatchGetItem")
        return grant.combine(self.artifacts.jobs.under("requests/").grant_get(grantee))

    def grant_redrive(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow to drive dead letters back into the queue, to watch that and to end it."""
        grant = self.dead_letter_queue.grant(
            grantee,
            "sqs:StartMessageMoveTask",
            "sqs:ListMessageMoveTasks",
            "sqs:CancelMessageMoveTask",
            "sqs:ReceiveMessage",
            "sqs:DeleteMessage",
            "sqs:GetQueueAttributes",
        ).combine(self.queue.grant(grantee, "sqs:SendMessage"))
        key = self.queue.encryption_master_key
        return grant.combine(key.grant_encrypt_decrypt(grantee)) if key else grant

    def grant_resubmit(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow to take the events of failed files out of their queue, and to submit the files again."""
        function = self.functions["submit"].function_arn
        invoke = iam.Grant.add_to_principal(
            grantee=grantee, actions=["lambda:InvokeFunction"], resource_arns=[function]
        )
        grant = invoke.combine(self.failed_files_queue.grant(grantee, "sqs:ReceiveMessage", "sqs:DeleteMessage"))
        key = self.failed_files_queue.encryption_master_key
        return grant.combine(key.grant_decrypt(grantee)) if key else grant

    def _grant_consumer(self, endpoint: sagemaker.IEndpoint) -> None:
        endpoint.grant_invoke(self.consumer)
        if self.preprocessor is not None:
            self.preprocessor.grant_invoke(self.consumer)
        grant_table(self.job_table, self.consumer, "BatchGetItem", "UpdateItem")
        self.artifacts.jobs.under("requests/").grant_get(self.consumer)
        results = self.artifacts.results.under("jobs/")
        results.grant_get(self.consumer)
        results.grant_put(self.consumer)
