"""Two models that share the calls nine to one, and an endpoint with a third that nobody hears, to compare them."""

from pathlib import Path

import aws_cdk as cdk

from sm_constructs import Endpoint, Framework, Model, ModelData, RealTime


def build(app: cdk.App) -> None:
    """Define the stack in the app."""
    stack = cdk.Stack(app, "SeveralVariantsEndpointExample")
    data = ModelData.from_directory(Path(__file__).parent / "model")
    current = Model(stack, "CurrentModel", data=data, framework=Framework.scikit_learn())
    candidate = Model(stack, "CandidateModel", data=data, framework=Framework.scikit_learn())

    compared = Endpoint(
        stack,
        "Compared",
        model=current,
        variants=[
            RealTime(instance_type="ml.m5.large", instance_count=2, variant_name="Current", initial_weight=9),
            RealTime(instance_type="ml.m5.large", instance_count=1, variant_name="Candidate", model=candidate),
        ],
    )
    shadowed = Endpoint(
        stack,
        "Shadowed",
        model=current,
        variant=RealTime(instance_type="ml.m5.large", instance_count=2, variant_name="Current"),
        shadow=RealTime(instance_type="ml.m5.large", instance_count=1, variant_name="Candidate", model=candidate),
    )

    cdk.CfnOutput(stack, "ComparedName", value=compared.endpoint_name)
    cdk.CfnOutput(stack, "ShadowedName", value=shadowed.endpoint_name)


if __name__ == "__main__":
    app = cdk.App()
    build(app)
    app.synth()
