"""ClassificationQueue: nothing is lost on the way, and each function may do just its part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sagemaker as sagemaker
from aws_cdk import aws_sns as sns

from sm_constructs import (
    ArtifactStore,
    ClassificationApi,
    ClassificationQueue,
    Endpoint,
    Framework,
    InvalidPropsError,
    Model,
    ModelData,
    Monitoring,
    RealTime,
    ResultDatabase,
    Serverless,
    TextPreprocessor,
)
from sm_constructs.endpoint import Asynchronous
from sm_constructs.monitoring import QueueThresholds
from tests.synth.templates import all_of, only, resources_of, statements, text_of
from tests.synth.test_monitoring import assert_documented

pytestmark = pytest.mark.usefixtures("bundles")

QUEUE, TABLE, FUNCTION = "AWS::SQS::Queue", "AWS::DynamoDB::Table", "AWS::Lambda::Function"
MAPPING, RULE = "AWS::Lambda::EventSourceMapping", "AWS::Events::Rule"


def make(stack: cdk.Stack, construct_id: str = "Queue", **arguments: Any) -> ClassificationQueue:
    arguments.setdefault("endpoint", Endpoint.from_endpoint_name(stack, f"{construct_id}Endpoint", "reviews"))
    arguments.setdefault("artifacts", ArtifactStore(stack, f"{construct_id}Artifacts"))
    return ClassificationQueue(stack, construct_id, **arguments)


def queues(stack: cdk.Stack) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return the properties of the queue and of those for its dead letters and for failed files."""
    found = {name: each["Properties"] for name, each in resources_of(stack).items() if each["Type"] == QUEUE}
    (queue,) = [each for each in found.values() if "RedrivePolicy" in each]
    (dead_letters,) = [each for name, each in found.items() if "DeadLetters" in name]
    (failed_files,) = [each for name, each in found.items() if "FailedFiles" in name]
    return queue, dead_letters, failed_files


def consumer_mapping(stack: cdk.Stack) -> dict[str, Any]:
    (found,) = [each["Properties"] for each in all_of(stack, MAPPING) if "FunctionResponseTypes" in each["Properties"]]
    return dict(found)


def environment(stack: cdk.Stack, handler: str) -> dict[str, Any]:
    (found,) = [
        each["Properties"]
        for each in all_of(stack, FUNCTION)
        if each["Properties"]["Handler"] == f"text_classification.handlers.{handler}.handler"
    ]
    variables: dict[str, Any] = found["Environment"]["Variables"]
    return variables


def allowed(stack: cdk.Stack, function: str) -> set[str]:
    """Return the actions that a function's role is allowed, by a part of the role's id."""
    found = set()
    for name, resource in resources_of(stack).items():
        if resource["Type"] == "AWS::IAM::Policy" and f"{function}Role" in name:
            for statement in resource["Properties"]["PolicyDocument"]["Statement"]:
                actions = statement["Action"]
                found |= {actions} if isinstance(actions, str) else set(actions)
    return found - {"logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTraceSegments", "xray:PutTelemetryRecords"}


def test_messages_stay_hidden_six_times_as_long_as_a_consumer_works_and_its_window(stack: cdk.Stack) -> None:
    make(stack, timeout=cdk.Duration.seconds(90), batching_window=cdk.Duration.seconds(20))

    queue, *_ = queues(stack)

    assert queue["VisibilityTimeout"] == 6 * 90 + 20


def test_queues_are_encrypted_and_take_tls_only_and_dead_letters_are_kept_longest(stack: cdk.Stack) -> None:
    make(stack)

    queue, dead_letters, failed_files = queues(stack)

    assert all(each["SqsManagedSseEnabled"] for each in queues(stack))
    assert queue["RedrivePolicy"]["maxReceiveCount"] == 8
    assert queue["MessageRetentionPeriod"] == 4 * 86_400
    assert dead_letters["MessageRetentionPeriod"] == failed_files["MessageRetentionPeriod"] == 14 * 86_400
    policies = all_of(stack, "AWS::SQS::QueuePolicy")
    assert len(policies) == 3
    for policy in policies:
        denied = [each for each in policy["Properties"]["PolicyDocument"]["Statement"] if each["Effect"] == "Deny"]
        assert denied[0]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_the_consumer_gets_batches_and_reports_what_stays(stack: cdk.Stack) -> None:
    make(stack)

    mapping = consumer_mapping(stack)

    assert (mapping["BatchSize"], mapping["ScalingConfig"]) == (10, {"MaximumConcurrency": 10})
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert "MaximumBatchingWindowInSeconds" not in mapping
    assert "DestinationConfig" not in mapping, "SQS mappings have none"


