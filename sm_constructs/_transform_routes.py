"""The part of the API that is about batch transforms."""

from __future__ import annotations

import json
from typing import cast

from aws_cdk import Duration
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from sm_constructs._function_settings import FunctionSettings
from sm_constructs._job_routes import AddMethod
from sm_constructs._sources import source_directory
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
    start = add_method(transforms, "POST", functions["start"], True)
    _check_body(scope, start)
    look = add_method(transforms.add_resource("{transform_id}"), "GET", functions["look"], False)
    return [start, look], functions


def _check_body(scope: Construct, method: apigateway.Method) -> None:
    """Let API Gateway check the body of a method by the schema of transforms, and not by that of classifications."""
    path = source_directory("lambda_src") / "text_classification/schemas/transform_request.json"
    model = apigateway.CfnModel(
        scope,
        "TransformRequestModel",
        rest_api_id=method.api.rest_api_id,
        content_type="application/json",
        description="What to transform: the body of POST /v1/transforms",
        schema=json.loads(path.read_text(encoding="utf-8")),
    )
    resource = cast(apigateway.CfnMethod, method.node.default_child)
    resource.request_models = {"application/json": model.ref}
    deployment = cast(apigateway.Deployment, cast(apigateway.RestApi, method.api).latest_deployment)
    deployment.node.add_dependency(model)
    deployment.add_to_logical_id(model.schema)
