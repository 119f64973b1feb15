"""A stage between DEV and PROD: it is one value, and everything else follows."""

from dataclasses import replace

import aws_cdk as cdk

from sm_constructs import PROD, ArtifactStore, ModelData, RealTime, TextClassificationStack

STAGING = replace(
    PROD,
    name="staging",
    variant=RealTime(instance_type="ml.m5.large", instance_count=1),
    termination_protection=False,
)


def build(app: cdk.App) -> None:
    """Define the stack in the app."""
    store = ArtifactStore(cdk.Stack(app, "ThirdStageModels"), "Store")
    TextClassificationStack(
        app,
        "ThirdStageExample",
        stage=STAGING,
        model_data=ModelData.from_bucket(store.bucket, store.models.key("2026-11-24/model.tar.gz")),
    )


if __name__ == "__main__":
    app = cdk.App()
    build(app)
    app.synth()
