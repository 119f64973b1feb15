"""The part of the API that is about jobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aws_cdk import Duration
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from sm_constructs._function_settings import FunctionSettings
from sm_constructs.queue import ClassificationQueue

AddMethod = Callable[[apigateway.IResource, str, lambda_.IFunction, str | None], apigateway.Method]
"""Makes a method of a resource; the last argument names the JSON schema of its body, where it has one."""


def add_job_routes(
    scope: Construct,
    *,
    version: apigateway.Resource,
    queue: ClassificationQueue,
    settings: FunctionSettings,
    timeout: Duration,
    add_method: AddMethod,
) -> tuple[list[apigateway.Method], dict[str, lambda_.Function]]:
    """Define ``POST /v1/jobs`` and ``GET /v1/jobs/{job_id}`` with a function for each.

    Returns:
        The methods, and the functions by what they do: ``submit`` and ``look``.
    """

    def function(construct_id: str, handler: str, environment: Mapping[str, str]) -> lambda_.Function:
        return settings.function(scope, construct_id, handler=handler, environment=environment, timeout=timeout)

    functions = {
        "submit": function("SubmitJob", "submit_job", queue.accepting_environment),
        "look": function("ReadJob", "read_job", queue.environment),
    }
    queue.grant_accept(functions["submit"])
    queue.grant_look(functions["look"])
    jobs = version.add_resource("jobs")
    methods = [
        add_method(jobs, "POST", functions["submit"], "classification_request"),
        add_method(jobs.add_resource("{job_id}"), "GET", functions["look"], None),
    ]
    return methods, functions
