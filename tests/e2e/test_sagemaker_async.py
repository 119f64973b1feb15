"""Asynchronous endpoints of the local SageMaker, whose time passes sixty times as fast as usual."""

import base64
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.local_aws import running_local_aws
from tests.sagemaker_account import BROKEN, ECHO, LOG, PULL, READ, Account, eventually, metric

pytestmark = pytest.mark.e2e

SCALE = 60
WRITE, PUBLISH = {"Action": "s3:PutObject"}, {"Action": "sns:Publish"}


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    directory = tmp_path_factory.mktemp("fast-local-aws")
    with running_local_aws(directory, time_scale=SCALE, bootstrapped=False):
        yield Account(boto3.Session())


class Topic:
    """An SNS topic, and what it was told."""

    def __init__(self) -> None:
        name = f"topic-{uuid4().hex[:12]}"
        self._sqs = boto3.client("sqs")
        self._queue = self._sqs.create_queue(QueueName=name)["QueueUrl"]
        attributes = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])
        sns = boto3.client("sns")
        self.arn = sns.create_topic(Name=name)["TopicArn"]
        allowed = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
        policy = {"Version": "2012-10-17", "Statement": [{**allowed, "Resource": "*"}]}
        self._sqs.set_queue_attributes(QueueUrl=self._queue, Attributes={"Policy": json.dumps(policy)})
        sns.subscribe(TopicArn=self.arn, Protocol="sqs", Endpoint=attributes["Attributes"]["QueueArn"])

    def message(self) -> dict[str, Any]:
        """Return the next message."""

        def received() -> Any:
            return self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=1).get("Messages")

        (message,) = eventually(received)
        self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
        told: dict[str, Any] = json.loads(json.loads(message["Body"])["Message"])
        return told


@dataclass
class AsyncEndpoint:
    account: Account
    inference: str = ECHO
    statements: tuple[dict[str, Any], ...] = (READ, PULL, LOG, WRITE, PUBLISH)
    output: dict[str, Any] = field(default_factory=dict)
    client: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.success, self.error = Topic(), Topic()
        self.prefix = f"s3://{self.account.bucket}/{uuid4().hex[:12]}"
        notification = {"SuccessTopic": self.success.arn, "ErrorTopic": self.error.arn}
        notification |= self.output.pop("NotificationConfig", {})
        output = {
            "S3OutputPath": f"{self.prefix}/answers",
            "S3FailurePath": f"{self.prefix}/errors/",
            "NotificationConfig": notification,
            **self.output,
        }
        model = self.account.model(self.inference, self.account.role(*self.statements))
        config: Any = {"OutputConfig": output, **({"ClientConfig": self.client} if self.client else {})}
        self.name = self.account.in_service(self.account.endpoint(model, AsyncInferenceConfig=config))

    def put(self, **data: Any) -> str:
        """Write a request to S3 and return its location."""
        key = f"requests/{uuid4().hex}.json"
        self.account.s3.put_object(Bucket=self.account.bucket, Key=key, Body=json.dumps(data).encode())
        return f"s3://{self.account.bucket}/{key}"

    def invoke(self, **parameters: Any) -> Any:
        if "Body" not in parameters and "InputLocation" not in parameters:
            parameters["InputLocation"] = self.put(text="fine")
        return self.account.runtime.invoke_endpoint_async(
            EndpointName=self.name, ContentType="application/json", **parameters
        )

    def read(self, location: str) -> Any:
        """Return an object once it is there."""
        parts = urlsplit(location)

        def body() -> bytes | None:
            try:
                found = self.account.s3.get_object(Bucket=parts.netloc, Key=parts.path[1:])
            except self.account.s3.exceptions.NoSuchKey:
                return None
            return bytes(found["Body"].read())

        return eventually(body)

    def metric(self, name: str, statistic: str = "Sum") -> float:
        return metric(name, {"EndpointName": self.name, "VariantName": "AllTraffic"}, statistic)

    def backlog(self, name: str, statistic: str = "Maximum") -> float:
        return metric(name, {"EndpointName": self.name}, statistic)


@pytest.fixture(scope="module")
def endpoint(account: Account) -> AsyncEndpoint:
    return AsyncEndpoint(account)


