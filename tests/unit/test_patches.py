"""Each patch: the gap that MiniStack has without it, and that it is closed with it.

When one of the first assertions fails, MiniStack has mended or moved what we patch: remove or adapt the patch.
"""

import json
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any
from unittest import mock

import pytest
from ministack import app
from ministack.core import iam_actions, lambda_runtime, router
from ministack.services import apigateway_v1, iam, sts
from ministack.services.cloudformation import provisioners, stacks

from sm_local import patches

_ROLE = "arn:aws:iam::000000000000:role/model"


@pytest.fixture(autouse=True)
def _restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Undo what a patch does to MiniStack's modules."""
    for module, name in (
        (app, "_EXECUTE_API_RE"),
        (iam_actions, "extract_resource_arn"),
        (stacks, "_runs_on_worker_thread"),
        (apigateway_v1, "_check_request_validation"),
        (apigateway_v1, "_gateway_error_response"),
        (lambda_runtime.Worker._drain_stderr_bounded, "__defaults__"),
    ):
        monkeypatch.setattr(module, name, getattr(module, name))
    with (
        mock.patch.dict(app.SERVICE_HANDLERS),
        mock.patch.dict(iam_actions.SERVICE_TO_IAM_NAMESPACE),
        mock.patch.dict(iam_actions._BOTOCORE_SERVICE_MAP),
        mock.patch.dict(provisioners._RESOURCE_HANDLERS),
        mock.patch.dict(sts._sessions),
    ):
        yield
    iam._roles.clear()


def test_the_patched_version_is_the_installed_one() -> None:
    assert version("ministack") == patches.MINISTACK_VERSION


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patches, "MINISTACK_VERSION", "0.0.1")
    with pytest.raises(RuntimeError, match=r"patches ministack 0\.0\.1, found 1\."):
        patches.apply(mock.Mock(), {})


def test_sagemaker_is_routed_and_authorized() -> None:
    runtime = {"authorization": "AWS4-HMAC-SHA256 Credential=AKIA/20260101/us-east-1/sagemaker/aws4_request"}
    path = "/endpoints/Reviews/invocations"
    assert router.detect_service("POST", path, runtime, {}) == "sagemaker"
    assert "sagemaker" not in app.SERVICE_HANDLERS
    assert iam_actions.extract_iam_action("sagemaker", "POST", path, {}, b"", {}) is None

    patches.add_sagemaker(mock.Mock())

    assert "sagemaker" in app.SERVICE_HANDLERS
    assert iam_actions.extract_iam_action("sagemaker", "POST", path, {}, b"", {}) == "sagemaker:InvokeEndpoint"
    arguments: tuple[Any, ...] = ("sagemaker", "POST", path, {}, b"", {}, "eu-west-1", "111111111111")
    assert iam_actions.extract_resource_arn(*arguments) == "arn:aws:sagemaker:eu-west-1:111111111111:endpoint/reviews"


@pytest.mark.parametrize(
    ("body", "resource"),
    [
        (b'{"ModelName": "A"}', "model/a"),
        (b'{"EndpointConfigName": "B"}', "endpoint-config/b"),
        (b'{"EndpointName": "C", "EndpointConfigName": "B"}', "endpoint/c"),
    ],
)
def test_a_control_plane_call_is_authorized_on_what_it_names(body: bytes, resource: str) -> None:
    assert patches.sagemaker_resource_arn("/", body, "us-east-1", "1").endswith(f":{resource}")


@pytest.mark.parametrize("body", [b"{}", b"{", b""])
def test_a_control_plane_call_that_names_nothing_is_authorized_on_everything(body: bytes) -> None:
    assert patches.sagemaker_resource_arn("/", body, "us-east-1", "1") == "*"


def test_resource_types_are_added_and_may_wait() -> None:
    assert "AWS::SageMaker::Endpoint" not in provisioners._RESOURCE_HANDLERS
    assert not stacks._runs_on_worker_thread("AWS::SageMaker::Endpoint")

    patches.add_resource_types({"AWS::SageMaker::Endpoint": {"create": mock.Mock()}})

    assert "AWS::SageMaker::Endpoint" in provisioners._RESOURCE_HANDLERS
    assert stacks._runs_on_worker_thread("AWS::SageMaker::Endpoint")
    assert stacks._runs_on_worker_thread("Custom::Something")
    assert not stacks._runs_on_worker_thread("AWS::S3::Bucket")


def test_the_host_that_cloudformation_prints_is_answered() -> None:
    host = "a1b2c3d4.execute-api.us-east-1.amazonaws.com"
    assert app._parse_execute_api_url(host, "/dev/v1/classifications") is None

    patches.map_execute_api_host()

    expected = ("a1b2c3d4", "dev", "/v1/classifications")
    assert app._parse_execute_api_url(host, "/dev/v1/classifications") == expected
    assert app._parse_execute_api_url("a1b2c3d4.execute-api.localhost", "/dev/v1/classifications") == expected
    assert app._parse_execute_api_url("127.0.0.1:4566", "/v1/classifications") is None


