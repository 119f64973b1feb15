"""Signed JSON over HTTP, with retries."""

from __future__ import annotations

import json
import os
import random
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.exceptions import (
    ConnectionError as BotocoreConnectionError,
)
from botocore.exceptions import (
    HTTPClientError,
    NoCredentialsError,
    ProxyConnectionError,
    SSLError,
)
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

from sm_client.errors import ApiError, ApiUnreachableError, ConflictError, NotFoundError

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 35.0  # API Gateway itself gives up after 29 s
_RETRYABLE_STATUSES = frozenset({429, 500, 502, 503, 504})
_Value = TypeVar("_Value")
_ERRORS = {404: NotFoundError, 409: ConflictError}


@dataclass(frozen=True, kw_only=True, slots=True)
class Retries:
    """Exponential backoff with full jitter.

    Args:
        attempts: How often a request is sent at most, the first time included.
        base_s: Upper bound of the first pause, in seconds; it doubles from pause to pause.
        cap_s: Upper bound of every pause, in seconds.

    >>> list(Retries(attempts=1).pauses())
    []
    >>> all(pause <= 5 for pause in Retries(attempts=9).pauses())
    True
    """

    attempts: int = 4
    base_s: float = 0.2
    cap_s: float = 5.0

    def pauses(self) -> Iterator[float]:
        for retry in range(self.attempts - 1):
            yield random.uniform(0, min(self.cap_s, self.base_s * 2**retry))  # noqa: S311 - jitter, not a secret


class SignedTransport:
    """Sends JSON to an execute-api URL, signed with Signature Version 4.

    Safe to share between threads. As in boto3, TLS is verified against ``AWS_CA_BUNDLE`` or the profile's
    ``ca_bundle`` where that is set, and proxies are taken from the environment.

    Args:
        base_url: The API's URL with its stage, ending in a slash.
        session: Gives credentials and region.
        endpoint_url: Where to connect instead of ``base_url``'s host, which stays in the Host header
            and the signature.
        retries: What to do about throttling, 5xx and broken connections.
    """

    def __init__(self, base_url: str, session: boto3.Session, *, endpoint_url: str | None, retries: Retries) -> None:
        api = urlsplit(base_url)
        connect_to = urlsplit(endpoint_url) if endpoint_url else api
        self._url = urlunsplit((connect_to.scheme, connect_to.netloc, api.path.rstrip("/") + "/", "", ""))
        self._host = api.netloc
        self._session = session
        self._retries = retries
        ca_bundle = session._session.get_config_variable("ca_bundle")  # boto3 has no public way to it
        self._http = URLLib3Session(
            verify=ca_bundle or True,
            proxies=get_environ_proxies(self._url),
            timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S),  # type: ignore[arg-type] # stubs lack the pair
            # Head and body go out as two writes: without this the second waits 40 ms for an acknowledgement.
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],  # type: ignore[list-item]
        )

    def post(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Return the decoded answer to ``POST {base_url}{path}``.

        The request is repeated on 429, 5xx and broken connections: only for calls that may be repeated.

        Raises:
            ApiError: The answer is not 2xx, or not a JSON object.
            ApiUnreachableError: There was no answer.
            NoCredentialsError: The session has no credentials.
        """
        data = json.dumps(body, ensure_ascii=False).encode()
        return self._call("POST", path, data, {"Content-Type": "application/json", **(headers or {})})

    def get(self, path: str) -> dict[str, Any]:
        """Return the decoded answer to ``GET {base_url}{path}``. Repeats and raises as :meth:`post` does."""
        return self._call("GET", path, b"", {})

    def _call(self, method: str, path: str, data: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
        pauses = self._retries.pauses()
        while True:
            pause = next(pauses, None)
            try:
                response = self._http.send(self._signed(method, path, data, headers).prepare())
            except (HTTPClientError, BotocoreConnectionError) as error:
                if pause is None or isinstance(error, SSLError | ProxyConnectionError):
                    raise ApiUnreachableError(f"no answer from {self._url}: {error}") from error
            else:
                if pause is None or response.status_code not in _RETRYABLE_STATUSES:
                    return _decoded(response)
            time.sleep(pause)

    def _signed(self, method: str, path: str, data: bytes, headers: Mapping[str, str]) -> AWSRequest:
        credentials = self._session.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        headers = {"Host": self._host, "Accept": "application/json", **headers}
        request = AWSRequest(method=method, url=self._url + path, data=data, headers=headers)
        SigV4Auth(credentials.get_frozen_credentials(), "execute-api", self._session.region_name).add_auth(request)
        return request


def configured_endpoint() -> str | None:
    """Return ``AWS_ENDPOINT_URL`` unless the environment says to ignore it, as the AWS SDKs do."""
    if os.environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return None
    return os.environ.get("AWS_ENDPOINT_URL") or None


def parsed(parse: Callable[[Mapping[str, Any]], _Value], answer: Mapping[str, Any]) -> _Value:
    """Return what ``parse`` makes of an answer. Raises ApiError where it cannot."""
    try:
        return parse(answer)
    except (KeyError, TypeError, ValueError) as error:
        raise ApiError(status=200, title="unexpected answer", detail=f"not as it should be: {error!r}") from error


def _decoded(response: AWSResponse) -> dict[str, Any]:
    try:
        document = json.loads(response.content)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise _error(response, {})
    if not 200 <= response.status_code < 300:
        raise _error(response, document)
    return document


def _error(response: AWSResponse, problem: Mapping[str, Any]) -> ApiError:
    # What API Gateway answers by itself may be {"message": …} or no JSON at all.
    detail = problem.get("detail") or problem.get("message") or problem.get("Message")
    return _ERRORS.get(response.status_code, ApiError)(
        status=response.status_code,
        title=str(problem.get("title", "unexpected answer")),
        detail=str(detail or response.text[:500]),
        type=str(problem.get("type", "about:blank")),
        request_id=str(problem.get("request_id") or response.headers.get("x-amzn-RequestId", "")),
    )
