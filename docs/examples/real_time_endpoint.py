"""Two instances in a VPC of yours, cut off from the internet, their volumes under a key of yours, with an alarm."""

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns

from sm_constructs import Endpoint, Framework, Model, ModelData, RealTime


def build(app: cdk.App) -> None:
    """Define the stack in the app."""
    stack = cdk.Stack(app, "RealTimeEndpointExample")
    vpc = ec2.Vpc.from_vpc_attributes(
        stack,
        "Vpc",
        vpc_id="vpc-0a1b2c3d4e5f60718",
        availability_zones=["eu-west-1a", "eu-west-1b"],
        private_subnet_ids=["subnet-0a1b2c3d4e5f60718", "subnet-18f6e5d4c3b2a1700"],
        private_subnet_route_table_ids=["rtb-0a1b2c3d4e5f60718", "rtb-18f6e5d4c3b2a1700"],
    )
    models = s3.Bucket.from_bucket_name(stack, "Models", "reviews-models")
    model = Model(
        stack,
        "Model",
        data=ModelData.from_bucket(models, "2026-11-24/model.tar.gz"),
        framework=Framework.scikit_learn("1.9-0"),
        environment={"SAGEMAKER_MODEL_SERVER_WORKERS": "2"},
        vpc=vpc,
        network_isolation=True,
    )
    endpoint = Endpoint(
        stack,
        "Endpoint",
        model=model,
        variant=RealTime(instance_type="ml.m5.large", instance_count=2),
        encryption_key=kms.Key(stack, "VolumeKey", enable_key_rotation=True),
        endpoint_name="reviews",
    )

    alarm = cloudwatch.Alarm(
        stack,
        "ModelFails",
        metric=endpoint.metric_invocation_5xx_errors(statistic="Average", period=cdk.Duration.minutes(5)),
        threshold=0.01,
        evaluation_periods=3,
        treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
    )
    topic = sns.Topic.from_topic_arn(stack, "OnCall", stack.format_arn(service="sns", resource="on-call"))
    alarm.add_alarm_action(actions.SnsAction(topic))


if __name__ == "__main__":
    app = cdk.App()
    build(app)
    app.synth()
