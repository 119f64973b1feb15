"""Keep every classification in PostgreSQL, where SQL counts, compares and labels."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from sm_constructs import Endpoint, LambdaPlatform, ResultDatabase


def build(app: cdk.App) -> None:
    """Define the stack in the app."""
    stack = cdk.Stack(app, "ResultDatabaseExample")
    local = app.node.try_get_context("lambda_platform") == "local"
    # An endpoint that was deployed before, whose model reads and writes CSV.
    endpoint_name = app.node.try_get_context("endpoint") or "reviews"
    database = ResultDatabase(
        stack,
        "Database",
        endpoint=Endpoint.from_endpoint_name(stack, "Endpoint", endpoint_name),
        max_capacity=2,
        auto_pause_after=cdk.Duration.minutes(10),
        backup_retention=cdk.Duration.days(14),
        lambda_platform=LambdaPlatform.local() if local else None,
    )

    # Any function may save rows or ask; it needs no VPC.
    functions = iam.ServicePrincipal("lambda.amazonaws.com")
    writer = iam.Role(stack, "Writer", assumed_by=functions)
    reader = iam.Role(stack, "Reader", assumed_by=functions)
    database.grant_write(writer)
    database.grant_read(reader)
    cdk.CfnOutput(stack, "ClusterArn", value=database.cluster.cluster_arn)
    cdk.CfnOutput(stack, "SecretArn", value=database.secret.secret_arn)
    cdk.CfnOutput(stack, "DatabaseName", value=database.database_name)
    cdk.CfnOutput(stack, "WriterRoleName", value=writer.role_name)
    cdk.CfnOutput(stack, "ReaderRoleName", value=reader.role_name)


if __name__ == "__main__":
    app = cdk.App()
    build(app)
    app.synth()
