"""Patches of API Gateway."""

import json
from typing import Any
from unittest import mock

import pytest
from ministack import app
from ministack.services import (
    apigateway_v1,
)
from ministack.services.cloudformation import provisioners

from sm_local import patches


def test_the_host_that_cloudformation_prints_is_answered() -> None:
    host = "a1b2c3d4.execute-api.us-east-1.amazonaws.com"
    assert app._parse_execute_api_url(host, "/dev/v1/classifications") is None

    patches.api_gateway.map_execute_api_host()

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

    patches.api_gateway.keep_request_validators()

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
    body = json.dumps({"texts": ["x" * patches.api_gateway.API_GATEWAY_PAYLOAD_BYTES]}).encode()
    assert _check("application/json", body) is None

    patches.api_gateway.check_requests_as_api_gateway_does()

    assert _check("application/json", body).response_type == "REQUEST_TOO_LARGE"
    assert _check("application/json", b'{"texts": []}') is None


def test_only_the_model_of_the_content_type_is_applied() -> None:
    assert _check("text/plain", b"{}") is not None

    patches.api_gateway.check_requests_as_api_gateway_does()

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

    patches.api_gateway.check_requests_as_api_gateway_does()
    patches.api_gateway.say_what_is_wrong_with_a_body()

    assert answer() == "[[1] is not of type 'object']"


@pytest.mark.parametrize(
    ("body", "words"),
    [(b"{", "[not a JSON document]"), (b"{}", "['texts' is a required property]"), (b"", "[not a JSON document]")],
)
def test_what_is_wrong_with_a_body_is_said_in_brackets(body: bytes, words: str) -> None:
    assert patches.api_gateway.validation_errors({"type": "object", "required": ["texts"]}, body) == words
