"""Annotate data sets with tokens, part-of-speech tags, named entities and features, twenty parts at a time."""

import aws_cdk as cdk

from sm_constructs import ArtifactStore, DatasetAnnotation, TextPreprocessor


def build(app: cdk.App) -> None:
    """Define the stack in the app."""
    stack = cdk.Stack(app, "DatasetAnnotationExample")
    artifacts = ArtifactStore(stack, "Artifacts")
    annotation = DatasetAnnotation(
        stack,
        "Annotation",
        artifacts=artifacts,
        preprocessor=TextPreprocessor(stack, "Preprocessor"),
        max_concurrency=20,
    )
    cdk.CfnOutput(stack, "BucketName", value=artifacts.bucket.bucket_name)
    cdk.CfnOutput(stack, "StateMachineArn", value=annotation.state_machine.state_machine_arn)


if __name__ == "__main__":
    app = cdk.App()
    build(app)
    app.synth()