def test_the_options_reach_the_event_source_and_the_consumer(stack: cdk.Stack) -> None:
    make(
        stack,
        batch_size=500,
        batching_window=cdk.Duration.seconds(5),
        max_concurrency=3,
        reserved_concurrent_executions=4,
        max_texts_per_call=300,
        max_receive_count=6,
        first_retry_pause=cdk.Duration.seconds(30),
        timeout=cdk.Duration.seconds(100),
    )

    mapping, variables = consumer_mapping(stack), environment(stack, "consume_jobs")

    assert (mapping["BatchSize"], mapping["MaximumBatchingWindowInSeconds"]) == (500, 5)
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": 3}
    assert (variables["MAX_RECEIVE_COUNT"], variables["FIRST_PAUSE_SECONDS"]) == ("6", "30")
    assert variables["MAX_TEXTS_PER_CALL"] == "300"
    assert variables["ENDPOINT_TIMEOUT_SECONDS"] == "60.0"
    assert queues(stack)[0]["RedrivePolicy"]["maxReceiveCount"] == 6


def test_the_table_is_paid_by_the_request_can_be_restored_and_forgets_jobs(stack: cdk.Stack) -> None:
    make(stack)

    table = only(stack, TABLE)

    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    assert table["StreamSpecification"] == {"StreamViewType": "NEW_IMAGE"}
    assert table["DeletionProtectionEnabled"]


def test_accepted_jobs_are_queued_and_ended_ones_announced_by_the_tables_stream(stack: cdk.Stack) -> None:
    make(stack)

    streams = [each["Properties"] for each in all_of(stack, MAPPING) if "FilterCriteria" in each["Properties"]]

    patterns = sorted(each["FilterCriteria"]["Filters"][0]["Pattern"] for each in streams)
    assert patterns == [
        '{"eventName":["INSERT"],"dynamodb":{"NewImage":{"job_status":{"S":["queued"]}}}}',
        '{"eventName":["MODIFY"],"dynamodb":{"NewImage":{"job_status":{"S":["succeeded","failed"]}}}}',
    ]
    for stream in streams:
        assert stream["BisectBatchOnFunctionError"]
        assert stream["StartingPosition"] == "TRIM_HORIZON"
        assert "MaximumRetryAttempts" not in stream, "a job would be lost after so many"


def test_dead_letters_are_looked_at_each_minute_and_files_when_they_come(stack: cdk.Stack) -> None:
    make(stack)

    rules = [rule["Properties"] for rule in all_of(stack, RULE)]

    assert [rule["ScheduleExpression"] for rule in rules if "ScheduleExpression" in rule] == ["rate(1 minute)"]
    (pattern,) = [rule["EventPattern"] for rule in rules if "EventPattern" in rule]
    assert pattern["detail"]["object"] == {"key": [{"prefix": "jobs/incoming/"}]}


def test_each_function_is_allowed_its_part_alone(stack: cdk.Stack) -> None:
    make(stack)

    assert allowed(stack, "ConsumeJobs") == {
        "dynamodb:BatchGetItem",
        "dynamodb:UpdateItem",
        "s3:GetObject",
        "s3:PutObject",
        "sagemaker:InvokeEndpoint",
        "sqs:ChangeMessageVisibility",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
        "sqs:ReceiveMessage",
        "sqs:SendMessage",
    }
    stream = {
        "dynamodb:DescribeStream",
        "dynamodb:GetRecords",
        "dynamodb:GetShardIterator",
        "dynamodb:ListStreams",
    }
    assert allowed(stack, "QueueQueueJobs") == {"sqs:SendMessage"} | stream
    assert allowed(stack, "AnnounceJobs") == {"sns:Publish", "events:PutEvents"} | stream
    assert allowed(stack, "BuryJobs") == {
        "dynamodb:BatchGetItem",
        "dynamodb:Query",
        "dynamodb:UpdateItem",
        "sqs:ChangeMessageVisibility",
        "sqs:GetQueueAttributes",
        "sqs:ReceiveMessage",
        "sqs:SendMessage",
    }
    assert allowed(stack, "SubmitFile") == {
        "dynamodb:DeleteItem",
        "dynamodb:PutItem",
        "dynamodb:UpdateItem",
        "s3:GetObject",
        "s3:PutObject",
        "sqs:SendMessage",
    }


