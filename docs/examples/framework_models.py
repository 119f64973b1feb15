"""A model of PyTorch on GPUs, one of TensorFlow and one of Hugging Face, each in AWS's container for it."""

from pathlib import Path

import aws_cdk as cdk

from sm_constructs import ArtifactStore, Endpoint, Framework, Model, ModelData, RealTime, Serverless


def build(app: cdk.App) -> None:
    """Define the stack in the app."""
    stack = cdk.Stack(app, "FrameworkModelsExample")
    store = ArtifactStore(stack, "Store")
    here = Path(__file__).parent

    pytorch = Model(
        stack,
        "PyTorchModel",
        data=ModelData.from_training_job(store.bucket, store.models.key("trainings"), "reviews-2026-11-24"),
        framework=Framework.pytorch("2.6.0", processor="ml.g4dn.xlarge"),
    )
    tensorflow = Model(
        stack,
        "TensorFlowModel",
        data=ModelData.from_directory(here / "tensorflow"),
        framework=Framework.tensorflow("2.20.0"),
    )
    hugging_face = Model(
        stack,
        "HuggingFaceModel",
        data=ModelData.from_directory(here / "hugging_face"),
        framework=Framework.hugging_face("5.5.3", entry_point="inference.py"),
    )

    Endpoint(stack, "PyTorch", model=pytorch, variant=RealTime(instance_type="ml.g4dn.xlarge", instance_count=2))
    Endpoint(stack, "TensorFlow", model=tensorflow, variant=Serverless())
    Endpoint(stack, "HuggingFace", model=hugging_face, variant=Serverless(memory_size_mb=4096))


if __name__ == "__main__":
    app = cdk.App()
    build(app)
    app.synth()
