"""A CDK app with a queue of jobs in front of a model that fails as a file tells it to.

Context: ``model``, the directory that :func:`write_model` made, and ``faults``, the file.
"""

from __future__ import annotations

import json
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs

from sm_constructs import (
    ArtifactStore,
    ClassificationApi,
    ClassificationQueue,
    Endpoint,
    Framework,
    LambdaPlatform,
    Model,
    ModelData,
    RealTime,
    ResultDatabase,
    TextPreprocessor,
)
from sm_constructs.endpoint import Asynchronous

MAX_RECEIVE_COUNT = 5

INFERENCE = """
import json, os, random, time
from sagemaker_inference.errors import GenericInferenceToolkitError

def model_fn(directory):
    return os.environ["FAULTS_FILE"]

def input_fn(body, content_type):
    return json.loads(body)["texts"]

def predict_fn(texts, faults_file):
    with open(faults_file) as file:
        faults = json.load(file)
    time.sleep(faults.get("seconds", 0))
    if random.random() < faults.get("failing", 0):
        raise GenericInferenceToolkitError(500, "out of order")
    if random.random() < faults.get("throttling", 0):
        raise GenericInferenceToolkitError(429, "too many at once")
    if any("poison" in text for text in texts) and not faults.get("cured"):
        raise GenericInferenceToolkitError(400, "this text cannot be classified")
    others = {f"label {number}": 1e-12 / 3 for number in range(int(faults.get("labels", 2)) - 2)}
    return [{"label": "spam" if "prize" in text else "good", "score": 0.75,
             "scores": {"spam": 0.75 if "prize" in text else 0.25, "good": 0.25 if "prize" in text else 0.75, **others}}
            for text in texts]

def output_fn(results, accept):
    return json.dumps({"model_version": "faulty-1", "results": results})
"""


def write_model(directory: Path) -> Path:
    """Write the model and return its directory."""
    (directory / "code").mkdir(parents=True)
    (directory / "code" / "inference.py").write_text(INFERENCE)
    (directory / "model.joblib").write_bytes(b"nothing is learnt")
    return directory


def write_faults(file: Path, **faults: float) -> None:
    """Say how the model fails from now on: ``seconds`` a call, shares ``failing`` and ``throttling``.

    It knows as many ``labels`` as that. It refuses texts with the word poison, unless it is ``cured``.
    """
    beside = file.with_suffix(".new")
    beside.write_text(json.dumps(faults))
    beside.replace(file)


def build(app: cdk.App) -> None:
    """Define the stack."""
    stack = cdk.Stack(app, "Jobs")
    platform = LambdaPlatform.local()
    context = app.node.try_get_context
    destroy = cdk.RemovalPolicy.DESTROY
    model = Model(
        stack,
        "Model",
        data=ModelData.from_directory(context("model")),
        framework=Framework.scikit_learn(),
        environment={"FAULTS_FILE": context("faults")},
    )
    endpoint = Endpoint(
        stack,
        "Endpoint",
        model=model,
        variant=RealTime(instance_type="ml.m5.large", instance_count=int(context("instances") or 2)),
    )
    preprocessor = TextPreprocessor(stack, "Preprocessor", removal_policy=destroy, lambda_platform=platform)
    artifacts = ArtifactStore(stack, "Artifacts", removal_policy=destroy)
    large = Endpoint(
        stack,
        "LargeEndpoint",
        model=model,
        variant=Asynchronous(
            instance_type="ml.m5.large",
            instance_count=1,
            inputs=artifacts.jobs.under("large/"),
            output=artifacts.results.under("large/"),
            failures=artifacts.results.under("large-failures/"),
            success_topic=sns.Topic(stack, "LargeDone"),
            error_topic=sns.Topic(stack, "LargeFailed"),
        ),
    )
    database = ResultDatabase(
        stack, "Database", reader_count=0, deletion_protection=False, removal_policy=destroy, lambda_platform=platform
    )
    queue = ClassificationQueue(
        stack,
        "Queue",
        endpoint=endpoint,
        artifacts=artifacts,
        preprocessor=preprocessor,
        database=database,
        asynchronous_endpoint=large,
        max_concurrency=int(context("concurrency") or 2),
        batch_size=int(context("batch_size") or 10),
        max_receive_count=int(context("max_receive_count") or MAX_RECEIVE_COUNT),
        first_retry_pause=cdk.Duration.seconds(int(context("first_retry_pause") or 2)),
        # A function's first call on a busy machine takes seconds.
        timeout=cdk.Duration.seconds(30),
        removal_policy=destroy,
        lambda_platform=platform,
    )
    api = ClassificationApi(
        stack,
        "Api",
        endpoint=endpoint,
        preprocessor=preprocessor,
        queue=queue,
        throttling_rate_limit=10_000,
        throttling_burst_limit=5_000,
        removal_policy=destroy,
        lambda_platform=platform,
    )
    # What another system would see of it.
    heard = sqs.Queue(stack, "Heard", enforce_ssl=True)
    queue.topic.add_subscription(subscriptions.SqsSubscription(heard, raw_message_delivery=True))
    failures = sqs.Queue(stack, "Failures", enforce_ssl=True)
    queue.topic.add_subscription(
        subscriptions.SqsSubscription(
            failures,
            raw_message_delivery=True,
            filter_policy={"status": sns.SubscriptionFilter.string_filter(allowlist=["failed"])},
        )
    )
    seen = sqs.Queue(stack, "Seen", enforce_ssl=True)
    events.Rule(
        stack,
        "Ended",
        event_pattern=events.EventPattern(source=["text-classification"]),
        targets=[targets.SqsQueue(seen)],
    )
    for output, value in {
        "ApiUrl": api.api_url,
        "BucketName": queue.artifacts.bucket.bucket_name,
        "JobTableName": queue.job_table.table_name,
        "QueueUrl": queue.queue.queue_url,
        "DeadLetterQueueUrl": queue.dead_letter_queue.queue_url,
        "DeadLetterQueueArn": queue.dead_letter_queue.queue_arn,
        "FailedFilesUrl": queue.failed_files_queue.queue_url,
        "HeardUrl": heard.queue_url,
        "FailuresUrl": failures.queue_url,
        "SeenUrl": seen.queue_url,
        "EndpointName": endpoint.endpoint_name,
        "ClusterArn": database.cluster.cluster_arn,
        "SecretArn": database.secret.secret_arn,
        "DatabaseName": database.database_name,
        **{f"{name.capitalize()}FunctionName": each.function_name for name, each in queue.functions.items()},
    }.items():
        cdk.CfnOutput(stack, output, value=value)


if __name__ == "__main__":
    app = cdk.App(analytics_reporting=False)
    build(app)
    app.synth()
