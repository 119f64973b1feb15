"""The web application in a model's own process: ``/ping`` and ``/invocations`` as SageMaker's containers have them.

AWS's own sagemaker-inference toolkit loads and calls ``code/inference.py``. gunicorn imports this module before it
forks, so that a model that cannot load ends the process, with the reason in the log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from sagemaker_inference import environment
from sagemaker_inference.default_handler_service import DefaultHandlerService

from sm_local.sagemaker.messages import CUSTOM_ATTRIBUTES

StartResponse = Callable[[str, list[tuple[str, str]]], object]


class _Request:
    """The toolkit's view of one request, and what it answers: multi-model-server's Context."""

    def __init__(self, headers: dict[str, str]) -> None:
        self.system_properties = {"model_dir": environment.model_dir}
        self.request_processor = [self]
        self.status = "200 OK"
        self.content_type = "application/json"
        self._headers = headers

    def get_request_properties(self) -> dict[str, str]:
        return self._headers

    def set_response_status(self, code: int, phrase: str) -> None:  # noqa: ARG002 - may hold any text
        self.status = f"{int(code)} {HTTPStatus(code).phrase}"
        self.content_type = "text/plain; charset=utf-8"

    def set_response_content_type(self, _index: int, content_type: str) -> None:
        self.content_type = content_type


_service = DefaultHandlerService()
_service.initialize(_Request({}))


def application(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """Answer one request (WSGI)."""
    if environ["PATH_INFO"] == "/ping":
        start_response("200 OK", [("Content-Length", "0")])
        return []
    if environ["PATH_INFO"] != "/invocations":
        start_response("404 Not Found", [("Content-Length", "0")])
        return []
    if environ["REQUEST_METHOD"] != "POST":
        start_response("405 Method Not Allowed", [("Allow", "POST"), ("Content-Length", "0")])
        return []
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    request = _Request(
        {
            "Content-Type": environ.get("CONTENT_TYPE", ""),
            "Accept": environ.get("HTTP_ACCEPT", "*/*"),
            CUSTOM_ATTRIBUTES: environ.get("HTTP_X_AMZN_SAGEMAKER_CUSTOM_ATTRIBUTES", ""),
        }
    )
    (answer,) = _service.handle([{"body": body}], request)
    payload = answer.encode() if isinstance(answer, str) else bytes(answer)
    start_response(request.status, [("Content-Type", request.content_type), ("Content-Length", str(len(payload)))])
    return [payload]
