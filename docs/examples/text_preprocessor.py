"""Find the words of Chinese texts for a search index of yours."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from sm_constructs import TextPreprocessor


def build(app: cdk.App) -> None:
    """Define the stack in the app."""
    stack = cdk.Stack(app, "TextPreprocessorExample")
    preprocessor = TextPreprocessor(
        stack, "Preprocessor", languages=["zh"], memory_size_mb=1024, timeout=cdk.Duration.seconds(10)
    )

    preprocessor.grant_invoke(iam.Role.from_role_name(stack, "Indexer", "search-indexer"))
    cdk.CfnOutput(stack, "WordsFunctionName", value=preprocessor.functions["zh"].function_name)


if __name__ == "__main__":
    app = cdk.App()
    build(app)
    app.synth()
