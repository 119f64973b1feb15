"""Annotate English and Chinese texts for a search index of yours, without waiting for a model to load."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from sm_constructs import SnapStart, TextPreprocessor


def build(app: cdk.App) -> None:
    """Define the stack in the app."""
    stack = cdk.Stack(app, "TextPreprocessorExample")
    preprocessor = TextPreprocessor(
        stack, "Preprocessor", start_up=SnapStart(), memory_size_mb=3538, timeout=cdk.Duration.seconds(10)
    )

    preprocessor.grant_invoke(iam.Role.from_role_name(stack, "Indexer", "search-indexer"))
    for language, function in preprocessor.invoked.items():
        cdk.CfnOutput(stack, f"{language.capitalize()}FunctionName", value=function.function_name)


if __name__ == "__main__":
    app = cdk.App()
    build(app)
    app.synth()
