"""The REST API that classifies texts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from aws_cdk import Duration, Names, RemovalPolicy, Token
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from sm_constructs._access_log import ACCESS_LOG
from sm_constructs._endpoint_environment import endpoint_environment, endpoint_problems
from sm_constructs._function import function_problems
from sm_constructs._function_settings import FunctionSettings
from sm_constructs._gateway_responses import add_problem_responses
from sm_constructs._job_routes import AddMethod, add_job_routes
from sm_constructs._log_groups import log_group
from sm_constructs._sources import source_directory
from sm_constructs._validation import Problems
from sm_constructs.lambda_platform import LambdaPlatform
from sm_constructs.preprocessing import TextPreprocessor
from sm_constructs.queue import ClassificationQueue

if TYPE_CHECKING:
    from sm_constructs.batch_transform import BatchTransform
    from sm_constructs.training import TrainingWorkflow

# API Gateway gives an integration 29 seconds; the function ends first, so that it is the one to answer.
_LONGEST_TIMEOUT_SECONDS = 28
_INTEGRATION_TIMEOUT_SECONDS = 29

# The construct id of a body's model, and what it is.
_REQUESTS = {
    "classification_request": ("Request", "Texts to classify: the body of POST /v1/classifications and POST /v1/jobs"),
    "feedback_request": ("Feedback", "A corrected label: the body of POST /v1/feedback"),
    "transform_request": ("Transform", "Which files to label: the body of POST /v1/transforms"),
    "training_request": ("Training", "What to train on, and how: the body of POST /v1/trainings"),
}

_STAGE_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")


class ClassificationApi(Construct):
    """Define a regional REST API with ``POST /v1/classifications``, and the Lambda function behind it.

    API Gateway checks who calls and whether the body is as the JSON schema in ``lambda_src`` says, limits the rate,
    and answers errors as ``application/problem+json``. Access logs (one JSON line for each request, without
    bodies), execution logs of errors and X-Ray tracing are on.

    API Gateway writes its logs with a role that is set once for a whole account and region, so no stack of this
    library sets it; where none is set, creating the stage fails. ``make deploy`` looks first, and says what to do.

    Args:
        scope: The parent construct.
        construct_id: The id within the parent.
        endpoint: The endpoint that classifies: with a model, and neither asynchronous nor with inference components.
        preprocessor: Annotates texts, for requests with ``"annotations": true``. When omitted: such requests are
            refused.
        queue: Takes jobs, by ``POST /v1/jobs`` and ``GET /v1/jobs/{job_id}``. When omitted: there are no such paths.
        training: Is started by ``POST /v1/trainings`` and looked at by ``GET /v1/trainings/{training_id}``. When
            omitted: there are no such paths.
        feedback: Whether ``training`` gets corrected labels by ``POST /v1/feedback``. For these the texts of each
            request are kept in its artifacts, under ``results/requests/``, for 30 days where the store made the
            bucket. When omitted: it does. False: there is no such path, and no text is kept.
        transform: Is started by ``POST /v1/transforms`` and looked at by ``GET /v1/transforms/{transform_id}``. When
            omitted: there are no such paths.
        authorization: Who may call: ``AuthorizationType.IAM``, an authorizer of your own, or, for an API that
            is open to the whole internet, ``AuthorizationType.NONE``. When omitted: IAM, so callers sign with
            credentials that :meth:`grant_invoke` allows.
        stage_name: The first part of the API's paths. When omitted: ``"live"``.
        throttling_rate_limit: Requests per second that all callers together may make, lastingly. When omitted:
            50.
        throttling_burst_limit: Requests at the same time, before the rate limit counts. When omitted: 100.
        memory_size_mb: Memory of the function in MB, 128 to 10,240. When omitted: 512 MB.
        timeout: How long the function may take, 1 to 28 seconds; its calls to the endpoint and the
            preprocessor fit into it. When omitted: 28 seconds.
        reserved_concurrent_executions: How many requests are worked on at the same time at most; taken out of
            what the account's other functions share. When omitted: no limit but the account's.
        log_retention: How long logs are kept. When omitted: one month.
        removal_policy: What happens to the logs when the stack is deleted. When omitted: they are kept.
        vpc: The VPC that the function runs in, in its private subnets; it reaches the endpoint from there. When
            omitted: Lambda's own network.
        encryption_key: The KMS key for environment variables and logs. Its policy is made to let CloudWatch
            Logs use it, which for an imported key is up to its owner. When omitted: keys that AWS manages.
        lambda_platform: Python version and architecture of the function. When omitted: Python 3.13 on arm64.

    Attributes:
        rest_api: The API.
        method: ``POST /v1/classifications``.
        classify_function: The function behind it.
        job_functions: Those behind the paths of jobs, by what they do: ``submit`` and ``look``; none without a queue.
        training_functions: Those behind the paths of trainings, by what they do: ``train``, ``watch`` and, with
            ``feedback``, ``correct``; none without ``training``.
        transform_functions: Those behind the paths of transforms: ``start`` and ``look``; none without ``transform``.
        api_url: Where the API is, ending in a slash: callers append ``v1/classifications``.

    Raises:
        InvalidPropsError: Arguments that AWS would refuse, all of them at once; or the function's dependencies
            have not been bundled, with the command that does it.

    Example: ``docs/examples/classification_api.py``.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        endpoint: sagemaker.IEndpoint,
        preprocessor: TextPreprocessor | None = None,
        queue: ClassificationQueue | None = None,
        training: TrainingWorkflow | None = None,
        feedback: bool = True,
        transform: BatchTransform | None = None,
        authorization: apigateway.AuthorizationType | apigateway.IAuthorizer = apigateway.AuthorizationType.IAM,
        stage_name: str = "live",
        throttling_rate_limit: int = 50,
        throttling_burst_limit: int = 100,
        memory_size_mb: int = 512,
        timeout: Duration | None = None,
        reserved_concurrent_executions: int | None = None,
        log_retention: logs.RetentionDays = logs.RetentionDays.ONE_MONTH,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
        vpc: ec2.IVpc | None = None,
        encryption_key: kms.IKey | None = None,
        lambda_platform: LambdaPlatform | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        timeout = timeout or Duration.seconds(_LONGEST_TIMEOUT_SECONDS)
        platform = lambda_platform or LambdaPlatform()

        problems = Problems()
        problems.extend(endpoint_problems(endpoint))
        problems.unless(
            authorization not in (apigateway.AuthorizationType.CUSTOM, apigateway.AuthorizationType.COGNITO),
            f"authorization is {authorization}: hand in the authorizer itself",
        )
        problems.extend(
            api_stage_problems(
                "stage_name",
                stage_name,
                throttling_rate_limit=throttling_rate_limit,
                throttling_burst_limit=throttling_burst_limit,
            )
        )
        function_problems(
            problems,
            memory_size_mb=memory_size_mb,
            timeout=timeout,
            longest_timeout_seconds=_LONGEST_TIMEOUT_SECONDS,
            reserved_concurrent_executions=reserved_concurrent_executions,
            lambda_platform=platform,
        )
        problems.raise_for(self)

        def make_log_group(log_group_id: str, execution_logs_of: str | None = None) -> logs.LogGroup:
            return log_group(
                self,
                log_group_id,
                retention=log_retention,
                removal_policy=removal_policy,
                encryption_key=encryption_key,
                execution_logs_of=execution_logs_of,
            )

        self.rest_api: apigateway.RestApi = self._rest_api(
            stage_name, throttling_rate_limit, throttling_burst_limit, make_log_group("AccessLogs")
        )
        # Made before the stage, or API Gateway makes it, unencrypted and kept for ever.
        self.rest_api.deployment_stage.node.add_dependency(
            make_log_group("ExecutionLogs", f"{self.rest_api.rest_api_id}/{stage_name}")
        )
        settings = FunctionSettings(
            memory_size_mb=memory_size_mb,
            log_retention=log_retention,
            removal_policy=removal_policy,
            vpc=vpc,
            encryption_key=encryption_key,
            lambda_platform=platform,
        )
        self.classify_function: lambda_.Function = settings.function(
            self,
            "Classify",
            handler="classify",
            # Of the function's time a seventh, 4 of 28 seconds, is left to read the request and to answer.
            environment={
                **endpoint_environment(endpoint, preprocessor, timeout.to_seconds() * 6 / 7),
                **({"REQUESTS_BUCKET": training.artifacts.bucket.bucket_name} if training and feedback else {}),
            },
            timeout=timeout,
            reserved_concurrent_executions=reserved_concurrent_executions,
        )
        endpoint.grant_invoke(self.classify_function)
        if preprocessor is not None:
            preprocessor.grant_invoke(self.classify_function)
        if training is not None and feedback:
            training.artifacts.requests.grant_put(self.classify_function)
        add_method = self._method_factory(authorization)
        version = self.rest_api.root.add_resource("v1")
        self.method: apigateway.Method = add_method(
            version.add_resource("classifications"), "POST", self.classify_function, "classification_request"
        )
        self._methods: list[apigateway.Method] = [self.method]
        self.job_functions: dict[str, lambda_.Function] = {}
        if queue is not None:
            methods, self.job_functions = add_job_routes(
                self, version=version, queue=queue, settings=settings, timeout=timeout, add_method=add_method
            )
            self._methods += methods
        self.training_functions: dict[str, lambda_.Function] = {}
        if training is not None:
            from sm_constructs._training_routes import add_training_routes  # only who trains pays for its import

            methods, self.training_functions = add_training_routes(
                self,
                version=version,
                training=training,
                feedback=feedback,
                queue=queue,
                settings=settings,
                timeout=timeout,
                add_method=add_method,
            )
            self._methods += methods
        self.transform_functions: dict[str, lambda_.Function] = {}
        if transform is not None:
            from sm_constructs._transform_routes import add_transform_routes

            methods, self.transform_functions = add_transform_routes(
                self, version=version, transform=transform, settings=settings, timeout=timeout, add_method=add_method
            )
            self._methods += methods
        self.api_url: str = self.rest_api.url

    def grant_invoke(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow to call every method of the API, where callers are authorized by IAM."""
        grant = self.method.grant_execute(grantee)
        for method in self._methods[1:]:
            grant = grant.combine(method.grant_execute(grantee))
        return grant

    def _rest_api(
        self, stage_name: str, rate_limit: int, burst_limit: int, access_logs: logs.ILogGroup
    ) -> apigateway.RestApi:
        api = apigateway.RestApi(
            self,
            "RestApi",
            # CloudWatch tells APIs apart by this name, so it is unique.
            rest_api_name=Names.unique_resource_name(self, max_length=128, separator="-"),
            # It would replace the role of the whole account.
            cloud_watch_role=False,
            endpoint_types=[apigateway.EndpointType.REGIONAL],
            deploy_options=apigateway.StageOptions(
                access_log_destination=apigateway.LogGroupLogDestination(access_logs),
                access_log_format=apigateway.AccessLogFormat.custom(json.dumps(ACCESS_LOG)),
                data_trace_enabled=False,  # it would log texts
                logging_level=apigateway.MethodLoggingLevel.ERROR,
                stage_name=stage_name,
                throttling_burst_limit=burst_limit,
                throttling_rate_limit=rate_limit,
                tracing_enabled=True,
            ),
        )
        api.node.try_remove_child("Endpoint")  # an output under a name that nobody can know: see api_url
        add_problem_responses(api)
        return api

    def _method_factory(self, authorization: apigateway.AuthorizationType | apigateway.IAuthorizer) -> AddMethod:
        authorization_type, authorizer = (
            (authorization, None) if isinstance(authorization, apigateway.AuthorizationType) else (None, authorization)
        )
        validator = self.rest_api.add_request_validator(
            "BodyValidator", validate_request_body=True, validate_request_parameters=True
        )

        models: dict[str, apigateway.IModel] = {}

        def add_method(
            resource: apigateway.IResource, verb: str, function: lambda_.IFunction, schema: str | None
        ) -> apigateway.Method:
            if schema is not None and schema not in models:
                models[schema] = self._request_model(schema)
            return resource.add_method(
                verb,
                apigateway.LambdaIntegration(
                    function,
                    allow_test_invoke=False,  # one permission less, for the console's test button
                    timeout=Duration.seconds(_INTEGRATION_TIMEOUT_SECONDS),
                ),
                authorization_type=authorization_type,
                authorizer=authorizer,
                # A body of another media type is not checked here, but refused by the function.
                request_models={"application/json": models[schema]} if schema is not None else None,
                request_validator=validator,
            )

        return add_method

    def _request_model(self, name: str) -> apigateway.IModel:
        """Define the model of a request's body, by the name of its JSON schema."""
        path = source_directory("lambda_src") / f"text_classification/schemas/{name}.json"
        construct_id, description = _REQUESTS[name]
        # The L2 takes a schema as structs, not as JSON, and with that loses what it has no names for.
        model = apigateway.CfnModel(
            self,
            f"{construct_id}Model",
            rest_api_id=self.rest_api.rest_api_id,
            content_type="application/json",
            description=description,
            schema=json.loads(path.read_text(encoding="utf-8")),
        )
        deployment = cast(apigateway.Deployment, self.rest_api.latest_deployment)
        deployment.node.add_dependency(model)
        deployment.add_to_logical_id(model.schema)
        return apigateway.Model.from_model_name(self, f"{construct_id}ModelName", model.ref)


def api_stage_problems(
    name: str, stage_name: str, *, throttling_rate_limit: int, throttling_burst_limit: int
) -> Iterator[str]:
    """Yield what API Gateway would refuse of a stage, whose name the argument ``name`` has."""
    problems = Problems()
    problems.unless(
        Token.is_unresolved(stage_name) or bool(_STAGE_NAME.fullmatch(stage_name)),
        f"{name} is {stage_name!r}: must be 1 to 128 letters, digits, hyphens or underscores",
    )
    problems.at_least("throttling_rate_limit", throttling_rate_limit, 1, "requests per second")
    problems.at_least("throttling_burst_limit", throttling_burst_limit, 1, "requests")
    yield from problems
