"""The stack of :mod:`tests.trainings.app` in a local AWS, and what tests do with it."""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3

from sm_client import Client
from sm_client.client import stack_outputs
from sm_constructs import _archive
from tests.local_aws import LocalAws
from tests.trainings.states import states_of

_ENDED = ("SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED")


@dataclass
class Calls:
    """What an endpoint answered while something else went on."""

    versions: list[str] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)


@dataclass(frozen=True)
class Messages:
    """What the workflow's topic said since the queue was subscribed.

    Args:
        queue_url: The queue.
    """

    queue_url: str

    def next(self, event: str, *, seconds: float = 120, **of: str) -> dict[str, Any]:
        """Wait for the message of an event ``of`` something, such as a ``training_id``."""
        sqs, deadline = boto3.client("sqs"), time.monotonic() + seconds
        while time.monotonic() < deadline:
            for message in sqs.receive_message(QueueUrl=self.queue_url, WaitTimeSeconds=1).get("Messages", []):
                sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
                said: dict[str, Any] = json.loads(json.loads(message["Body"])["Message"])
                if said["event"] == event and of.items() <= said.items():
                    return said
        raise AssertionError(f"no message {event} of {of}")


@dataclass(frozen=True)
class TrainingStack:
    """The deployed stack.

    Args:
        outputs: By logical id.
        model: The directory of the stack's own model.
    """

    outputs: Mapping[str, str]
    model: Path

    @property
    def own_version(self) -> str:
        """The version of the stack's own model."""
        return str(json.loads((self.model / "metadata.json").read_text(encoding="utf-8"))["model_version"])

    @property
    def client(self) -> Client:
        return Client(self.outputs["ApiUrl"])

    def version(self) -> str:
        """Return the version of the model that the API answers with."""
        return str(self.client.classify(["质量很好，喜欢"]).model_version)

    def put(self, key: str, rows: list[dict[str, str]]) -> None:
        content = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
        boto3.client("s3").put_object(Bucket=self.outputs["ArtifactBucketName"], Key=key, Body=content.encode())

    def put_model(self, directory: Path) -> str:
        """Put a model where promotions look for models, and return its URL."""
        bucket, key = self.outputs["ArtifactBucketName"], f"models/{uuid4().hex}/model.tar.gz"
        with tempfile.TemporaryDirectory() as work:
            archive = Path(work, "model.tar.gz")
            _archive.write_tar_gz(_archive.collect(directory), archive)
            boto3.client("s3").upload_file(str(archive), bucket, key)
        return f"s3://{bucket}/{key}"

    def start_over(self) -> None:
        """Put the stack's own model into service, and forget that any was promoted."""
        if self.version() != self.own_version:
            promotion = self.run("Promotion", {"model_data": self.put_model(self.model)})
            assert promotion["status"] == "SUCCEEDED", promotion["cause"]
        boto3.client("ssm").put_parameter(
            Name=self.outputs["ParameterName"], Value=json.dumps({"current": None, "previous": None}), Overwrite=True
        )

    def start(self, machine: str, request: object) -> str:
        """Start ``Training`` or ``Promotion`` and return the execution's ARN."""
        arn = self.outputs[f"{machine}StateMachineArn"]
        answer = boto3.client("stepfunctions").start_execution(stateMachineArn=arn, input=json.dumps(request))
        return str(answer["executionArn"])

    def wait(self, execution: str, *, seconds: float = 180) -> dict[str, Any]:
        """Wait until an execution has ended and return what DescribeExecution says; its output is decoded."""
        client, deadline = boto3.client("stepfunctions"), time.monotonic() + seconds
        while True:
            found = dict(client.describe_execution(executionArn=execution))
            if found["status"] in _ENDED:
                return {**found, "output": json.loads(found["output"]) if found.get("output") else None}
            assert time.monotonic() < deadline, (found, states_of(execution))
            time.sleep(0.5)

    def run(self, machine: str, request: object, **options: float) -> dict[str, Any]:
        return self.wait(self.start(machine, request), **options)

    @contextmanager
    def messages(self) -> Iterator[Messages]:
        """Subscribe a queue to the workflow's topic."""
        sqs, sns, topic = boto3.client("sqs"), boto3.client("sns"), self.outputs["TrainingTopicArn"]
        url = sqs.create_queue(QueueName="trainings")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        allowed = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        subscription = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)["SubscriptionArn"]
        try:
            yield Messages(url)
        finally:
            sns.unsubscribe(SubscriptionArn=subscription)
            sqs.delete_queue(QueueUrl=url)

    @contextmanager
    def calling(self) -> Iterator[Calls]:
        """Call the API all the time."""
        calls, over = Calls(), threading.Event()

        def call() -> None:
            while not over.is_set():
                try:
                    calls.versions.append(self.version())
                except Exception as error:  # whatever it is, the test has to say so
                    calls.failures.append(error)

        thread = threading.Thread(target=call)
        thread.start()
        try:
            yield calls
        finally:
            over.set()
            thread.join()


def deploy_trainings(aws: LocalAws, model: Path, **context: object) -> TrainingStack:
    """Deploy the stack with a model of its own."""
    answer = aws.cdk(
        "deploy",
        "--all",
        "--require-approval=never",
        f"--build={sys.executable} -m sm_constructs bundle --platform local",
        f"--app={sys.executable} -m tests.trainings.app",
        f"--output={aws.state.root / 'cdk.out.trainings'}",
        f"--context=model={model}",
        *(f"--context={name}={value}" for name, value in context.items()),
    )
    assert answer.returncode == 0, answer.stdout
    return TrainingStack(outputs=stack_outputs("Trainings"), model=model)