def test_a_file_for_which_the_function_fails_is_told_of_in_a_queue_of_its_own(stack: cdk.Stack) -> None:
    queue = make(stack)

    destination = only(stack, "AWS::Lambda::EventInvokeConfig")

    failures = stack.resolve(queue.failed_files_queue.queue_arn)
    assert destination["DestinationConfig"] == {"OnFailure": {"Destination": failures}}
    assert "MaximumRetryAttempts" not in destination, "it is tried three times"
    assert destination["FunctionName"] == stack.resolve(queue.functions["submit"].function_name)


def test_the_functions_behind_the_api_are_allowed_their_part_alone(stack: cdk.Stack) -> None:
    queue = make(stack)
    api = ClassificationApi(
        stack, "Api", endpoint=Endpoint.from_endpoint_name(stack, "Endpoint", "reviews"), queue=queue
    )

    assert sorted(api.job_functions) == ["look", "submit"]
    accepting = {"JOB_RETENTION_SECONDS", "ANNOTATED_LANGUAGES"}
    assert accepting <= environment(stack, "submit_job").keys() & environment(stack, "submit_file").keys()
    assert not accepting & environment(stack, "read_job").keys()
    assert "ANNOTATED_LANGUAGES" not in environment(stack, "consume_jobs")
    assert allowed(stack, "ApiSubmitJob") == {"dynamodb:PutItem", "dynamodb:BatchGetItem", "s3:PutObject"}
    assert allowed(stack, "ApiReadJob") == {"dynamodb:BatchGetItem", "s3:GetObject"}


