"""An endpoint that costs nothing while nobody calls it, for a model in a directory, and a role that may call it."""

from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from sm_constructs import Endpoint, Framework, Model, ModelData, Serverless


def build(app: cdk.App) -> None:
    """Define the stack in the app."""
    stack = cdk.Stack(app, "EndpointExample")
    model = Model(
        stack,
        "Model",
        data=ModelData.from_directory(Path(__file__).parent / "model"),
        framework=Framework.scikit_learn(),
    )
    endpoint = Endpoint(stack, "Endpoint", model=model, variant=Serverless(memory_size_mb=1024, max_concurrency=5))

    endpoint.grant_invoke(iam.Role.from_role_name(stack, "Caller", "review-service"))
    cdk.CfnOutput(stack, "EndpointName", value=endpoint.endpoint_name)


if __name__ == "__main__":
    app = cdk.App()
    build(app)
    app.synth()
