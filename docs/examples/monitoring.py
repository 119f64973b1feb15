"""Watch an API, a function and an endpoint that were deployed before, and send what goes wrong by e-mail."""

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns_subscriptions as subscriptions

from sm_constructs import Endpoint, Monitoring
from sm_constructs.monitoring import ApiThresholds, EndpointThresholds, Evaluation


def build(app: cdk.App) -> None:
    """Define the stack in the app."""
    stack = cdk.Stack(app, "MonitoringExample")
    monitoring = Monitoring(stack, "Monitoring")
    monitoring.topic.add_subscription(subscriptions.EmailSubscription("on-call@example.com"))

    monitoring.monitor_api(
        apigateway.RestApi.from_rest_api_attributes(
            stack, "Api", rest_api_id="a1b2c3d4e5", root_resource_id="f6g7h8", rest_api_name="reviews"
        ),
        stage_name="v1",
        thresholds=ApiThresholds(server_error_rate=0.01, latency_p99=cdk.Duration.seconds(2)),
    )
    monitoring.monitor_function(
        lambda_.Function.from_function_name(stack, "Classify", "reviews-classify"), name="ClassifyFunction"
    )
    monitoring.monitor_endpoint(
        Endpoint.from_endpoint_name(stack, "Endpoint", "reviews"),
        name="ReviewsEndpoint",
        thresholds=EndpointThresholds(
            model_latency=cdk.Duration.millis(500),
            # Twice in a quarter of an hour is enough to look.
            evaluation=Evaluation(period=cdk.Duration.minutes(5), datapoints_to_alarm=2, evaluation_periods=3),
        ),
    )


if __name__ == "__main__":
    app = cdk.App()
    build(app)
    app.synth()