def test_the_api_checks_the_body_of_a_job_and_may_be_called_by_whom_it_is_granted_to(stack: cdk.Stack) -> None:
    endpoint = Endpoint.from_endpoint_name(stack, "Endpoint", "reviews")
    api = ClassificationApi(stack, "Api", endpoint=endpoint, queue=make(stack))
    api.grant_invoke(iam.Role(stack, "Shop", assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com")))

    methods = [each["Properties"] for each in all_of(stack, "AWS::ApiGateway::Method")]

    assert sorted(method["HttpMethod"] for method in methods) == ["GET", "POST", "POST"]
    for method in methods:
        assert method["AuthorizationType"] == "AWS_IAM"
        assert ("RequestModels" in method) == (method["HttpMethod"] == "POST")
        assert "RequestValidatorId" in method
    resources = [each["Properties"]["PathPart"] for each in all_of(stack, "AWS::ApiGateway::Resource")]
    assert sorted(resources) == ["classifications", "jobs", "v1", "{job_id}"]
    invocations = [each for each in statements(stack) if each["Action"] == "execute-api:Invoke"]
    assert len(invocations) == 3 or len(invocations[0]["Resource"]) == 3


def test_without_a_queue_the_api_has_no_jobs(stack: cdk.Stack) -> None:
    api = ClassificationApi(stack, "Api", endpoint=Endpoint.from_endpoint_name(stack, "Endpoint", "reviews"))

    assert api.job_functions == {}
    assert len(all_of(stack, FUNCTION)) == 1


def test_a_key_encrypts_table_queues_topic_and_environments_and_may_be_used_by_the_functions(stack: cdk.Stack) -> None:
    key = kms.Key(stack, "Key")
    make(stack, encryption_key=key)

    reference = {"Fn::GetAtt": ["Key961B73FD", "Arn"]}
    assert only(stack, TABLE)["SSESpecification"] == {
        "KMSMasterKeyId": reference,
        "SSEEnabled": True,
        "SSEType": "KMS",
    }
    assert all(queue["KmsMasterKeyId"] == reference for queue in queues(stack))
    assert only(stack, "AWS::SNS::Topic")["KmsMasterKeyId"] == reference
    assert all(each["Properties"]["KmsKeyArn"] == reference for each in all_of(stack, FUNCTION))
    for function in ("ConsumeJobs", "QueueQueueJobs", "AnnounceJobs", "BuryJobs", "SubmitFile"):
        # Decrypt alone comes with reading the stream, too.
        assert {"kms:Decrypt", "kms:GenerateDataKey*"} <= allowed(stack, function), function


def test_a_preprocessor_is_told_of_and_may_be_invoked(stack: cdk.Stack) -> None:
    make(stack, preprocessor=TextPreprocessor(stack, "Preprocessor", languages=["zh"]))

    assert "PREPROCESSOR_FUNCTION_ZH" in environment(stack, "consume_jobs")
    assert environment(stack, "submit_file")["ANNOTATED_LANGUAGES"] == "zh"
    assert "lambda:InvokeFunction" in allowed(stack, "ConsumeJobs")


def test_an_event_bus_of_ones_own_is_told(stack: cdk.Stack) -> None:
    bus = events.EventBus(stack, "Bus")
    make(stack, event_bus=bus)

    assert environment(stack, "announce_jobs")["EVENT_BUS_NAME"] == stack.resolve(bus.event_bus_name)


def test_functions_run_in_a_vpc(stack: cdk.Stack) -> None:
    make(stack, vpc=ec2.Vpc(stack, "Vpc", max_azs=2, restrict_default_security_group=False))

    assert all("VpcConfig" in each["Properties"] for each in all_of(stack, FUNCTION))


@pytest.fixture
def model(stack: cdk.Stack, model_directory: Any) -> Model:
    return Model(stack, "Model", data=ModelData.from_directory(model_directory), framework=Framework.scikit_learn())


@pytest.mark.parametrize(
    ("variant", "megabytes"),
    [(RealTime(instance_type="ml.m5.large", instance_count=2), 6), (Serverless(), 4)],
    ids=["real-time", "serverless"],
)
def test_a_call_sends_no_more_than_the_endpoint_takes(
    stack: cdk.Stack, model: Model, variant: RealTime | Serverless, megabytes: int
) -> None:
    make(stack, endpoint=Endpoint(stack, "Endpoint", model=model, variant=variant))

    assert environment(stack, "consume_jobs")["MAX_PAYLOAD_BYTES"] == str(megabytes * 1024 * 1024)


def test_an_endpoint_made_elsewhere_is_sent_what_any_takes(stack: cdk.Stack) -> None:
    make(stack)

    assert environment(stack, "consume_jobs")["MAX_PAYLOAD_BYTES"] == str(4 * 1024 * 1024)


def test_an_asynchronous_endpoint_gets_large_jobs_and_tells_the_queue(stack: cdk.Stack, model: Model) -> None:
    store = ArtifactStore(stack, "Store")
    variant = Asynchronous(
        instance_type="ml.m5.large",
        instance_count=1,
        inputs=store.jobs.under("large/"),
        output=store.results.under("large/"),
        success_topic=sns.Topic(stack, "Done"),
        error_topic=sns.Topic(stack, "Failed"),
    )
    make(stack, artifacts=store, asynchronous_endpoint=Endpoint(stack, "Large", model=model, variant=variant))

    assert "sagemaker:InvokeEndpointAsync" in allowed(stack, "ConsumeJobs")
    assert "ASYNCHRONOUS_ENDPOINT_NAME" in environment(stack, "consume_jobs")
    assert "ASYNCHRONOUS_ENDPOINT_NAME" in environment(stack, "submit_file")
    subscriptions = [each["Properties"] for each in all_of(stack, "AWS::SNS::Subscription")]
    assert [each["Protocol"] for each in subscriptions] == ["sqs", "sqs"]
    assert all(each["RawMessageDelivery"] for each in subscriptions)


def asynchronous(stack: cdk.Stack, model: Model, **arguments: Any) -> Endpoint:
    store = ArtifactStore(stack, "Large")
    variant = Asynchronous(
        instance_type="ml.m5.large",
        instance_count=1,
        inputs=store.jobs.under("large/"),
        output=store.results.under("large/"),
        failures=store.results.under("failures/"),
        success_topic=sns.Topic(stack, "Done"),
        error_topic=sns.Topic(stack, "Failed"),
    )
    return Endpoint(stack, "LargeEndpoint", model=model, variant=variant, **arguments)


def test_jobs_that_have_not_ended_are_found_by_an_index(stack: cdk.Stack) -> None:
    queue = make(stack)

    (index,) = only(stack, TABLE)["GlobalSecondaryIndexes"]
    assert index["KeySchema"] == [
        {"AttributeName": "watched", "KeyType": "HASH"},
        {"AttributeName": "overdue_at", "KeyType": "RANGE"},
    ]
    (query,) = [each for each in statements(stack) if each["Action"] == "dynamodb:Query"]
    table = stack.resolve(queue.job_table.table_arn)
    assert query["Resource"] == {"Fn::Join": ["", [table, "/index/watched"]]}
    assert [each["Resource"] for each in statements(stack) if "dynamodb:BatchGetItem" in each["Action"]] == [table] * 2


def test_the_endpoint_may_have_a_large_job_for_as_long_as_it_is_told(stack: cdk.Stack, model: Model) -> None:
    make(stack, asynchronous_endpoint=asynchronous(stack, model), large_job_timeout=cdk.Duration.minutes(30))

    assert environment(stack, "consume_jobs")["LARGE_JOB_TIMEOUT_SECONDS"] == "1800"


def test_large_jobs_have_an_hour_more_than_sagemaker_takes_at_most_by_default(stack: cdk.Stack, model: Model) -> None:
    make(stack, asynchronous_endpoint=asynchronous(stack, model))

    assert environment(stack, "consume_jobs")["LARGE_JOB_TIMEOUT_SECONDS"] == str(8 * 3600)


def test_a_timeout_that_sagemaker_would_not_keep_is_refused(stack: cdk.Stack, model: Model) -> None:
    with pytest.raises(InvalidPropsError, match="large_job_timeout is 600 seconds: must be from 900 to 86400"):
        make(
            stack,
            asynchronous_endpoint=asynchronous(stack, model),
            large_job_timeout=cdk.Duration.minutes(10),
        )


def test_memory_that_the_answers_of_large_jobs_do_not_fit_into_is_refused(stack: cdk.Stack, model: Model) -> None:
    with pytest.raises(InvalidPropsError, match="memory_size_mb with an asynchronous_endpoint is 256 MB"):
        make(stack, asynchronous_endpoint=asynchronous(stack, model), memory_size_mb=256)


def test_an_endpoint_whose_jobs_would_never_end_is_refused(stack: cdk.Stack, model: Model) -> None:
    silent = Asynchronous(instance_type="ml.m5.large", instance_count=1, output=ArtifactStore(stack, "S").results)
    with pytest.raises(InvalidPropsError) as caught:
        make(stack, asynchronous_endpoint=Endpoint(stack, "Large", model=model, variant=silent))
    for name in ("inputs", "success_topic", "error_topic"):
        assert f"without {name}" in str(caught.value)


@pytest.mark.parametrize(
    "make_with",
    [
        lambda stack, endpoint: make(stack, endpoint=endpoint),
        lambda stack, endpoint: ClassificationApi(stack, "Api", endpoint=endpoint),
        lambda stack, endpoint: ResultDatabase(stack, "Database", endpoint=endpoint),
    ],
    ids=["queue", "api", "database"],
)
def test_an_endpoint_that_cannot_label_texts_at_once_is_refused(
    stack: cdk.Stack, model: Model, make_with: Callable[[cdk.Stack, sagemaker.IEndpoint], object]
) -> None:
    later = asynchronous(stack, model)
    components = Endpoint(stack, "Host", variant=RealTime(instance_type="ml.m5.xlarge", instance_count=1))
    other_stack = cdk.Stack(cdk.App(), "Other")

    with pytest.raises(InvalidPropsError, match="endpoint has an Asynchronous variant"):
        make_with(stack, later)
    with pytest.raises(InvalidPropsError, match="endpoint has inference components"):
        make_with(other_stack, components)


def test_a_bucket_made_elsewhere_keeps_requests_as_long_as_its_owner_says(stack: cdk.Stack) -> None:
    store = ArtifactStore(stack, "Store", bucket=s3.Bucket.from_bucket_name(stack, "Bucket", "reviews"))

    make(stack, artifacts=store, job_retention=cdk.Duration.days(400))


def test_an_endpoint_of_another_kind_is_refused_for_large_jobs(stack: cdk.Stack, model: Model) -> None:
    with pytest.raises(InvalidPropsError, match="has a Serverless variant: must be Asynchronous"):
        make(stack, asynchronous_endpoint=Endpoint(stack, "Large", model=model, variant=Serverless()))


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"batch_size": 0}, "batch_size is 0: must be from 1 to 10000"),
        ({"batch_size": 11}, "batch_size is 11 without a batching_window"),
        ({"batching_window": cdk.Duration.seconds(301)}, "batching_window is 301 seconds: must be whole seconds"),
        ({"max_concurrency": 1}, "max_concurrency is 1: must be from 2 to 1000"),
        ({"reserved_concurrent_executions": 9}, "reserved_concurrent_executions is 9: must be at least 10"),
        ({"max_receive_count": 1}, "max_receive_count is 1: must be from 2 to 384"),
        ({"max_receive_count": 385}, "as often as a message may be tried in the 4 days that the queue keeps it"),
        (
            {"max_receive_count": 65, "timeout": cdk.Duration.minutes(15)},
            "max_receive_count is 65: must be from 2 to 64",
        ),
        ({"first_retry_pause": cdk.Duration.millis(500)}, "first_retry_pause is 0.5 seconds"),
        ({"first_retry_pause": cdk.Duration.millis(1500)}, "first_retry_pause is 1.5 seconds: must be whole seconds"),
        ({"first_retry_pause": cdk.Duration.seconds(901)}, "must be whole seconds from 1 to 900"),
        ({"job_retention": cdk.Duration.days(18)}, "job_retention is 18 days: must be more than the 18 days"),
        ({"job_retention": cdk.Duration.days(35)}, "must be less than the time that artifacts keep requests, 35 days"),
        ({"max_texts_per_call": 99}, "max_texts_per_call is 99: must be from 100 to 10000"),
        ({"timeout": cdk.Duration.seconds(29)}, "timeout is 29 seconds: must be at least 30"),
        ({"timeout": cdk.Duration.seconds(901)}, "timeout is 901 seconds: must be whole seconds from 1 to 900"),
        ({"memory_size_mb": 64}, "memory_size_mb is 64 MB"),
        ({"large_job_timeout": cdk.Duration.hours(1)}, "large_job_timeout without an asynchronous_endpoint"),
    ],
)
def test_what_aws_would_refuse_or_would_lose_jobs_is_refused(
    stack: cdk.Stack, arguments: dict[str, Any], problem: str
) -> None:
    with pytest.raises(InvalidPropsError) as caught:
        make(stack, **arguments)
    assert problem in str(caught.value)


