"""Models that are more than one archive: files under a prefix, many models, a pipeline, one from the registry."""

import aws_cdk as cdk

from sm_constructs import ArtifactStore, Endpoint, Framework, Model, ModelData, RealTime
from sm_constructs.model import Container


def build(app: cdk.App) -> None:
    """Define the stack in the app."""
    stack = cdk.Stack(app, "ModelKindsExample")
    store = ArtifactStore(stack, "Store")

    # A large model, whose files are not packed: instances start sooner.
    uncompressed = Model(
        stack,
        "UncompressedModel",
        data=ModelData.from_prefix(store.bucket, store.models.key("large/2026-11-24/")),
        framework=Framework.hugging_face(task="text-classification", processor="gpu"),
    )
    # A model for each customer: a call names its archive as TargetModel.
    many = Model(
        stack,
        "CustomersModel",
        data=ModelData.multi_model(store.bucket, store.models.key("customers/")),
        framework=Framework.scikit_learn(),
    )
    # The first container's answer is the second one's request.
    pipeline = Model(
        stack,
        "PipelineModel",
        containers=[
            Container(
                data=ModelData.from_bucket(store.bucket, store.models.key("words/2026-11-24/model.tar.gz")),
                framework=Framework.scikit_learn(),
                hostname="words",
            ),
            Container(
                data=ModelData.from_bucket(store.bucket, store.models.key("labels/2026-11-24/model.tar.gz")),
                framework=Framework.pytorch(),
                hostname="labels",
            ),
        ],
    )
    # The registry knows the image and the archive; the role is told what it may read.
    registered = Model(
        stack,
        "RegisteredModel",
        data=ModelData.from_model_package(
            stack.format_arn(service="sagemaker", resource="model-package", resource_name="reviews/7"),
            archive=ModelData.from_bucket(store.bucket, store.models.key("reviews/7/model.tar.gz")),
            framework=Framework.scikit_learn(),
        ),
    )

    for name, model in (("Many", many), ("Pipeline", pipeline), ("Registered", registered)):
        Endpoint(stack, name, model=model, variant=RealTime(instance_type="ml.m5.large", instance_count=2))
    gpu = RealTime(instance_type="ml.g5.xlarge", instance_count=2)
    Endpoint(stack, "Uncompressed", model=uncompressed, variant=gpu)


if __name__ == "__main__":
    app = cdk.App()
    build(app)
    app.synth()
