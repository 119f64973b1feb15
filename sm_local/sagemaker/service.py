"""The SageMaker API of the local AWS: models by moto, hosting by :mod:`sm_local.sagemaker.endpoints`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from urllib.parse import urlsplit

from sm_local import patches
from sm_local.sagemaker.aws import AssumedRole
from sm_local.sagemaker.endpoints import Endpoints, Parameters
from sm_local.sagemaker.errors import SageMakerError
from sm_local.state import StateDirectory

_JSON = {"Content-Type": "application/x-amz-json-1.1"}
_CUSTOM_ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"


class SageMaker:
    """Answers SageMaker and SageMaker Runtime calls, after MiniStack has checked who may make them.

    Args:
        state: Where archives are unpacked and logs are kept.
    """

    def __init__(self, state: StateDirectory) -> None:
        self.endpoints = Endpoints(state, self.describe_model)
        hosting = self.endpoints
        self._operations: dict[str, Callable[[Parameters], Parameters]] = {
            "CreateModel": self.create_model,
            "CreateEndpointConfig": hosting.create_endpoint_config,
            "DescribeEndpointConfig": hosting.describe_endpoint_config,
            "DeleteEndpointConfig": hosting.delete_endpoint_config,
            "ListEndpointConfigs": hosting.list_endpoint_configs,
            "CreateEndpoint": hosting.create_endpoint,
            "UpdateEndpoint": hosting.update_endpoint,
            "DescribeEndpoint": hosting.describe_endpoint,
            "DeleteEndpoint": hosting.delete_endpoint,
            "ListEndpoints": hosting.list_endpoints,
        }

    async def handle(
        self, method: str, path: str, headers: dict[str, str], body: bytes, _query: dict[str, list[str]]
    ) -> patches.Response:
        """Answer one request, in the form MiniStack wants of a service."""
        try:
            if (endpoint := patches.invoked_endpoint(path)) is not None and method == "POST":
                return await asyncio.to_thread(self._invoke, endpoint, headers, body)
            operation = headers.get("x-amz-target", "").removeprefix("SageMaker.")
            answer = await asyncio.to_thread(self.call, operation, json.loads(body or b"{}"))
            return 200, dict(_JSON), json.dumps(answer).encode()
        except SageMakerError as error:
            members = {
                "__type": error.code,
                "message": error.message,
                "Message": error.message,
                **error.details,
            }
            return error.status, {**_JSON, "x-amzn-errortype": error.code}, json.dumps(members).encode()

    def call(self, operation: str, parameters: Parameters) -> Parameters:
        """Carry out one operation of the control plane.

        Raises:
            SageMakerError: SageMaker would refuse it, or the local AWS does not have it.
        """
        if own := self._operations.get(operation):
            return own(parameters)
        return _moto(operation, parameters)

    def create_model(self, parameters: Parameters) -> Parameters:
        """Create a model once its role is seen to read the archive and pull the image, as SageMaker does."""
        role = AssumedRole(parameters["ExecutionRoleArn"])
        for container in [parameters.get("PrimaryContainer"), *(parameters.get("Containers") or [])]:
            if not container:
                continue
            if url := container.get("ModelDataUrl"):
                location = urlsplit(url)
                role.check_can_read(location.netloc, location.path.lstrip("/"))
            if image := container.get("Image"):
                role.check_can_pull(image)
        return _moto("CreateModel", parameters)

    def describe_model(self, name: str) -> Parameters:
        """Return what ``DescribeModel`` answers."""
        return _moto("DescribeModel", {"ModelName": name})

    def _invoke(self, endpoint: str, headers: dict[str, str], body: bytes) -> patches.Response:
        passed = {"Content-Type": headers.get("content-type", ""), "Accept": headers.get("accept", "*/*")}
        if attributes := headers.get(_CUSTOM_ATTRIBUTES):
            passed[_CUSTOM_ATTRIBUTES] = attributes
        answer, variant = self.endpoints.invoke(endpoint, body, passed)
        shown = {"Content-Type": answer.content_type, "x-Amzn-Invoked-Production-Variant": variant}
        return answer.status, shown, answer.body


def _moto(operation: str, parameters: Parameters) -> Parameters:
    """Let moto's SageMaker answer, in this process and without its network mocks; importing it takes a second."""
    from moto.core.exceptions import JsonRESTError
    from moto.core.request import Request
    from moto.sagemaker.responses import SageMakerResponse

    account, region = patches.scope()
    url = f"https://api.sagemaker.{region}.amazonaws.com/"
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": f"SageMaker.{operation}",
        "X-Moto-Account-Id": account,
        "Authorization": f"AWS4-HMAC-SHA256 Credential=test/20260101/{region}/sagemaker/aws4_request",
    }
    request = Request.from_primitives("POST", url, headers, json.dumps(parameters))
    try:
        status, _headers, body = SageMakerResponse.dispatch(request, url, request.headers)
    except NotImplementedError:
        raise SageMakerError("UnknownOperationException", f"the local SageMaker does not have {operation}") from None
    except JsonRESTError as error:
        raise SageMakerError(error.error_type, error.message) from error
    answer: Parameters = json.loads(body or b"{}")
    if status >= 400:
        code = str(answer.get("__type", "ValidationException")).rsplit("#", 1)[-1]
        raise SageMakerError(code, str(answer.get("message", answer)), status=status)
    return answer
