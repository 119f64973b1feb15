"""A model in a container of your own, with data in the project's artifact store, and a role of your own."""

import aws_cdk as cdk
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam

from sm_constructs import ArtifactStore, Endpoint, Framework, Model, ModelData, Serverless


def build(app: cdk.App) -> None:
    """Define the stack in the app."""
    stack = cdk.Stack(app, "OwnContainerExample")
    store = ArtifactStore(stack, "Store")
    model = Model(
        stack,
        "Model",
        data=ModelData.from_bucket(store.bucket, store.models.key("2026-11-24/model.tar.gz")),
        framework=Framework.custom(
            ecr.Repository.from_repository_name(stack, "Images", "review-classifier"),
            tag_or_digest="2026-11-24",
            environment={"LOG_LEVEL": "INFO"},
        ),
        role=iam.Role.from_role_name(stack, "Serving", "review-serving"),
    )
    Endpoint(stack, "Endpoint", model=model, variant=Serverless())


if __name__ == "__main__":
    app = cdk.App()
    build(app)
    app.synth()
