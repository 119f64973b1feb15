"""A stand-in for the two AWS services that the functions call, reached by the real boto3 over HTTP."""

from __future__ import annotations

import json
import re
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

from text_classification.logic.annotation import annotate
from text_classification.logic.languages import Analyzer, load
from textprep import Language

Handler = Callable[[Any], dict[str, Any]]
"""A Lambda function, as it is called by its event."""


@cache
def analyzer(language: Language) -> Analyzer:
    """Return what analyses texts; loaded once for all tests."""
    return load(language)


@dataclass
class Reply:
    status: int = 200
    body: bytes = b""
    error_type: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    delay_seconds: float = 0
    cut_off: bool = False  # close the connection instead of answering


class StandIn:
    """Answers as the services do.

    ``replies`` are given first, in their order, and ``scripted`` whenever their key is in the path; ``by_statement``
    may answer a SQL statement before those. ``calls`` are what was asked.
    """

    def __init__(self) -> None:
        self.replies: deque[Reply] = deque()
        self.scripted: dict[str, Reply] = {}
        self.by_statement: Callable[[str], Reply | None] = lambda _: None
        self.calls: list[tuple[str, Any]] = []
        stand_in = self

        class RequestHandler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                is_form = (self.headers["Content-Type"] or "").startswith("application/x-www-form-urlencoded")
                payload = dict(parse_qsl(body.decode())) if is_form else json.loads(body)
                stand_in.calls.append((self.path, payload))
                reply = stand_in._reply(self.path, payload)
                time.sleep(reply.delay_seconds)
                if reply.cut_off:
                    self.close_connection = True
                    return
                self.send_response(reply.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(reply.body)))
                if reply.error_type:
                    self.send_header("x-amzn-ErrorType", reply.error_type)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                with suppress(BrokenPipeError):  # the caller no longer waits
                    self.wfile.write(reply.body)

            do_PUT = do_POST

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), RequestHandler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def _reply(self, path: str, payload: Any) -> Reply:
        if reply := self.by_statement(payload.get("sql", "")):
            return reply
        scripted = next((reply for key, reply in self.scripted.items() if key in path), None)
        if scripted:
            return scripted
        return self.replies.popleft() if self.replies else _answer(path, payload)

    def calls_of(self, service: str) -> list[Any]:
        return [payload for path, payload in self.calls if service in path]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _answer(path: str, payload: Any) -> Reply:
    if match := re.search(r"/functions/annotate-(en|zh)/invocations", path):
        annotations = annotate(payload["texts"], lambda: analyzer("zh" if match[1] == "zh" else "en"))
        return Reply(body=json.dumps({"annotations": annotations}).encode())
    assert path == "/endpoints/the-endpoint/invocations", path
    results = [
        {"label": "spam" if "prize" in text else "good", "score": 0.75, "scores": {"good": 0.25, "spam": 0.75}}
        for text in payload["texts"]
    ]
    return Reply(body=json.dumps({"model_version": "v1", "results": results}).encode())
