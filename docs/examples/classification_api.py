"""Put an API in front of an endpoint that was deployed before, and let one role call it."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from sm_constructs import ClassificationApi, Endpoint, TextPreprocessor


def build(app: cdk.App) -> None:
    """Define the stack in the app."""
    stack = cdk.Stack(app, "ClassificationApiExample")
    api = ClassificationApi(
        stack,
        "Api",
        endpoint=Endpoint.from_endpoint_name(stack, "Endpoint", "reviews"),
        preprocessor=TextPreprocessor(stack, "Preprocessor"),
        throttling_rate_limit=100,
        throttling_burst_limit=200,
    )

    # Clients sign their requests with the credentials of this role.
    shop = iam.Role(stack, "Shop", assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"))
    api.grant_invoke(shop)
    cdk.CfnOutput(stack, "ApiUrl", value=api.api_url)


if __name__ == "__main__":
    app = cdk.App()
    build(app)
    app.synth()
