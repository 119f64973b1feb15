"""A bucket for data sets, models and results, with a role that may read the one and write the other."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms

from sm_constructs import ArtifactStore


def build(app: cdk.App) -> None:
    """Define the stack in the app."""
    stack = cdk.Stack(app, "ArtifactStoreExample")
    store = ArtifactStore(
        stack,
        "Store",
        encryption_key=kms.Key(stack, "Key", enable_key_rotation=True),
        noncurrent_version_expiration=cdk.Duration.days(30),
    )

    evaluation = iam.Role(stack, "Evaluation", assumed_by=iam.ServicePrincipal("states.amazonaws.com"))
    store.datasets.grant_read(evaluation)
    store.results.grant_write(evaluation)
    cdk.CfnOutput(stack, "ResultsUrl", value=store.results.url())


if __name__ == "__main__":
    app = cdk.App()
    build(app)
    app.synth()
