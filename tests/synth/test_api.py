"""ClassificationApi: what API Gateway checks, answers and logs, and what the function behind it may do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sagemaker as sagemaker

from sm_constructs import ClassificationApi, Endpoint, InvalidPropsError, LambdaPlatform, TextPreprocessor
from sm_constructs._sources import source_directory
from tests.synth.templates import all_of, only, resources_of, statement_for, statements

pytestmark = pytest.mark.usefixtures("bundles")

FUNCTION = "AWS::Lambda::Function"
LOG_GROUP = "AWS::Logs::LogGroup"
METHOD = "AWS::ApiGateway::Method"
RESPONSE = "AWS::ApiGateway::GatewayResponse"
STAGE = "AWS::ApiGateway::Stage"
SCHEMA = source_directory("lambda_src") / "text_classification/schemas/classification_request.json"


@pytest.fixture
def endpoint(stack: cdk.Stack) -> sagemaker.IEndpoint:
    return Endpoint.from_endpoint_name(stack, "Endpoint", "reviews")


def the_id(stack: cdk.Stack, resource_type: str) -> str:
    (name,) = (name for name, resource in resources_of(stack).items() if resource["Type"] == resource_type)
    return name


def problem(stack: cdk.Stack, response_type: str, **variables: str) -> dict[str, Any]:
    """The body of a gateway response as a caller gets it, when the variables have these values."""
    (response,) = (
        each["Properties"] for each in all_of(stack, RESPONSE) if each["Properties"]["ResponseType"] == response_type
    )
    template = response["ResponseTemplates"]["application/json"]
    for name, value in variables.items():
        template = template.replace(f"$context.{name.replace('_', '.', 1)}", value)
    body: dict[str, Any] = json.loads(template)
    return body


def test_the_method_is_post_v1_classifications_and_wants_iam_signatures(
    stack: cdk.Stack, endpoint: sagemaker.IEndpoint
) -> None:
    ClassificationApi(stack, "Api", endpoint=endpoint)

    method = only(stack, METHOD)
    paths = {resource["Properties"]["PathPart"] for resource in all_of(stack, "AWS::ApiGateway::Resource")}

    assert (method["HttpMethod"], method["AuthorizationType"]) == ("POST", "AWS_IAM")
    assert paths == {"v1", "classifications"}


def test_the_api_is_regional_and_its_url_ends_in_the_stage(stack: cdk.Stack, endpoint: sagemaker.IEndpoint) -> None:
    api = ClassificationApi(stack, "Api", endpoint=endpoint, stage_name="blue")

    assert only(stack, "AWS::ApiGateway::RestApi")["EndpointConfiguration"] == {"Types": ["REGIONAL"]}
    assert stack.resolve(api.api_url)["Fn::Join"][1][-2:] == [{"Ref": the_id(stack, STAGE)}, "/"]
    assert only(stack, STAGE)["StageName"] == "blue"


def test_bodies_are_checked_against_the_schema_that_the_functions_own(
    stack: cdk.Stack, endpoint: sagemaker.IEndpoint
) -> None:
    ClassificationApi(stack, "Api", endpoint=endpoint)

    model = only(stack, "AWS::ApiGateway::Model")
    method = only(stack, METHOD)

    assert model["Schema"] == json.loads(SCHEMA.read_text())
    assert method["RequestModels"] == {"application/json": {"Ref": the_id(stack, "AWS::ApiGateway::Model")}}
    assert method["RequestValidatorId"] == {"Ref": the_id(stack, "AWS::ApiGateway::RequestValidator")}
    assert only(stack, "AWS::ApiGateway::RequestValidator")["ValidateRequestBody"] is True


def test_another_schema_deploys_the_api_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def deployment_id() -> str:
        stack = cdk.Stack(cdk.App(), "Same")
        ClassificationApi(stack, "Api", endpoint=Endpoint.from_endpoint_name(stack, "Endpoint", "reviews"))
        return the_id(stack, "AWS::ApiGateway::Deployment")

    before, again = deployment_id(), deployment_id()
    schema = json.loads(SCHEMA.read_text())
    schema["properties"]["texts"]["maxItems"] = 7
    changed = tmp_path / SCHEMA.relative_to(source_directory("lambda_src"))
    changed.parent.mkdir(parents=True)
    changed.write_text(json.dumps(schema))
    monkeypatch.setattr("sm_constructs.api.source_directory", lambda _name: tmp_path)

    assert before == again
    assert deployment_id() != before


def test_requests_go_to_the_function_whole_and_only_the_api_may_invoke_it(
    stack: cdk.Stack, endpoint: sagemaker.IEndpoint
) -> None:
    ClassificationApi(stack, "Api", endpoint=endpoint)

    integration = only(stack, METHOD)["Integration"]
    permission = only(stack, "AWS::Lambda::Permission")

    assert (integration["Type"], integration["IntegrationHttpMethod"]) == ("AWS_PROXY", "POST")
    assert integration["TimeoutInMillis"] == 29_000
    assert permission["Principal"] == "apigateway.amazonaws.com"
    assert permission["SourceArn"]["Fn::Join"][1][-2:] == [
        {"Ref": the_id(stack, STAGE)},
        "/POST/v1/classifications",
    ]


def test_the_function_knows_the_endpoint_and_how_long_it_may_take(
    stack: cdk.Stack, endpoint: sagemaker.IEndpoint
) -> None:
    ClassificationApi(stack, "Api", endpoint=endpoint)

    function = only(stack, FUNCTION)

    assert function["Handler"] == "text_classification.handlers.classify.handler"
    assert (function["Timeout"], function["MemorySize"], function["Runtime"]) == (28, 512, "python3.13")
    assert function["TracingConfig"] == {"Mode": "Active"}
    assert function["Environment"]["Variables"] == {
        "ENDPOINT_NAME": "reviews",
        "ENDPOINT_TIMEOUT_SECONDS": "24.0",
        "POWERTOOLS_LOG_LEVEL": "INFO",
        "POWERTOOLS_METRICS_NAMESPACE": "TextClassification",
        "POWERTOOLS_SERVICE_NAME": "classify",
    }


def test_without_a_preprocessor_the_function_may_invoke_the_endpoint_only(
    stack: cdk.Stack, endpoint: sagemaker.IEndpoint
) -> None:
    ClassificationApi(stack, "Api", endpoint=endpoint)

    assert [each["Action"] for each in statements(stack)] == [
        ["logs:CreateLogStream", "logs:PutLogEvents"],
        ["xray:PutTelemetryRecords", "xray:PutTraceSegments"],
        "sagemaker:InvokeEndpoint",
    ]
    assert statement_for(stack, "sagemaker:InvokeEndpoint")["Resource"]["Fn::Join"][1][-1] == ":endpoint/reviews"


def test_with_a_preprocessor_the_function_knows_its_functions_and_may_invoke_them(
    stack: cdk.Stack, endpoint: sagemaker.IEndpoint
) -> None:
    preprocessor = TextPreprocessor(stack, "Preprocessor")
    ClassificationApi(stack, "Api", endpoint=endpoint, preprocessor=preprocessor)

    (classify,) = (
        each["Properties"] for each in all_of(stack, FUNCTION) if "classify" in each["Properties"]["Handler"]
    )
    names = {language: stack.resolve(function.function_name) for language, function in preprocessor.functions.items()}

    assert classify["Environment"]["Variables"]["PREPROCESSOR_FUNCTION_EN"] == names["en"]
    assert classify["Environment"]["Variables"]["PREPROCESSOR_FUNCTION_ZH"] == names["zh"]
    assert statement_for(stack, "lambda:InvokeFunction")["Resource"] == [
        {"Fn::GetAtt": [name["Ref"], "Arn"]} for name in names.values()
    ]


def test_each_error_of_api_gateways_own_is_a_problem_with_its_usual_status(
    stack: cdk.Stack, endpoint: sagemaker.IEndpoint
) -> None:
    ClassificationApi(stack, "Api", endpoint=endpoint)

    responses = {each["Properties"]["ResponseType"]: each["Properties"] for each in all_of(stack, RESPONSE)}
    assert {name: int(response["StatusCode"]) for name, response in responses.items()} == {
        "ACCESS_DENIED": 403,
        "API_CONFIGURATION_ERROR": 500,
        "AUTHORIZER_CONFIGURATION_ERROR": 500,
        "AUTHORIZER_FAILURE": 500,
        "BAD_REQUEST_BODY": 400,
        "BAD_REQUEST_PARAMETERS": 400,
        "DEFAULT_4XX": 403,
        "DEFAULT_5XX": 500,
        "EXPIRED_TOKEN": 403,
        "INTEGRATION_FAILURE": 504,
        "INTEGRATION_TIMEOUT": 504,
        "INVALID_API_KEY": 403,
        "INVALID_SIGNATURE": 403,
        "MISSING_AUTHENTICATION_TOKEN": 403,
        "QUOTA_EXCEEDED": 429,
        "REQUEST_TOO_LARGE": 413,
        "RESOURCE_NOT_FOUND": 404,
        "THROTTLED": 429,
        "UNAUTHORIZED": 401,
        "UNSUPPORTED_MEDIA_TYPE": 415,
        "WAF_FILTERED": 403,
    }
    for name, response in responses.items():
        body = problem(stack, name, error_messageString='"Forbidden"', requestId="r-1")
        assert list(body) == ["type", "title", "status", "detail", "request_id"]
        assert (body["status"], body["request_id"]) == (int(response["StatusCode"]), "r-1")
        assert body["detail"]
        assert response["ResponseParameters"] == {"gatewayresponse.header.Content-Type": "'application/problem+json'"}


def test_every_type_of_gateway_response_that_there_is_has_its_problem(
    stack: cdk.Stack, endpoint: sagemaker.IEndpoint
) -> None:
    ClassificationApi(stack, "Api", endpoint=endpoint)

    types = (getattr(apigateway.ResponseType, name) for name in dir(apigateway.ResponseType) if name.isupper())

    assert {each["Properties"]["ResponseType"] for each in all_of(stack, RESPONSE)} == {
        each.response_type for each in types
    }


def test_a_refused_body_is_told_what_api_gateway_found_wrong_with_it(
    stack: cdk.Stack, endpoint: sagemaker.IEndpoint
) -> None:
    ClassificationApi(stack, "Api", endpoint=endpoint)

    # As API Gateway renders it: quotes are escaped already, those around it are the template's.
    found = r"[object has missing required properties ([\"texts\"])]"

    assert problem(stack, "BAD_REQUEST_BODY", error_validationErrorString=found)["detail"] == (
        'the body does not fit its JSON schema: [object has missing required properties (["texts"])]'
    )


def test_api_gateway_may_have_nothing_to_say(stack: cdk.Stack, endpoint: sagemaker.IEndpoint) -> None:
    ClassificationApi(stack, "Api", endpoint=endpoint)

    assert problem(stack, "DEFAULT_5XX", error_messageString="null")["detail"] is None


def test_the_rate_is_limited_by_default_and_can_be_set(stack: cdk.Stack, endpoint: sagemaker.IEndpoint) -> None:
    ClassificationApi(stack, "Api", endpoint=endpoint)
    ClassificationApi(stack, "Busy", endpoint=endpoint, throttling_rate_limit=500, throttling_burst_limit=900)

    settings = [stage["Properties"]["MethodSettings"][0] for stage in all_of(stack, STAGE)]

    assert [(each["ThrottlingRateLimit"], each["ThrottlingBurstLimit"]) for each in settings] == [
        (50, 100),
        (500, 900),
    ]
    assert {(each["HttpMethod"], each["ResourcePath"]) for each in settings} == {("*", "/*")}


def test_requests_are_traced_and_logged_but_not_what_they_say(stack: cdk.Stack, endpoint: sagemaker.IEndpoint) -> None:
    ClassificationApi(stack, "Api", endpoint=endpoint)

    stage = only(stack, STAGE)
    (settings,) = stage["MethodSettings"]
    line = json.loads(stage["AccessLogSetting"]["Format"])

    assert stage["TracingEnabled"] is True
    assert (settings["LoggingLevel"], settings["DataTraceEnabled"]) == ("ERROR", False)
    assert {"requestId", "status", "errorMessage", "responseLatency", "caller"} <= line.keys()
    assert all(value.startswith("$context.") for value in line.values())


def test_all_logs_have_a_retention_and_the_execution_logs_group_is_there_before_the_stage(
    stack: cdk.Stack, endpoint: sagemaker.IEndpoint
) -> None:
    ClassificationApi(stack, "Api", endpoint=endpoint, log_retention=logs.RetentionDays.THREE_DAYS)

    groups = {name: each for name, each in resources_of(stack).items() if each["Type"] == LOG_GROUP}
    (execution,) = (name for name, group in groups.items() if "LogGroupName" in group["Properties"])
    (stage,) = all_of(stack, STAGE)

    assert [group["Properties"]["RetentionInDays"] for group in groups.values()] == [3, 3, 3]
    assert groups[execution]["Properties"]["LogGroupName"] == {
        "Fn::Join": [
            "",
            ["API-Gateway-Execution-Logs_", {"Ref": the_id(stack, "AWS::ApiGateway::RestApi")}, "/live"],
        ]
    }
    assert execution in stage["DependsOn"]


@pytest.mark.parametrize(("policy", "deletion"), [(cdk.RemovalPolicy.DESTROY, "Delete"), (None, "Retain")])
def test_logs_survive_the_stack_unless_told_otherwise(
    stack: cdk.Stack, endpoint: sagemaker.IEndpoint, policy: cdk.RemovalPolicy | None, deletion: str
) -> None:
    if policy is None:
        ClassificationApi(stack, "Api", endpoint=endpoint)
    else:
        ClassificationApi(stack, "Api", endpoint=endpoint, removal_policy=policy)

    assert {group["DeletionPolicy"] for group in all_of(stack, LOG_GROUP)} == {deletion}


def test_the_role_of_the_whole_account_is_left_alone(stack: cdk.Stack, endpoint: sagemaker.IEndpoint) -> None:
    ClassificationApi(stack, "Api", endpoint=endpoint)

    assert all_of(stack, "AWS::ApiGateway::Account") == []


def test_a_key_encrypts_all_logs_and_the_environment(stack: cdk.Stack, endpoint: sagemaker.IEndpoint) -> None:
    ClassificationApi(stack, "Api", endpoint=endpoint, encryption_key=kms.Key(stack, "Key"))

    arn = {"Fn::GetAtt": [the_id(stack, "AWS::KMS::Key"), "Arn"]}
    _, *added = only(stack, "AWS::KMS::Key")["KeyPolicy"]["Statement"]
    log_groups = [
        each["Condition"]["ArnLike"]["kms:EncryptionContext:aws:logs:arn"]["Fn::Join"][1][-1] for each in added
    ]

    assert [group["Properties"]["KmsKeyId"] for group in all_of(stack, LOG_GROUP)] == [arn, arn, arn]
    assert only(stack, FUNCTION)["KmsKeyArn"] == arn
    assert log_groups == [":log-group:Stack-*", ":log-group:API-Gateway-Execution-Logs_*"]


def test_an_imported_key_is_used_as_it_is(stack: cdk.Stack, endpoint: sagemaker.IEndpoint) -> None:
    arn = "arn:aws:kms:us-east-1:111122223333:key/1"
    ClassificationApi(stack, "Api", endpoint=endpoint, encryption_key=kms.Key.from_key_arn(stack, "Key", arn))

    assert {group["Properties"]["KmsKeyId"] for group in all_of(stack, LOG_GROUP)} == {arn}


def test_the_options_of_the_function_reach_it(stack: cdk.Stack, endpoint: sagemaker.IEndpoint) -> None:
    ClassificationApi(
        stack,
        "Api",
        endpoint=endpoint,
        memory_size_mb=256,
        timeout=cdk.Duration.seconds(7),
        reserved_concurrent_executions=5,
        lambda_platform=LambdaPlatform(python="3.12", architecture="x86_64"),
    )

    function = only(stack, FUNCTION)

    assert (function["MemorySize"], function["Timeout"]) == (256, 7)
    assert function["ReservedConcurrentExecutions"] == 5
    assert (function["Runtime"], function["Architectures"]) == ("python3.12", ["x86_64"])
    assert function["Environment"]["Variables"]["ENDPOINT_TIMEOUT_SECONDS"] == "6.0"


def test_an_api_is_open_only_when_that_is_said(stack: cdk.Stack, endpoint: sagemaker.IEndpoint) -> None:
    ClassificationApi(stack, "Api", endpoint=endpoint, authorization=apigateway.AuthorizationType.NONE)

    assert only(stack, METHOD)["AuthorizationType"] == "NONE"


def test_an_authorizer_of_ones_own_decides_instead_of_iam(stack: cdk.Stack, endpoint: sagemaker.IEndpoint) -> None:
    authorizer = apigateway.TokenAuthorizer(
        stack,
        "Authorizer",
        handler=lambda_.Function.from_function_arn(
            stack, "Decides", "arn:aws:lambda:us-east-1:111122223333:function:decides"
        ),
    )
    ClassificationApi(stack, "Api", endpoint=endpoint, authorization=authorizer)

    method = only(stack, METHOD)

    assert method["AuthorizationType"] == "CUSTOM"
    assert method["AuthorizerId"] == {"Ref": the_id(stack, "AWS::ApiGateway::Authorizer")}


def test_a_granted_caller_may_call_the_method_only(stack: cdk.Stack, endpoint: sagemaker.IEndpoint) -> None:
    api = ClassificationApi(stack, "Api", endpoint=endpoint)
    role = iam.Role(stack, "Caller", assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"))

    assert api.grant_invoke(role).success

    assert statement_for(stack, "execute-api:Invoke")["Resource"] == stack.resolve(api.method.method_arn)


def test_two_apis_live_in_one_stack_and_metrics_tell_them_apart(
    stack: cdk.Stack, endpoint: sagemaker.IEndpoint
) -> None:
    ClassificationApi(stack, "First", endpoint=endpoint)
    ClassificationApi(stack, "Second", endpoint=endpoint)

    names = [api["Properties"]["Name"] for api in all_of(stack, "AWS::ApiGateway::RestApi")]

    assert len(set(names)) == 2
    assert all(name.isascii() for name in names)


def test_every_wrong_argument_is_named_at_once(stack: cdk.Stack, endpoint: sagemaker.IEndpoint) -> None:
    with pytest.raises(InvalidPropsError, match="ClassificationApi 'Stack/Api'") as caught:
        ClassificationApi(
            stack,
            "Api",
            endpoint=endpoint,
            authorization=apigateway.AuthorizationType.CUSTOM,
            stage_name="v1/live",
            throttling_rate_limit=0,
            throttling_burst_limit=0,
            memory_size_mb=100_000,
            timeout=cdk.Duration.seconds(29),
            reserved_concurrent_executions=-5,
            lambda_platform=LambdaPlatform(architecture="sparc"),
        )

    assert list(caught.value.problems) == [
        "authorization is AuthorizationType.CUSTOM: hand in the authorizer itself",
        "stage_name is 'v1/live': must be 1 to 128 letters, digits, hyphens or underscores",
        "throttling_rate_limit is 0 requests per second: must be at least 1",
        "throttling_burst_limit is 0 requests: must be at least 1",
        "memory_size_mb is 100000 MB: must be from 128 to 10240 MB",
        "timeout is 29 seconds: must be whole seconds from 1 to 28",
        "reserved_concurrent_executions is -5: must be at least 0",
        "lambda_platform: architecture is 'sparc': must be one of 'arm64', 'x86_64'",
    ]