def _method_with_validator() -> dict[str, Any]:
    """Create an API, a validator and a method as CloudFormation does; return the method."""
    handlers = provisioners._RESOURCE_HANDLERS
    api, _ = handlers["AWS::ApiGateway::RestApi"]["create"]("Api", {"Name": "api"}, "stack")
    validator, _ = handlers["AWS::ApiGateway::RequestValidator"]["create"](
        "Validator", {"RestApiId": api, "ValidateRequestBody": True}, "stack"
    )
    (root,) = apigateway_v1._resources[api]
    properties = {"RestApiId": api, "ResourceId": root, "HttpMethod": "POST", "RequestValidatorId": validator}
    handlers["AWS::ApiGateway::Method"]["create"]("Method", properties, "stack")
    method: dict[str, Any] = apigateway_v1._resources[api][root]["resourceMethods"]["POST"]
    return method | {"api": api}


def test_a_method_keeps_its_request_validator() -> None:
    assert _method_with_validator()["requestValidatorId"] is None

    patches.keep_request_validators()

    method = _method_with_validator()
    assert apigateway_v1._request_validators[method["api"]][method["requestValidatorId"]]["validateRequestBody"]


def _check(content_type: str, body: bytes, request: dict[str, Any] | None = None) -> Any:
    """Let MiniStack check a request against a model that wants an object with `texts`."""
    method = {"requestValidatorId": "v", "requestModels": {"application/json": "M"}}
    schema = {"type": "object", "required": ["texts"]}
    with (
        mock.patch.object(apigateway_v1, "_request_validators", {"api": {"v": {"validateRequestBody": True}}}),
        mock.patch.object(apigateway_v1, "_model_schema", return_value=schema),
    ):
        return apigateway_v1._check_request_validation(
            method, "api", request or {}, {"content-type": content_type}, body, {}
        )


def test_a_body_over_ten_megabytes_is_refused() -> None:
    body = json.dumps({"texts": ["x" * patches.API_GATEWAY_PAYLOAD_BYTES]}).encode()
    assert _check("application/json", body) is None

    patches.check_requests_as_api_gateway_does()

    assert _check("application/json", body).response_type == "REQUEST_TOO_LARGE"
    assert _check("application/json", b'{"texts": []}') is None


def test_only_the_model_of_the_content_type_is_applied() -> None:
    assert _check("text/plain", b"{}") is not None

    patches.check_requests_as_api_gateway_does()

    assert _check("text/plain", b"{}") is None
    assert _check("application/json; charset=utf-8", b"{}").response_type == "BAD_REQUEST_BODY"


def test_a_refused_body_is_told_what_is_wrong_with_it() -> None:
    request: dict[str, Any] = {
        "api_id": "api",
        "stage": {"deploymentId": "d"},
        "stage_name": "dev",
        "resource_path": "/",
        "request_id": "r",
        "headers": {},
    }
    template = '{"detail": "$context.error.validationErrorString"}'
    custom = {"api": {"d": {"BAD_REQUEST_BODY": {"responseTemplates": {"application/json": template}}}}}

    def answer() -> Any:
        with mock.patch.object(apigateway_v1, "_deployed_gateway_responses", custom):
            refusal = _check("application/json", b"[1]", request)
            return json.loads(apigateway_v1._gateway_error_response(refusal, request)[2])["detail"]

    assert answer() == "$context.error.validationErrorString"

    patches.check_requests_as_api_gateway_does()
    patches.say_what_is_wrong_with_a_body()

    assert answer() == "[[1] is not of type 'object']"


@pytest.mark.parametrize(
    ("body", "words"),
    [(b"{", "[not a JSON document]"), (b"{}", "['texts' is a required property]"), (b"", "[not a JSON document]")],
)
def test_what_is_wrong_with_a_body_is_said_in_brackets(body: bytes, words: str) -> None:
    assert patches.validation_errors({"type": "object", "required": ["texts"]}, body) == words


def test_a_silent_function_is_not_waited_for() -> None:
    drain = lambda_runtime.Worker._drain_stderr_bounded
    assert drain.__defaults__[0] == 0.05

    patches.answer_without_waiting_for_logs()

    assert drain.__defaults__[0] == 0.002


def _create_role(service: str) -> None:
    trust = {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": service}}]}
    reading = {"Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}]}
    iam._roles["model"] = {
        "AssumeRolePolicyDocument": json.dumps(trust),
        "InlinePolicies": {"p": json.dumps(reading)},
    }


def test_a_service_assumes_only_roles_that_trust_it() -> None:
    _create_role("sagemaker.amazonaws.com")
    credentials = patches.service_session(_ROLE, "sagemaker.amazonaws.com", "SageMaker")

    assert sts._sessions[credentials["aws_access_key_id"]]["Arn"].endswith(":assumed-role/model/SageMaker")
    assert credentials == patches.service_session(_ROLE, "sagemaker.amazonaws.com", "SageMaker")
    with pytest.raises(PermissionError, match=r"allows principal 'lambda\.amazonaws\.com' to assume"):
        patches.service_session(_ROLE, "lambda.amazonaws.com", "SageMaker")
    with pytest.raises(PermissionError, match="Could not assume role"):
        patches.service_session("arn:aws:iam::000000000000:role/none", "sagemaker.amazonaws.com", "SageMaker")


def test_what_a_role_allows_is_read_from_its_policies() -> None:
    _create_role("sagemaker.amazonaws.com")
    assert patches.role_allows(_ROLE, "s3:GetObject", "arn:aws:s3:::b/key", "us-east-1")
    assert not patches.role_allows(_ROLE, "s3:PutObject", "arn:aws:s3:::b/key", "us-east-1")
    assert not patches.role_allows(_ROLE, "s3:GetObject", "arn:aws:s3:::other/key", "us-east-1")
