"""The functions, started as Lambda starts them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from textprep import LANGUAGES

from tests.unit.lambda_src.stand_in import Handler, StandIn, analyzer

_NUMBERS = count()
EVENTS = Path(__file__).parents[2] / "events"


@dataclass
class Context:
    """What Lambda tells a function of its invocation."""

    function_name: str = "the-function"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:123456789012:function:the-function"
    aws_request_id: str = "52fdfc07-2182-454f-963f-5f0f9a621d72"

    def get_remaining_time_in_millis(self) -> int:
        return 28_000


def _call(handler: Callable[[Any, Any], dict[str, Any]], event: Any, /) -> dict[str, Any]:
    return handler(event, Context())


@pytest.fixture(scope="session")
def _server() -> Iterator[StandIn]:
    server = StandIn()
    yield server
    server.close()


@pytest.fixture
def aws(_server: StandIn, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": _server.url,
        "POWERTOOLS_LOG_LEVEL": "INFO",
        "POWERTOOLS_METRICS_NAMESPACE": "TextClassification",
    }.items():
        monkeypatch.setenv(name, value)
    _server.replies.clear()
    _server.scripted.clear()
    _server.by_statement = lambda _: None
    _server.calls.clear()
    return _server


@pytest.fixture
def load(aws: StandIn, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Handler]:
    """Start a function as Lambda does: set its environment, then import its module anew."""
    _ = aws  # the environment that all functions share

    def load(name: str, function: str = "handler", **environment: str) -> Handler:
        monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", f"service-{next(_NUMBERS)}")  # a logger of its own
        for variable, value in environment.items():
            monkeypatch.setenv(variable, value)
        for module in [module for module in sys.modules if module.startswith("text_classification.handlers")]:
            monkeypatch.delitem(sys.modules, module)
        return partial(_call, getattr(import_module(f"text_classification.handlers.{name}"), function))

    return load


@pytest.fixture
def classify(load: Callable[..., Handler]) -> Handler:
    """The classify function with both languages' functions and 2 seconds for its calls."""
    for language in LANGUAGES:
        analyzer(language)  # not within the 2 seconds

    @cache  # not before the test itself: loggers keep the standard output they find, and each phase has its own
    def start() -> Handler:
        return load(
            "classify",
            ENDPOINT_NAME="the-endpoint",
            PREPROCESSOR_FUNCTION_EN="annotate-en",
            PREPROCESSOR_FUNCTION_ZH="annotate-zh",
            ENDPOINT_TIMEOUT_SECONDS="2",
        )

    def call_started(event: Any, /) -> dict[str, Any]:
        return start()(event)

    return call_started


@pytest.fixture
def event() -> Callable[..., dict[str, Any]]:
    """Make an event of API Gateway's: a recorded one, with another body or other fields."""

    def event(name: str = "classify", *, body: object = ..., **fields: object) -> dict[str, Any]:
        recorded: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))
        if body is not ...:
            recorded["body"] = body if isinstance(body, str | None) else json.dumps(body)
        return recorded | fields

    return event
