"""Train, measure and promote models of an endpoint on instances, which moves to a better one in two steps."""

from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_events as events

from sm_constructs import (
    ArtifactStore,
    Endpoint,
    Framework,
    Model,
    ModelData,
    PromotedModel,
    RealTime,
    TrainingWorkflow,
)
from sm_constructs.endpoint import Canary

MODEL = Path(__file__).parent / "model"


def build(app: cdk.App) -> None:
    """Define the stack in the app."""
    stack = cdk.Stack(app, "TrainingWorkflowExample")
    artifacts = ArtifactStore(stack, "Artifacts")
    promoted_model = PromotedModel(stack, "PromotedModel", initial=ModelData.from_directory(MODEL), artifacts=artifacts)
    model = Model(stack, "Model", data=promoted_model.data, framework=Framework.scikit_learn())
    endpoint = Endpoint(
        stack,
        "Endpoint",
        model=model,
        variant=RealTime(instance_type="ml.m5.large", instance_count=2),
        deployment=Canary(bake_time=cdk.Duration.minutes(10)),
    )
    training = TrainingWorkflow(
        stack,
        "Training",
        artifacts=artifacts,
        promoted_model=promoted_model,
        endpoint=endpoint,
        max_spot_wait=cdk.Duration.hours(8),
        max_concurrent_trials=4,
        margin=0.005,
        start_on_upload=True,
        schedule=events.Schedule.cron(minute="0", hour="3", week_day="MON"),
        schedule_input={"dataset": "datasets/reviews/", "trials": {"ngram_max": [3, 4]}},
    )
    cdk.CfnOutput(stack, "BucketName", value=artifacts.bucket.bucket_name)
    cdk.CfnOutput(stack, "EndpointName", value=endpoint.endpoint_name)
    cdk.CfnOutput(stack, "TrainingStateMachineArn", value=training.state_machine.state_machine_arn)
    cdk.CfnOutput(stack, "PromotionStateMachineArn", value=training.promotion.state_machine.state_machine_arn)


if __name__ == "__main__":
    app = cdk.App()
    build(app)
    app.synth()