def test_all_problems_are_told_at_once(stack: cdk.Stack) -> None:
    with pytest.raises(InvalidPropsError) as caught:
        make(stack, batch_size=0, max_concurrency=1, max_receive_count=1)
    assert all(name in str(caught.value) for name in ("batch_size", "max_concurrency", "max_receive_count"))


def test_whoever_may_redrive_may_move_from_the_dead_letters_to_the_queue(stack: cdk.Stack) -> None:
    queue = make(stack)
    queue.grant_redrive(iam.Role(stack, "OnCall", assumed_by=iam.AccountRootPrincipal()))

    move, send = statements_of_on_call(stack)
    assert "sqs:StartMessageMoveTask" in move["Action"]
    assert move["Resource"] == stack.resolve(queue.dead_letter_queue.queue_arn)
    assert (send["Action"], send["Resource"]) == ("sqs:SendMessage", stack.resolve(queue.queue.queue_arn))


def test_whoever_may_resubmit_may_take_failed_files_and_call_the_function(stack: cdk.Stack) -> None:
    queue = make(stack)
    queue.grant_resubmit(iam.Role(stack, "OnCall", assumed_by=iam.AccountRootPrincipal()))

    invoke, take = statements_of_on_call(stack)
    function = stack.resolve(queue.functions["submit"].function_arn)
    assert (invoke["Action"], invoke["Resource"]) == ("lambda:InvokeFunction", function)
    assert take["Action"] == ["sqs:DeleteMessage", "sqs:ReceiveMessage"]
    assert take["Resource"] == stack.resolve(queue.failed_files_queue.queue_arn)


