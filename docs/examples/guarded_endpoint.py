"""An endpoint that tries a new model on a tenth of its instances, goes back when it fails, and scales by the hour."""

from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_applicationautoscaling as autoscaling
from aws_cdk import aws_cloudwatch as cloudwatch

from sm_constructs import ArtifactStore, Framework, Model, ModelData
from sm_constructs.endpoint import Canary, DataCapture, Endpoint, RealTime, RoutingStrategy

NAME = "guarded-reviews"


def build(app: cdk.App) -> None:
    """Define the stack in the app."""
    stack = cdk.Stack(app, "GuardedEndpointExample")
    store = ArtifactStore(stack, "Store")
    model = Model(
        stack,
        "Model",
        data=ModelData.from_directory(Path(__file__).parent / "model"),
        framework=Framework.scikit_learn(),
    )
    # The alarm knows the endpoint by its name: each would wait for the other otherwise.
    watched = Endpoint.from_endpoint_name(stack, "Watched", NAME)
    failing = cloudwatch.Alarm(
        stack,
        "ModelFails",
        metric=watched.metric_invocation_5xx_errors(statistic="Average"),
        threshold=0.05,
        evaluation_periods=1,
        treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
    )
    endpoint = Endpoint(
        stack,
        "Endpoint",
        model=model,
        variant=RealTime(
            instance_type="ml.m5.large",
            instance_count=2,
            routing_strategy=RoutingStrategy.LEAST_OUTSTANDING_REQUESTS,
        ),
        data_capture=DataCapture(destination=store.results, percentage=20),
        deployment=Canary(
            alarms=[failing],
            bake_time=cdk.Duration.minutes(10),
            termination_wait=cdk.Duration.minutes(5),
            maximum_execution_timeout=cdk.Duration.hours(1),
        ),
        endpoint_name=NAME,
    )
    instances = endpoint.auto_scale_instance_count(min_capacity=2, max_capacity=10)
    instances.scale_on_concurrent_requests("UnderWay", target_concurrent_requests=5)
    berlin = cdk.TimeZone.EUROPE_BERLIN
    morning = autoscaling.Schedule.cron(week_day="MON-FRI", hour="8", minute="0")
    instances.scale_on_schedule("Morning", schedule=morning, min_capacity=4, time_zone=berlin)
    evening = autoscaling.Schedule.cron(week_day="MON-FRI", hour="18", minute="0")
    instances.scale_on_schedule("Evening", schedule=evening, min_capacity=2, time_zone=berlin)

    cdk.CfnOutput(stack, "EndpointName", value=endpoint.endpoint_name)


if __name__ == "__main__":
    app = cdk.App()
    build(app)
    app.synth()
