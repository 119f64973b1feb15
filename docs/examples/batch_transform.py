"""Label files in bulk each night, by the model that an endpoint serves, and be told when that fails."""

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns_subscriptions as subscriptions

from sm_constructs import ArtifactStore, BatchTransform, Endpoint


def build(app: cdk.App) -> None:
    """Define the stack in the app."""
    stack = cdk.Stack(app, "BatchTransformExample")
    artifacts = ArtifactStore(stack, "Artifacts")
    transform = BatchTransform(
        stack,
        "Transform",
        artifacts=artifacts,
        endpoint=Endpoint.from_endpoint_name(stack, "Endpoint", "reviews"),
        model_roles=[iam.Role.from_role_name(stack, "ModelRole", "reviews-model")],
        instance_count=2,
        schedule=events.Schedule.cron(hour="2", minute="0"),
    )
    transform.topic.add_subscription(subscriptions.EmailSubscription("on-call@example.com"))
    transform.grant_start(iam.Role.from_role_name(stack, "Analyst", "analyst"))
    cdk.CfnOutput(stack, "BucketName", value=artifacts.bucket.bucket_name)
    cdk.CfnOutput(stack, "StateMachineArn", value=transform.state_machine.state_machine_arn)


if __name__ == "__main__":
    app = cdk.App()
    build(app)
    app.synth()
