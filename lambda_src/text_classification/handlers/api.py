"""Answers to API Gateway: JSON when all went well, problem details (RFC 9457) for everything else."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from text_classification.gateways.errors import (
    GatewayError,
    MisconfiguredError,
    RejectedError,
    TimedOutError,
    UnavailableError,
)
from text_classification.handlers.telemetry import logger
from text_classification.logic.errors import ConflictError, NotFoundError
from text_classification.logic.requests import InvalidRequestError, TooLargeError

ProxyEvent = Mapping[str, Any]
"""An event of API Gateway's Lambda proxy integration for REST APIs."""

ProxyResponse = dict[str, Any]

_RETRY_AFTER_SECONDS = 5
_MAX_CAUSE = 300

_TITLES = {
    400: "Bad Request",
    404: "Not Found",
    409: "Conflict",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


class UnsupportedMediaTypeError(Exception):
    """The body's media type is none that the operation reads. The message says which came and which it reads."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """Problem details: the status and what is wrong, in words for the caller."""

    status: int
    detail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What an operation answers when all went well.

    Args:
        body: The fields of the answer, which are completed by ``request_id``.
        status: When omitted: 200.
        headers: Beside the content type. When omitted: none.
    """

    body: Mapping[str, object]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def respond(event: ProxyEvent, operation: Callable[[ProxyEvent], Answer]) -> ProxyResponse:
    """Answer a request with what ``operation`` returns for it, or with the problem it raises.

    Never raises: an exception would reach the caller as API Gateway's own error, without a reason.

    Args:
        event: What API Gateway sent.
        operation: Gets the event.
    """
    request_id = (event.get("requestContext") or {}).get("requestId", "")
    logger.append_keys(request_id=request_id)  # the id that the caller is given
    try:
        answer = operation(event)
    except Exception as error:  # see above; what is not expected is logged with its stack trace
        return _problem_response(_problem(error), request_id)
    body = {**answer.body, "request_id": request_id}
    return _response(answer.status, "application/json", body, answer.headers)


def header(event: ProxyEvent, name: str) -> str | None:
    """Return a header, whose name may be written in any case."""
    headers = {each.lower(): value for each, value in (event.get("headers") or {}).items()}
    value: str | None = headers.get(name.lower())
    return value


def caller(event: ProxyEvent) -> str:
    """Return who calls, so that nobody meets another's key: the role of a session, a user, or an authorizer's word."""
    context = event["requestContext"]
    name = (context.get("identity") or {}).get("caller") or (context.get("authorizer") or {}).get("principalId") or ""
    return str(name).partition(":")[0]


def json_body(event: ProxyEvent, example: str = '{"texts": ["…"]}') -> bytes:
    """Return the body of a request.

    Args:
        event: What API Gateway sent.
        example: What a body may be, for whoever sent none.

    Raises:
        UnsupportedMediaTypeError: It is said to be something else than JSON.
        InvalidRequestError: There is none, or it cannot be decoded.
    """
    # API Gateway takes a body without a type for JSON too.
    content_type = header(event, "Content-Type") or "application/json"
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise UnsupportedMediaTypeError(f"the content type is {content_type[:100]!r}: must be application/json")
    body: str | None = event.get("body")
    if not body:
        raise InvalidRequestError(
            [f"the body is missing: send a JSON object such as {example}"], kinds=["body_missing"]
        )
    if not event.get("isBase64Encoded"):
        # Halves of surrogate pairs become bytes that are not UTF-8, which the JSON parser then points at.
        return body.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequestError(["the body is marked as base64 and is not"], kinds=["base64_invalid"]) from None


def _problem(error: Exception) -> Problem:
    """Log an error and say what the caller may know of it."""
    match error:
        case InvalidRequestError():
            logger.warning("request refused", problems=error.kinds)
            return Problem(status=413 if isinstance(error, TooLargeError) else 400, detail=str(error))
        case UnsupportedMediaTypeError():
            logger.warning("request refused", problems=["media_type"])
            return Problem(status=415, detail=str(error))
        case NotFoundError():
            return Problem(status=404, detail=str(error))
        case ConflictError():
            logger.warning("request refused", problems=["conflict"])
            return Problem(status=409, detail=str(error))
        case GatewayError():
            return _gateway_problem(error)
        case _:
            logger.exception("unexpected error")
            return Problem(status=500, detail="an error that was not expected: the log has it by the request_id")


def _gateway_problem(error: GatewayError) -> Problem:
    match error:
        case UnavailableError():
            logger.error("not available: %s", error, extra=error.facts)
            return Problem(status=503, detail="busy or still starting: send the request again later")
        case TimedOutError():
            logger.error("timed out: %s", error, extra=error.facts)
            return Problem(status=504, detail="no answer in time: try again later, or with fewer or shorter texts")
        case RejectedError():
            logger.error("rejected: %s", error, extra=error.facts)
            return Problem(status=502, detail=error.cause[:_MAX_CAUSE])
        case MisconfiguredError() | _:
            logger.error("configuration error: %s", error, extra=error.facts)
            return Problem(status=500, detail="the service is not set up right: the log has it by the request_id")


def _problem_response(problem: Problem, request_id: str) -> ProxyResponse:
    response = _response(
        problem.status,
        "application/problem+json",
        {
            "type": "about:blank",  # the status says it all, and the title is the status's own
            "title": _TITLES[problem.status],
            "status": problem.status,
            "detail": problem.detail,
            "request_id": request_id,
        },
    )
    if problem.status == 503:
        response["headers"]["Retry-After"] = str(_RETRY_AFTER_SECONDS)
    return response


def _response(
    status: int, content_type: str, body: Mapping[str, object], headers: Mapping[str, str] | None = None
) -> ProxyResponse:
    return {
        "statusCode": status,
        "headers": {"Content-Type": content_type, **(headers or {})},
        "body": json.dumps(body, ensure_ascii=False, separators=(",", ":")),
        "isBase64Encoded": False,
    }
