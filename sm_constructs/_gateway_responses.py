"""API Gateway's own errors as ``application/problem+json`` (RFC 9457), like those of the functions behind it."""

from __future__ import annotations

import json

from aws_cdk import aws_apigateway as apigateway

_TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    429: "Too Many Requests",
    500: "Internal Server Error",
    504: "Gateway Timeout",
}

# What API Gateway has to say, in quotes already; null where it says nothing.
_MESSAGE = "$context.error.messageString"

# The variables that a template can read do not have the status, so every type is listed, with AWS's own status:
# https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
_RESPONSES: dict[str, tuple[int, str]] = {
    "ACCESS_DENIED": (403, _MESSAGE),
    "API_CONFIGURATION_ERROR": (500, _MESSAGE),
    "AUTHORIZER_CONFIGURATION_ERROR": (500, _MESSAGE),
    "AUTHORIZER_FAILURE": (500, _MESSAGE),
    # API Gateway escapes the quotes in it, but does not put it in quotes.
    "BAD_REQUEST_BODY": (400, '"the body does not fit its JSON schema: $context.error.validationErrorString"'),
    "BAD_REQUEST_PARAMETERS": (400, _MESSAGE),
    # Signatures that cannot be read and keys that do not exist. Types with a status of their own keep theirs.
    "DEFAULT_4XX": (403, _MESSAGE),
    "DEFAULT_5XX": (500, _MESSAGE),
    "EXPIRED_TOKEN": (403, _MESSAGE),
    "INTEGRATION_FAILURE": (504, '"the service failed to answer: try again"'),
    "INTEGRATION_TIMEOUT": (504, '"the service did not answer in time: try again, or send fewer texts"'),
    "INVALID_API_KEY": (403, _MESSAGE),
    "INVALID_SIGNATURE": (403, _MESSAGE),
    "MISSING_AUTHENTICATION_TOKEN": (
        403,
        '"the request is not signed, or there is nothing at this path and method"',
    ),
    "QUOTA_EXCEEDED": (429, '"the quota is used up: try again when it is renewed"'),
    "REQUEST_TOO_LARGE": (413, '"the request is larger than the 10 MB that API Gateway takes: send fewer texts"'),
    "RESOURCE_NOT_FOUND": (404, _MESSAGE),
    "THROTTLED": (429, '"too many requests at once: wait, then try again"'),
    "UNAUTHORIZED": (401, _MESSAGE),
    "UNSUPPORTED_MEDIA_TYPE": (415, _MESSAGE),
    "WAF_FILTERED": (403, '"the request was refused by the firewall"'),
}


def add_problem_responses(api: apigateway.RestApi) -> None:
    """Make API Gateway answer as ``application/problem+json`` wherever it answers by itself."""
    for name, (status, detail) in _RESPONSES.items():
        api.add_gateway_response(
            "".join(word.capitalize() for word in name.split("_")),
            type=apigateway.ResponseType.of(name),
            status_code=str(status),
            response_headers={"Content-Type": "'application/problem+json'"},
            templates={"application/json": _template(status, detail)},
        )


def _template(status: int, detail: str) -> str:
    """Return a template whose ``detail`` is not quoted, because API Gateway's message brings its own quotes."""
    members = {"type": "about:blank", "title": _TITLES[status], "status": status, "detail": None}
    members["request_id"] = "$context.requestId"
    return json.dumps(members).replace("null", detail, 1)
