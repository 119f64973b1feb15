"""An API that answers as told, over real HTTP, and records what arrives."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3

from sm_client import Client, Polling
from sm_client._transport import Retries

API_URL = "https://abc123.execute-api.eu-west-1.amazonaws.com/dev/"
ANSWER = {
    "model_version": "1-abc",
    "results": [{"label": "good", "score": 0.9, "scores": {"good": 0.9, "bad": 0.1}, "language": "zh"}],
    "request_id": "r-1",
}


@dataclass
class Recorded:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Api:
    """Gives the answers one after the other, the last one again and again."""

    answers: list[tuple[int, Any]]
    requests: list[Recorded] = field(default_factory=list)
    url: str = ""

    def client(self, session: boto3.Session | None = None) -> Client:
        """Return a client of it that is quick to try and to look again."""
        return Client(
            API_URL,
            session=session or boto3.Session("AKIATEST", "secret", region_name="eu-west-1"),
            endpoint_url=self.url,
            retries=Retries(attempts=3, base_s=0.001, cap_s=0.01),
            polling=Polling(first_s=0.001, cap_s=0.01),
        )

    def next_answer(self, request: Recorded) -> tuple[int, bytes]:
        status, body = self.answers[min(len(self.requests), len(self.answers) - 1)]
        self.requests.append(request)
        return status, body if isinstance(body, bytes) else json.dumps(body).encode()


@contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[Api]:
    api = Api([(200, ANSWER)])

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, answer = api.next_answer(Recorded(self.command, self.path, headers, body))
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.send_header("x-amzn-RequestId", "from-header")
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_PUT = do_POST

        def log_message(self, format: str, *_arguments: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    api.url = f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}"
    yield api
    server.shutdown()
    server.server_close()