def test_an_answer_is_written_to_s3_and_told(endpoint: AsyncEndpoint) -> None:
    answer = endpoint.invoke(InferenceId="mine", Accept="application/json")

    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert answer["InferenceId"] == "mine"
    assert answer["OutputLocation"].startswith(f"{endpoint.prefix}/answers/")
    assert answer["OutputLocation"].endswith(".out")
    assert answer["FailureLocation"].startswith(f"{endpoint.prefix}/errors/")
    assert json.loads(endpoint.read(answer["OutputLocation"])) == {"greeting": "hello", "data": {"text": "fine"}}
    told = endpoint.success.message()
    assert told.pop("eventTime") > told.pop("receivedTime")
    assert told.pop("requestParameters")["inputLocation"].endswith(".json")
    assert told == {
        "awsRegion": "us-east-1",
        "invocationStatus": "Completed",
        "responseParameters": {"contentType": "application/json", "outputLocation": answer["OutputLocation"]},
        "inferenceId": "mine",
        "eventVersion": "1.0",
        "eventSource": "aws:sagemaker",
        "eventName": "InferenceResult",
    }


def test_a_request_may_come_inline_and_name_its_output(endpoint: AsyncEndpoint) -> None:
    answer = endpoint.invoke(Body=b'{"text": "inline"}', S3OutputPathExtension="today", Filename="answer.json")
    assert answer["OutputLocation"] == f"{endpoint.prefix}/answers/today/answer.json"
    assert json.loads(endpoint.read(answer["OutputLocation"]))["data"] == {"text": "inline"}
    assert "inputLocation" not in endpoint.success.message()["requestParameters"]


def test_an_error_of_the_model_is_written_to_the_failure_path_and_told(account: Account) -> None:
    endpoint = AsyncEndpoint(account, BROKEN)

    answer = endpoint.invoke()

    assert b"this model always fails" in endpoint.read(answer["FailureLocation"])
    told = endpoint.error.message()
    assert told["invocationStatus"] == "Failed"
    assert told["failureReason"].startswith("ClientError: Received server error (500) from model.")
    assert "responseParameters" not in told
    eventually(lambda: endpoint.metric("InvocationsProcessed") == 1)
    assert endpoint.metric("InvocationFailures") == 1
    assert endpoint.metric("Invocation5XXErrors") == 1
    assert endpoint.metric("Invocations") == 0, "asynchronous endpoints do not publish it"


def test_a_request_that_is_not_there_is_a_failure(endpoint: AsyncEndpoint, account: Account) -> None:
    answer = endpoint.invoke(InputLocation=f"s3://{account.bucket}/nothing-here")
    assert b"Unable to access" in endpoint.read(answer["FailureLocation"])
    assert "nothing-here" in endpoint.error.message()["failureReason"]
    assert endpoint.metric("RequestDownloadFailures") == 1


def test_the_role_must_be_allowed_to_write_the_answer(account: Account) -> None:
    endpoint = AsyncEndpoint(account, statements=(READ, PULL, LOG, PUBLISH))
    endpoint.invoke()
    assert "Unable to upload" in endpoint.error.message()["failureReason"]
    assert endpoint.metric("ResponseUploadFailures") == 2, "answer and failure"


def test_the_role_must_be_allowed_to_publish(account: Account) -> None:
    endpoint = AsyncEndpoint(account, statements=(READ, PULL, LOG, WRITE))
    answer = endpoint.invoke()
    assert endpoint.read(answer["OutputLocation"])
    eventually(lambda: endpoint.metric("NotificationFailures") == 1)


def test_the_answer_is_a_part_of_the_notification_when_asked_for(account: Account) -> None:
    included = {"NotificationConfig": {"IncludeInferenceResponseIn": ["SUCCESS_NOTIFICATION_TOPIC"]}}
    endpoint = AsyncEndpoint(account, output=included)
    endpoint.invoke()
    body = endpoint.success.message()["responseBody"]
    assert body["encoding"] == "BASE64"
    assert json.loads(base64.b64decode(body["content"]))["greeting"] == "hello"


def test_a_model_that_takes_longer_than_asked_is_a_failure(endpoint: AsyncEndpoint) -> None:
    endpoint.invoke(InputLocation=endpoint.put(sleep=3), InvocationTimeoutSeconds=1)
    assert "timed out" in endpoint.error.message()["failureReason"]


def test_no_more_requests_than_asked_run_at_the_same_time(account: Account) -> None:
    endpoint = AsyncEndpoint(account, client={"MaxConcurrentInvocationsPerInstance": 1})
    began = time.monotonic()
    answers = [endpoint.invoke(InputLocation=endpoint.put(sleep=1)) for _ in range(3)]
    for answer in answers:
        endpoint.read(answer["OutputLocation"])
    assert time.monotonic() - began >= 3
    assert endpoint.metric("TimeInBacklog", "Maximum") > 1e6


