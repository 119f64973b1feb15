"""SageMaker Runtime: HTTP requests that invoke endpoints, and their answers."""

from __future__ import annotations

import json
from collections.abc import Mapping

from sm_local.patches import core
from sm_local.sagemaker.async_requests import INVOCATION_SECONDS, TIME_TO_LIVE_SECONDS, AsyncCall
from sm_local.sagemaker.endpoints import Endpoints
from sm_local.sagemaker.errors import SageMakerError
from sm_local.sagemaker.messages import CUSTOM_ATTRIBUTES, Invocation

_PREFIX = "x-amzn-sagemaker-"


def answer(endpoints: Endpoints, endpoint: str, path: str, headers: Mapping[str, str], body: bytes) -> core.Response:
    """Answer ``InvokeEndpoint`` or ``InvokeEndpointAsync``.

    Args:
        endpoints: Those there are.
        endpoint: The one that is called.
        path: The request's path.
        headers: The request's headers, in lower case.
        body: The request's body.

    Raises:
        SageMakerError: What the caller gets instead.
    """
    match path.rstrip("/").rsplit("/", 1)[-1]:
        case "invocations":
            return _now(endpoints, endpoint, headers, body)
        case "async-invocations":
            return _later(endpoints, endpoint, headers, body)
        case _:
            raise SageMakerError(
                "UnknownOperationException", "the local SageMaker does not have InvokeEndpointWithResponseStream"
            )


def _now(endpoints: Endpoints, endpoint: str, headers: Mapping[str, str], body: bytes) -> core.Response:
    invocation = Invocation(
        body=body,
        content_type=headers.get("content-type", ""),
        accept=headers.get("accept", "*/*"),
        custom_attributes=headers.get(f"{_PREFIX}custom-attributes"),
        inference_id=headers.get(f"{_PREFIX}inference-id"),
        target_variant=headers.get(f"{_PREFIX}target-variant"),
        target_model=headers.get(f"{_PREFIX}target-model"),
        target_container=headers.get(f"{_PREFIX}target-container-hostname"),
        component=headers.get(f"{_PREFIX}inference-component"),
    )
    answered, variant = endpoints.invoke(endpoint, invocation)
    shown = {"Content-Type": answered.content_type, "x-Amzn-Invoked-Production-Variant": variant}
    if answered.custom_attributes:
        shown[CUSTOM_ATTRIBUTES] = answered.custom_attributes
    return answered.status, shown, answered.body


def _later(endpoints: Endpoints, endpoint: str, headers: Mapping[str, str], body: bytes) -> core.Response:
    request = endpoints.invoke_async(
        endpoint,
        AsyncCall(
            invocation=Invocation(
                body=body,
                content_type=headers.get(f"{_PREFIX}content-type", ""),
                accept=headers.get(f"{_PREFIX}accept", "*/*"),
                custom_attributes=headers.get(f"{_PREFIX}custom-attributes"),
                inference_id=headers.get(f"{_PREFIX}inference-id"),
                timeout_seconds=_number(headers, "invocationtimeoutseconds", INVOCATION_SECONDS),
            ),
            input_location=headers.get(f"{_PREFIX}inputlocation"),
            extension=headers.get(f"{_PREFIX}s3outputpathextension"),
            filename=headers.get(f"{_PREFIX}filename"),
            time_to_live_seconds=_number(headers, "requestttlseconds", TIME_TO_LIVE_SECONDS),
        ),
    )
    shown = {"Content-Type": "application/json", **request.answer_headers}
    return 202, shown, json.dumps({"InferenceId": request.inference_id}).encode()


def _number(headers: Mapping[str, str], name: str, default: int) -> int:
    value = headers.get(f"{_PREFIX}{name}")
    if value is None:
        return default
    if not value.isdecimal():
        raise SageMakerError("ValidationError", f"{_PREFIX}{name} is {value}: must be a number.")
    return int(value)
