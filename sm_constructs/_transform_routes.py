"""The part of the API that is about batch transforms."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from sm_constructs._function_settings import FunctionSettings
from sm_constructs._job_routes import AddMethod
from sm_constructs.batch_transform import BatchTransform


def add_transform_routes(
    scope: Construct,
    *,
    version: apigateway.Resource,
    transform: BatchTransform,
    settings: FunctionSettings,
    timeout: Duration,
    add_method: AddMethod,
) -> tuple[list[apigateway.Method], dict[str, lambda_.Function]]:
    """Define ``POST /v1/transforms`` and ``GET /v1/transforms/{transform_id}`` with a function for each.

    Returns:
        The methods, and the functions by what they do: ``start`` and ``look``.
    """

    def function(construct_id: str, handler: str) -> lambda_.Function:
        return settings.function(
            scope, construct_id, handler=handler, environment=transform.environment, timeout=timeout
        )

    functions = {
        "start": function("StartTransform", "start_transform"),
        "look": function("ReadTransform", "read_transform"),
    }
    transform.grant_start(functions["start"])
    transform.grant_look(functions["look"])
    transforms = version.add_resource("transforms")
    methods = [
        add_method(transforms, "POST", functions["start"], "transform_request"),
        add_method(transforms.add_resource("{transform_id}"), "GET", functions["look"], None),
    ]
    return methods, functions
