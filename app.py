"""The CDK app: one text-classification stack, of the stage that ``-c stage=dev`` or ``-c stage=prod`` names."""

import sys
from dataclasses import replace
from pathlib import Path

import aws_cdk as cdk

from sm_constructs import InvalidPropsError, LambdaPlatform, ModelData, StageConfig, TextClassificationStack


def build(app: cdk.App) -> None:
    """Define the stack that the context asks for: stage, model, and what the Lambda functions run on."""
    context = app.node.try_get_context
    stage = StageConfig.named(context("stage") or "dev")
    model = Path(context("model") or ".build/model")
    if not model.is_dir():
        sys.exit(f"error: {model} is missing: run `make model`, or name another directory with -c model=DIRECTORY")
    platform = LambdaPlatform.local() if context("lambda_platform") == "local" else LambdaPlatform()
    TextClassificationStack(
        app,
        f"TextClassification-{stage.name}",
        model_data=ModelData.from_directory(model),
        stage=stage,
        lambda_platform=replace(
            platform,
            python=context("lambda_python") or platform.python,
            architecture=context("lambda_architecture") or platform.architecture,
        ),
    )


if __name__ == "__main__":
    # They know nothing of Python, and name temporary paths.
    app = cdk.App(analytics_reporting=False, context={"aws:cdk:disable-creation-stack-traces": True})
    try:
        build(app)
    except InvalidPropsError as error:
        sys.exit(f"error: {error}")
    app.synth()
