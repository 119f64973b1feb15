"""The model behind AWS's own toolkit, loaded as its containers load it: from ``code/`` of a model directory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_model import train_tiny_model

# Runs alone, so that `inference` and `textprep` can only come from the model directory.
PROGRAM = """
import json, sys
from types import SimpleNamespace
from sagemaker_inference.default_handler_service import DefaultHandlerService

directory = sys.argv[1]
service = DefaultHandlerService()
context = SimpleNamespace(system_properties={"model_dir": directory})
service.initialize(context)
answers = []
for request in json.load(sys.stdin):
    answer = {"status": 200}
    headers = {key: request[key] for key in ("Content-Type", "Accept") if request[key]}
    context.request_processor = [SimpleNamespace(get_request_properties=lambda: headers)]
    context.set_response_status = lambda code, phrase: answer.update(status=code, phrase=phrase)
    context.set_response_content_type = lambda index, media_type: answer.update(media_type=media_type)
    (answer["body"],) = service.handle([{"body": request["body"].encode()}], context)
    answers.append(answer)
import inference, textprep
json.dump({"answers": answers, "files": [inference.__file__, textprep.__file__]}, sys.stdout)
"""


@dataclass
class Request:
    body: str
    content_type: str | None = "application/json"
    accept: str | None = "application/json"
    status: int = 200
    media_type: str | None = "application/json"
    contains: str = '"label": "spam"'


REQUESTS = [
    Request('{"texts": ["win free money"]}'),
    Request('{"texts": ["win free money"]}', content_type=None, accept=None),
    Request('{"texts": ["win free money"]}', accept="*/*"),
    Request('{"texts": ["win free money"]}', accept="text/csv", media_type="text/csv", contains="spam,0."),
    Request('{"text": "win free money"}\n', content_type="application/jsonlines"),
    Request("win free money\n很喜欢\n", content_type="text/csv"),
    Request('{"texts": []}', contains='"results": []'),
    Request("{", status=400, media_type=None, contains="the body is not JSON"),
    Request('{"texts": "a"}', status=400, media_type=None, contains='must be an object like {"texts": ["..."]}'),
    Request("a,b", content_type="text/csv", status=400, media_type=None, contains="line 1 has 2 columns"),
    Request("a", content_type="text/plain", status=415, media_type=None, contains="must be one of"),
    Request('{"texts": []}', accept="image/png", status=406, media_type=None, contains="must name one of"),
]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    directory = tmp_path_factory.mktemp("model")
    train_tiny_model(directory)
    requests = [
        {"body": request.body, "Content-Type": request.content_type, "Accept": request.accept} for request in REQUESTS
    ]
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, directory],
        input=json.dumps(requests),
        capture_output=True,
        text=True,
        check=False,
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(directory / "code")},
    )
    assert run.returncode == 0, run.stderr
    return directory, json.loads(run.stdout)


@pytest.mark.parametrize("index", range(len(REQUESTS)), ids=[str(list(asdict(each).values())[:3]) for each in REQUESTS])
def test_the_toolkit_answers_as_the_request_deserves(served: tuple[Path, Any], index: int) -> None:
    expected, answer = REQUESTS[index], served[1]["answers"][index]
    assert answer["status"] == expected.status
    assert answer.get("media_type") == expected.media_type
    assert expected.contains in answer["body"]


def test_what_serves_is_the_code_in_the_model_directory(
    served: tuple[Path, Any],
) -> None:
    directory, told = served
    assert told["files"] == [
        str(directory / "code" / "inference.py"),
        str(directory / "code" / "textprep" / "__init__.py"),
    ]
