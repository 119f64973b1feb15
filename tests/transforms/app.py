"""A CDK app with batch transforms by a model that an endpoint serves, and the API in front of them.

Context: ``model``, the directory of a packaged model; perhaps ``max_attempts`` and ``start_on_upload``.
"""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs

from sm_constructs import (
    ArtifactStore,
    BatchTransform,
    ClassificationApi,
    Endpoint,
    Framework,
    LambdaPlatform,
    Model,
    ModelData,
    RealTime,
)


def build(app: cdk.App) -> None:
    """Define the stack."""
    stack = cdk.Stack(app, "Transforms")
    destroy, platform = cdk.RemovalPolicy.DESTROY, LambdaPlatform.local()
    model = Model(
        stack,
        "Model",
        data=ModelData.from_directory(app.node.try_get_context("model")),
        framework=Framework.scikit_learn(),
    )
    endpoint = Endpoint(stack, "Endpoint", model=model, variant=RealTime(instance_type="ml.m5.large", instance_count=1))
    artifacts = ArtifactStore(stack, "Artifacts", removal_policy=destroy)
    transform = BatchTransform(
        stack,
        "Transform",
        artifacts=artifacts,
        endpoint=endpoint,
        instance_count=2,
        max_concurrent_transforms=2,
        max_attempts=int(app.node.try_get_context("max_attempts") or 4),
        schedule=events.Schedule.cron(minute="0", hour="0", day="1", month="1"),
        start_on_upload=bool(app.node.try_get_context("start_on_upload")),
        removal_policy=destroy,
        lambda_platform=platform,
    )
    heard = sqs.Queue(stack, "Heard", enforce_ssl=True)
    transform.topic.add_subscription(subscriptions.SqsSubscription(heard, raw_message_delivery=True))
    api = ClassificationApi(
        stack, "Api", endpoint=endpoint, transform=transform, removal_policy=destroy, lambda_platform=platform
    )
    outputs = {
        "ApiUrl": api.api_url,
        "BucketName": artifacts.bucket.bucket_name,
        "HeardUrl": heard.queue_url,
        "StateMachineArn": transform.state_machine.state_machine_arn,
    }
    for output, value in outputs.items():
        cdk.CfnOutput(stack, output, value=value)


if __name__ == "__main__":
    app = cdk.App(analytics_reporting=False)
    build(app)
    app.synth()
