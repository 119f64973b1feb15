"""A serverless endpoint that keeps more of itself warm while it is used more."""

from pathlib import Path

import aws_cdk as cdk

from sm_constructs import Endpoint, Framework, Model, ModelData, Serverless


def build(app: cdk.App) -> None:
    """Define the stack in the app."""
    stack = cdk.Stack(app, "ServerlessEndpointExample")
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
        variant=Serverless(memory_size_mb=2048, max_concurrency=20, provisioned_concurrency=2),
    )
    warm = endpoint.auto_scale_provisioned_concurrency(min_capacity=1, max_capacity=10)
    warm.scale_on_utilization("Use", target_utilization=0.7)

    cdk.CfnOutput(stack, "EndpointName", value=endpoint.endpoint_name)


if __name__ == "__main__":
    app = cdk.App()
    build(app)
    app.synth()