def test_without_instances_requests_wait_until_there_are_some_or_expire(account: Account) -> None:
    endpoint = AsyncEndpoint(account)

    def scale(count: int) -> None:
        changes: Any = [{"VariantName": "AllTraffic", "DesiredInstanceCount": count}]
        account.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=endpoint.name, DesiredWeightsAndCapacities=changes
        )
        (variant,) = account.wait(endpoint.name)["ProductionVariants"]
        assert variant["CurrentInstanceCount"] == count

    scale(0)
    waiting = endpoint.invoke()
    endpoint.invoke(RequestTTLSeconds=60)

    assert "expired" in endpoint.error.message()["failureReason"]
    assert endpoint.metric("ExpiredRequests") == 1
    eventually(lambda: endpoint.backlog("HasBacklogWithoutCapacity") == 1)
    assert endpoint.backlog("ApproximateBacklogSize") >= 1
    assert endpoint.backlog("ApproximateAgeOfOldestRequest") > 0

    scale(1)
    assert endpoint.read(waiting["OutputLocation"])
    assert endpoint.success.message()["inferenceId"] == waiting["InferenceId"]
    eventually(lambda: endpoint.backlog("HasBacklogWithoutCapacity", "Minimum") == 0)


def test_the_backlog_is_published_for_the_endpoint_alone(endpoint: AsyncEndpoint) -> None:
    eventually(lambda: endpoint.backlog("ApproximateBacklogSize", "SampleCount") > 0)
    assert endpoint.metric("ApproximateBacklogSize", "SampleCount") == 0
    assert endpoint.backlog("ApproximateBacklogSizePerInstance", "SampleCount") > 0


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"RequestTTLSeconds": 59}, "RequestTTLSeconds is 59"),
        ({"InvocationTimeoutSeconds": 3601}, "InvocationTimeoutSeconds is 3601"),
        ({"Body": b"{}", "InputLocation": "s3://bucket/key"}, "exactly one of InputLocation and Body"),
        ({"Body": b"x" * 128_001}, "the limit is 128000"),
    ],
)
def test_a_wrong_request_is_refused(endpoint: AsyncEndpoint, parameters: dict[str, Any], words: str) -> None:
    if "RequestTTLSeconds" in parameters:
        runtime: Any = boto3.client("sagemaker-runtime", config=Config(parameter_validation=False))
    else:
        runtime = endpoint.account.runtime
    parameters = {"InputLocation": "s3://bucket/key", **parameters} if "Body" not in parameters else parameters
    with pytest.raises(ClientError, match=words):
        runtime.invoke_endpoint_async(EndpointName=endpoint.name, **parameters)


def test_each_kind_of_endpoint_has_its_own_call(endpoint: AsyncEndpoint, account: Account) -> None:
    with pytest.raises(ClientError, match="use InvokeEndpointAsync"):
        account.invoke(endpoint.name)
    real_time = account.in_service(account.endpoint(account.model()))
    with pytest.raises(ClientError, match="use InvokeEndpoint"):
        account.runtime.invoke_endpoint_async(EndpointName=real_time, InputLocation="s3://bucket/key")
    output: Any = {"OutputConfig": {"S3OutputPath": f"s3://{account.bucket}/any"}}
    config = account.config(account.model(), AsyncInferenceConfig=output)
    with pytest.raises(ClientError, match="Cannot update the real-time endpoint"):
        account.sagemaker.update_endpoint(EndpointName=real_time, EndpointConfigName=config)


def test_an_asynchronous_endpoint_is_updated_without_losing_requests(account: Account) -> None:
    endpoint = AsyncEndpoint(account, client={"MaxConcurrentInvocationsPerInstance": 1})
    described = account.sagemaker.describe_endpoint(EndpointName=endpoint.name)
    config = account.sagemaker.describe_endpoint_config(EndpointConfigName=described["EndpointConfigName"])
    role = account.role(READ, PULL, LOG, WRITE, PUBLISH)
    new = account.config(account.model(role=role, GREETING="new"), AsyncInferenceConfig=config["AsyncInferenceConfig"])

    answers = [endpoint.invoke(InputLocation=endpoint.put(sleep=0.3)) for _ in range(15)]
    account.sagemaker.update_endpoint(EndpointName=endpoint.name, EndpointConfigName=new)
    greetings = [json.loads(endpoint.read(answer["OutputLocation"]))["greeting"] for answer in answers]

    assert account.wait(endpoint.name)["EndpointStatus"] == "InService"
    assert len(greetings) == 15
    assert set(greetings) <= {"hello", "new"}
    last = endpoint.invoke()
    assert json.loads(endpoint.read(last["OutputLocation"]))["greeting"] == "new"
