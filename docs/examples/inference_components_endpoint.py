"""Two models in copies on the same instances, which go away while neither is called."""

from pathlib import Path

import aws_cdk as cdk

from sm_constructs import Framework, Model, ModelData
from sm_constructs.endpoint import Endpoint, InferenceComponent, ManagedInstanceScaling, RealTime


def build(app: cdk.App) -> None:
    """Define the stack in the app."""
    stack = cdk.Stack(app, "InferenceComponentsEndpointExample")
    data = ModelData.from_directory(Path(__file__).parent / "model")
    endpoint = Endpoint(
        stack,
        "Endpoint",
        variant=RealTime(
            instance_type="ml.m5.xlarge",
            instance_count=1,
            managed_instance_scaling=ManagedInstanceScaling(min_instance_count=0, max_instance_count=4),
        ),
    )
    for name in ("Reviews", "Mail"):
        component = InferenceComponent(
            stack,
            name,
            endpoint=endpoint,
            model=Model(stack, f"{name}Model", data=data, framework=Framework.scikit_learn()),
            memory_size_mb=1024,
            cpu_cores=1,
        )
        copies = component.auto_scale_copy_count(min_capacity=0, max_capacity=8)
        copies.scale_on_concurrent_requests("UnderWay", target_concurrent_requests=4)
        cdk.CfnOutput(stack, f"{name}ComponentName", value=component.inference_component_name)

    cdk.CfnOutput(stack, "EndpointName", value=endpoint.endpoint_name)


if __name__ == "__main__":
    app = cdk.App()
    build(app)
    app.synth()
