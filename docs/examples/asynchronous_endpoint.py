"""Inputs of up to 1 GB from S3, answers into S3, notifications, and no instance while the queue is empty."""

from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns

from sm_constructs import ArtifactStore, Framework, Model, ModelData
from sm_constructs.endpoint import Asynchronous, Endpoint


def build(app: cdk.App) -> None:
    """Define the stack in the app."""
    stack = cdk.Stack(app, "AsynchronousEndpointExample")
    store = ArtifactStore(stack, "Store")
    key = kms.Key(stack, "TopicKey", enable_key_rotation=True)
    answers = sns.Topic(stack, "Answers", enforce_ssl=True, master_key=key)
    failures = sns.Topic(stack, "Failures", enforce_ssl=True, master_key=key)
    model = Model(
        stack,
        "Model",
        data=ModelData.from_directory(Path(__file__).parent / "model"),
        framework=Framework.scikit_learn(),
    )
    endpoint = Endpoint(
        stack,
        "Endpoint",
        model=model,
        variant=Asynchronous(
            instance_type="ml.m5.large",
            instance_count=1,
            inputs=store.datasets,
            output=store.results,
            failures=store.results,
            success_topic=answers,
            error_topic=failures,
            include_response_in_notifications=True,
            max_concurrent_invocations_per_instance=4,
        ),
    )
    instances = endpoint.auto_scale_instance_count(min_capacity=0, max_capacity=4)
    instances.scale_on_backlog("Queue", target_backlog_per_instance=10, scale_in_cooldown=cdk.Duration.minutes(10))

    cdk.CfnOutput(stack, "EndpointName", value=endpoint.endpoint_name)
    cdk.CfnOutput(stack, "BucketName", value=store.bucket.bucket_name)


if __name__ == "__main__":
    app = cdk.App()
    build(app)
    app.synth()
