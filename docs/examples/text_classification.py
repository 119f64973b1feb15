"""The whole system as one construct of an app of yours, with a model that lies in a bucket already."""

import aws_cdk as cdk
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns_subscriptions as subscriptions

from sm_constructs import DEV, ModelData, TextClassification


def build(app: cdk.App) -> None:
    """Define the stack in the app."""
    stack = cdk.Stack(app, "TextClassificationExample")
    models = s3.Bucket.from_bucket_name(stack, "Models", "reviews-models")
    system = TextClassification(
        stack,
        "Reviews",
        model_data=ModelData.from_bucket(models, "2026-11-24/model.tar.gz"),
        stage=DEV,
    )

    system.monitoring.topic.add_subscription(subscriptions.EmailSubscription("on-call@example.com"))
    cdk.CfnOutput(stack, "ApiUrl", value=system.api.api_url)


if __name__ == "__main__":
    app = cdk.App()
    build(app)
    app.synth()
