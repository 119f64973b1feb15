"""A CDK app that trains, promotes and serves models; its context ``model`` names the first one's directory.

Further context: ``instance_type`` of the endpoint and ``owner``, a tag, so that a deployment has something to change.
"""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events

from sm_constructs import (
    ArtifactStore,
    ClassificationApi,
    Endpoint,
    Framework,
    LambdaPlatform,
    Model,
    ModelData,
    PromotedModel,
    RealTime,
    TrainingWorkflow,
)
from sm_constructs.endpoint import AllAtOnce


def build(app: cdk.App) -> None:
    """Define the stack."""
    stack = cdk.Stack(app, "Trainings")
    context = app.node.try_get_context
    if owner := context("owner"):
        cdk.Tags.of(stack).add("owner", owner)
    platform = LambdaPlatform.local()
    destroy = cdk.RemovalPolicy.DESTROY
    artifacts = ArtifactStore(stack, "Artifacts", removal_policy=destroy)
    promoted_model = PromotedModel(
        stack,
        "PromotedModel",
        initial=ModelData.from_directory(context("model")),
        artifacts=artifacts,
        lambda_platform=platform,
    )
    model = Model(stack, "Model", data=promoted_model.data, framework=Framework.scikit_learn())
    alarm = cloudwatch.Alarm(
        stack,
        "Complaints",
        metric=cloudwatch.Metric(namespace="Trainings", metric_name="Complaints"),
        threshold=1,
        evaluation_periods=1,
        # Nobody publishes the metric: it stays as a test sets it.
        treat_missing_data=cloudwatch.TreatMissingData.IGNORE,
    )
    endpoint = Endpoint(
        stack,
        "Endpoint",
        model=model,
        variant=RealTime(instance_type=context("instance_type") or "ml.m5.large", instance_count=1),
        deployment=AllAtOnce(bake_time=cdk.Duration.seconds(0), alarms=[alarm]),
    )
    training = TrainingWorkflow(
        stack,
        "Training",
        artifacts=artifacts,
        promoted_model=promoted_model,
        endpoint=endpoint,
        start_on_upload=True,
        schedule=events.Schedule.cron(minute="0", hour="0", day="1", month="1"),
        schedule_input={"dataset": "datasets/scheduled/"},
        poll_interval=cdk.Duration.seconds(1),
        removal_policy=destroy,
        lambda_platform=platform,
    )
    api = ClassificationApi(
        stack, "Api", endpoint=endpoint, training=training, removal_policy=destroy, lambda_platform=platform
    )
    for output, value in {
        "AlarmName": alarm.alarm_name,
        "ApiUrl": api.api_url,
        "ArtifactBucketName": artifacts.bucket.bucket_name,
        "EndpointName": endpoint.endpoint_name,
        "ModelPackageGroupName": training.model_package_group_name,
        "NamePrefix": promoted_model.name_prefix,
        "ParameterName": promoted_model.parameter_name,
        "PromotionStateMachineArn": training.promotion.state_machine.state_machine_arn,
        "TrainingStateMachineArn": training.state_machine.state_machine_arn,
        "TrainingTopicArn": training.topic.topic_arn,
    }.items():
        cdk.CfnOutput(stack, output, value=value)


if __name__ == "__main__":
    app = cdk.App(analytics_reporting=False)
    build(app)
    app.synth()
