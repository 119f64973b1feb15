"""A CDK app with batch transforms by a model that an endpoint serves, and the API in front of them.

Context: ``model``, the directory of a packaged model; perhaps ``max_attempts`` and ``start_on_upload``.
"""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs

from sm_constructs import (
    ArtifactStore,
    BatchTransform,
    Endpoint,
    Framework,
    LambdaPlatform,
    Model,
    ModelData,
    RealTime,
)
from sm_constructs._function_settings import FunctionSettings
from sm_constructs._transform_routes import add_transform_routes


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
        start_on_upload=bool(app.node.try_get_context("start_on_upload")),
        removal_policy=destroy,
        lambda_platform=platform,
    )
    heard = sqs.Queue(stack, "Heard", enforce_ssl=True)
    transform.topic.add_subscription(subscriptions.SqsSubscription(heard, raw_message_delivery=True))
    outputs = {
        "ApiUrl": _api(stack, transform, platform),
        "BucketName": artifacts.bucket.bucket_name,
        "HeardUrl": heard.queue_url,
        "StateMachineArn": transform.state_machine.state_machine_arn,
    }
    for output, value in outputs.items():
        cdk.CfnOutput(stack, output, value=value)


def _api(stack: cdk.Stack, transform: BatchTransform, platform: LambdaPlatform) -> str:
    api = apigateway.RestApi(stack, "Api", cloud_watch_role=False)
    validator = api.add_request_validator("Body", validate_request_body=True)

    def add_method(
        resource: apigateway.IResource, verb: str, function: lambda_.IFunction, has_body: bool
    ) -> apigateway.Method:
        return resource.add_method(
            verb,
            apigateway.LambdaIntegration(function, allow_test_invoke=False),
            authorization_type=apigateway.AuthorizationType.IAM,
            request_models={} if has_body else None,
            request_validator=validator,
        )

    settings = FunctionSettings(
        memory_size_mb=512,
        log_retention=logs.RetentionDays.ONE_DAY,
        removal_policy=cdk.RemovalPolicy.DESTROY,
        vpc=None,
        encryption_key=None,
        lambda_platform=platform,
    )
    add_transform_routes(
        stack,
        version=api.root.add_resource("v1"),
        transform=transform,
        settings=settings,
        timeout=cdk.Duration.seconds(28),
        add_method=add_method,
    )
    return api.url


if __name__ == "__main__":
    app = cdk.App(analytics_reporting=False)
    build(app)
    app.synth()