def statements_of_on_call(stack: cdk.Stack) -> list[dict[str, Any]]:
    return next(
        resource["Properties"]["PolicyDocument"]["Statement"]
        for name, resource in resources_of(stack).items()
        if resource["Type"] == "AWS::IAM::Policy" and name.startswith("OnCall")
    )


def test_the_function_that_makes_jobs_of_files_has_a_whole_core_whatever_the_others_have(stack: cdk.Stack) -> None:
    make(stack, memory_size_mb=256)
    make(stack, "More", memory_size_mb=4096)

    assert memory_of(stack, "QueueSubmitFile") == 1769
    assert memory_of(stack, "QueueConsumeJobs") == 256
    assert memory_of(stack, "MoreSubmitFile") == 4096


def memory_of(stack: cdk.Stack, name: str) -> Any:
    return next(
        resource["Properties"]["MemorySize"]
        for found, resource in resources_of(stack).items()
        if resource["Type"] == "AWS::Lambda::Function" and found.startswith(name)
    )


def test_two_queues_stand_side_by_side(stack: cdk.Stack) -> None:
    make(stack, "One")
    make(stack, "Two")

    assert len(all_of(stack, QUEUE)) == 6
    assert "undefined" not in text_of(stack)


def test_monitoring_watches_a_queue(stack: cdk.Stack) -> None:
    segment = Monitoring(stack, "Monitoring").monitor_queue(make(stack))

    assert sorted(segment.alarms) == [
        "AnnouncingErrors",
        "BuryingErrors",
        "ConsumerErrors",
        "DeadLetters",
        "FailedFiles",
        "OldestMessage",
        "QueueingErrors",
    ]
    alarms = [each["Properties"] for each in all_of(stack, "AWS::CloudWatch::Alarm")]
    assert len(alarms) == len(segment.alarms)
    for alarm in alarms:
        dimensions = [dimension["Name"] for dimension in alarm["Dimensions"]]
        assert_documented(alarm["Namespace"], alarm["MetricName"], dimensions, alarm["Statistic"])


