"""API Gateway: its host, and the checks of requests."""

from __future__ import annotations

import json
import re
from typing import Any

from sm_local.patches.core import Response

# https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html
API_GATEWAY_PAYLOAD_BYTES = 10 * 1024 * 1024

_VALIDATION_ERROR = "validation_error"


def map_execute_api_host() -> None:
    """MiniStack knows only ``{api}.execute-api.localhost``: answer for the host that CloudFormation prints."""
    from ministack import app

    app._EXECUTE_API_RE = re.compile(r"^([a-z0-9]+)\.execute-api\.(?:[a-z0-9-]+\.amazonaws\.com|localhost)(?::\d+)?$")


def keep_request_validators() -> None:
    """MiniStack's CloudFormation makes no request validator, and drops it from methods: do both.

    Its API Gateway checks bodies against models once it knows which validator a method has.
    """
    from ministack.services import apigateway_v1
    from ministack.services.cloudformation import provisioners

    def create(_logical_id: str, properties: dict[str, Any], _stack: str) -> tuple[str, dict[str, str]]:
        wanted = {
            "name": properties.get("Name", ""),
            "validateRequestBody": properties.get("ValidateRequestBody", False),
            "validateRequestParameters": properties.get("ValidateRequestParameters", False),
        }
        _status, _headers, body = apigateway_v1._create_request_validator(properties["RestApiId"], wanted)
        identifier = json.loads(body)["id"]
        return identifier, {"RequestValidatorId": identifier}

    def update(identifier: str, _old: dict[str, Any], new: dict[str, Any], stack: str) -> tuple[str, dict[str, str]]:
        return create(identifier, new, stack)

    def delete(identifier: str, properties: dict[str, Any]) -> None:
        apigateway_v1._delete_request_validator(properties["RestApiId"], identifier)

    handlers = provisioners._RESOURCE_HANDLERS
    handlers["AWS::ApiGateway::RequestValidator"] = {"create": create, "update": update, "delete": delete}

    method = handlers["AWS::ApiGateway::Method"]
    create_method, update_method = method["create"], method["update"]

    def attach(properties: dict[str, Any]) -> None:
        resource = apigateway_v1._resources[properties["RestApiId"]][properties["ResourceId"]]
        stored = resource["resourceMethods"][properties["HttpMethod"]]
        stored["requestValidatorId"] = properties.get("RequestValidatorId")

    def create_with_validator(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
        created = create_method(logical_id, properties, stack)
        attach(properties)
        return created

    def update_with_validator(identifier: str, old: dict[str, Any], new: dict[str, Any], stack: str) -> Any:
        updated = update_method(identifier, old, new, stack)
        attach(new)
        return updated

    handlers["AWS::ApiGateway::Method"] = {
        **method,
        "create": create_with_validator,
        "update": update_with_validator,
    }


def check_requests_as_api_gateway_does() -> None:
    """MiniStack accepts bodies of any size, and checks one of any content type against the JSON model.

    API Gateway refuses more than 10 MB, and checks a body only against the model of its content type.
    """
    from ministack.services import apigateway_v1

    check = apigateway_v1._check_request_validation

    def check_as_aws_does(
        method: dict[str, Any], api_id: str, request: Any, headers: Any, body: bytes, query: Any
    ) -> Any:
        if len(body or b"") > API_GATEWAY_PAYLOAD_BYTES:
            return apigateway_v1._gw_error("REQUEST_TOO_LARGE", "Request Too Long")
        content_type = (apigateway_v1._header_ci(headers, "content-type") or "application/json").split(";", 1)[0]
        model = (method.get("requestModels") or {}).get(content_type.strip().lower())
        refusal = check(
            {**method, "requestModels": {content_type: model} if model else {}}, api_id, request, headers, body, query
        )
        if refusal is not None and refusal.response_type == "BAD_REQUEST_BODY":
            request[_VALIDATION_ERROR] = validation_errors(apigateway_v1._model_schema(api_id, model), body)
        return refusal

    apigateway_v1._check_request_validation = check_as_aws_does


def say_what_is_wrong_with_a_body() -> None:
    """MiniStack leaves ``$context.error.validationErrorString`` in gateway responses as it stands: fill it in."""
    from ministack.services import apigateway_v1

    respond = apigateway_v1._gateway_error_response

    def respond_with_reason(error: Any, request: dict[str, Any]) -> Response:
        status, headers, body = respond(error, request)
        reason = json.dumps(request.get(_VALIDATION_ERROR, ""), ensure_ascii=False)[1:-1]
        return status, headers, body.replace(b"$context.error.validationErrorString", reason.encode())

    apigateway_v1._gateway_error_response = respond_with_reason


def validation_errors(schema: dict[str, Any], body: bytes) -> str:
    """Return what is wrong with a body, in brackets as API Gateway has it, though in other words.

    >>> validation_errors({"properties": {"language": {"enum": ["en", "zh"]}}}, b'{"language": "fr"}')
    "[language: 'fr' is not one of ['en', 'zh']]"
    """
    from jsonschema import Draft4Validator

    try:
        document = json.loads(body)
    except (ValueError, TypeError):
        return "[not a JSON document]"
    found = []
    for error in sorted(Draft4Validator(schema).iter_errors(document), key=str):
        where = ".".join(str(part) for part in error.absolute_path)
        words = (
            error.message if len(error.message) < 200 else f"is refused by {error.validator}: {error.validator_value}"
        )
        found.append(f"{where}: {words}" if where else words)
    return f"[{', '.join(found)}]"
