"""Classify millions of texts later: a queue before an endpoint, an API that takes jobs, alarms, and who is told."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions

from sm_constructs import ArtifactStore, ClassificationApi, ClassificationQueue, Endpoint, Monitoring
from sm_constructs.monitoring import QueueThresholds


def build(app: cdk.App) -> None:
    """Define the stack in the app."""
    stack = cdk.Stack(app, "ClassificationQueueExample")
    endpoint = Endpoint.from_endpoint_name(stack, "Endpoint", "reviews")
    queue = ClassificationQueue(
        stack,
        "Queue",
        endpoint=endpoint,
        artifacts=ArtifactStore(stack, "Artifacts"),
        batch_size=100,
        batching_window=cdk.Duration.seconds(2),
        max_concurrency=20,
    )
    api = ClassificationApi(stack, "Api", endpoint=endpoint, queue=queue)
    Monitoring(stack, "Monitoring").monitor_queue(
        queue, thresholds=QueueThresholds(age_of_oldest=cdk.Duration.hours(1))
    )

    # Only failures are told by e-mail.
    queue.topic.add_subscription(
        subscriptions.EmailSubscription(
            "on-call@example.com",
            filter_policy={"status": sns.SubscriptionFilter.string_filter(allowlist=["failed"])},
        )
    )
    shop = iam.Role(stack, "Shop", assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"))
    api.grant_invoke(shop)
    on_call = iam.Role.from_role_name(stack, "OnCall", "on-call")
    queue.grant_redrive(on_call)
    queue.grant_resubmit(on_call)
    cdk.CfnOutput(stack, "ApiUrl", value=api.api_url)
    cdk.CfnOutput(stack, "DeadLetterQueueArn", value=queue.dead_letter_queue.queue_arn)
    cdk.CfnOutput(stack, "FailedFilesQueueUrl", value=queue.failed_files_queue.queue_url)
    cdk.CfnOutput(stack, "SubmitFunctionName", value=queue.functions["submit"].function_name)


if __name__ == "__main__":
    app = cdk.App()
    build(app)
    app.synth()