def test_the_alarms_of_a_queue_go_off_when_asked(stack: cdk.Stack) -> None:
    thresholds = QueueThresholds(age_of_oldest=cdk.Duration.hours(2), dead_letters=5, failed_files=2, errors=3)
    Monitoring(stack, "Monitoring").monitor_queue(make(stack), thresholds=thresholds)

    alarms = [each["Properties"] for each in all_of(stack, "AWS::CloudWatch::Alarm")]

    found = sorted((alarm["MetricName"], alarm["Threshold"], alarm["EvaluationPeriods"]) for alarm in alarms)
    assert found == [
        ("ApproximateAgeOfOldestMessage", 7200, 5),
        ("ApproximateNumberOfMessagesVisible", 2, 1),
        ("ApproximateNumberOfMessagesVisible", 5, 1),
        *[("Errors", 3, 5)] * 4,
    ]


def test_thresholds_that_make_no_sense_are_refused_at_once(stack: cdk.Stack) -> None:
    thresholds = QueueThresholds(age_of_oldest=cdk.Duration.seconds(0), dead_letters=0, failed_files=0, errors=0)
    with pytest.raises(InvalidPropsError) as caught:
        Monitoring(stack, "Monitoring").monitor_queue(make(stack), thresholds=thresholds)
    assert all(name in str(caught.value) for name in ("age_of_oldest", "dead_letters", "failed_files", "errors"))
