"""An app with a fault for each gate."""

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sagemaker as sagemaker
from aws_cdk import aws_sns as sns


def build(app: cdk.App) -> None:
    """Define the stack in the app."""
    stack = cdk.Stack(app, "Faulty")
    s3.Bucket(stack, "OpenBucket")
    # Encrypted, which is enough for cdk-nag, but still open to plain HTTP.
    sns.Topic(stack, "PlainHttpTopic", master_key=kms.Key(stack, "Key"))
    logs.CfnLogGroup(stack, "EndlessLog")
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    role.add_to_policy(iam.PolicyStatement(actions=["s3:DeleteObject"], resources=["*"]))
    role.add_to_policy(iam.PolicyStatement(actions=["sns:Publish"], resources=["arn:aws:sns:us-east-1:111122223333:*"]))
    lambda_.CfnFunction(
        stack,
        "Untraced",
        code=lambda_.CfnFunction.CodeProperty(zip_file="pass"),
        handler="index.handler",
        role=role.role_arn,
        runtime="python3.13",
    )
    api = apigateway.RestApi(stack, "UntracedApi", cloud_watch_role=False)
    api.root.add_method("GET")
    sagemaker.CfnEndpointConfig(
        stack,
        "OneInstance",
        production_variants=[
            sagemaker.CfnEndpointConfig.ProductionVariantProperty(
                initial_instance_count=1,
                initial_variant_weight=1,
                instance_type="ml.m5.large",
                model_name="model",
                variant_name="AllTraffic",
            ),
            sagemaker.CfnEndpointConfig.ProductionVariantProperty(
                initial_variant_weight=1,
                model_name="model",
                serverless_config=sagemaker.CfnEndpointConfig.ServerlessConfigProperty(
                    max_concurrency=1, memory_size_in_mb=1024
                ),
                variant_name="Serverless",
            ),
        ],
    )
    misspelt = sns.CfnTopic(stack, "Misspelt")
    misspelt.add_property_override("TopicNaem", "alarms")
    # An acknowledgement in the code hides its finding from everybody.
    cdk.Validations.of(stack).acknowledge(cdk.Acknowledgment(id="AwsSolutions::AwsSolutions-S1", reason="hidden"))
