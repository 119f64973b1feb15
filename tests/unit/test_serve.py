"""Serving a model without AWS."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from sm_local import ports
from tests.sagemaker_account import ECHO, archive
from tests.tiny_model import train_tiny_model

SCRIPT = "code/inference.py"


@dataclass
class Served:
    process: subprocess.Popen[str]
    port: int
    temporary: Path

    def request(
        self, method: str, path: str, body: bytes = b"", content_type: str = "application/json"
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body=body, headers={"Content-Type": content_type, "Accept": content_type})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "sm_local", "serve", *map(str, arguments)]


def environment(temporary: Path) -> dict[str, str]:
    """Return an environment that knows nothing of AWS."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SAGEMAKER_"))}
    return {**kept, "TMPDIR": str(temporary)}


@contextmanager
def serving(model: Path, *options: str) -> Iterator[Served]:
    port = ports.free_port()
    with tempfile.TemporaryDirectory() as temporary:
        process = subprocess.Popen(
            command(model, "--port", str(port), "--workers", "1", *options),
            env=environment(Path(temporary)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        try:
            announced = process.stdout.readline()
            assert f"http://127.0.0.1:{port}" in announced, announced + process.stdout.read()
            yield Served(process, port, Path(temporary))
        finally:
            process.terminate()
            process.wait(20)
            process.stdout.close()


def refusal(*arguments: str | Path, directory: Path) -> str:
    """Return what the command says when it fails."""
    done = subprocess.run(
        command(*arguments), env=environment(directory), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert not list(directory.glob("sm-serve-*"))
    return done.stderr


def write(path: Path, files: dict[str, str]) -> Path:
    path.write_bytes(archive(files))
    return path


def test_a_trained_model_answers_as_it_does_on_sagemaker(tmp_path: Path) -> None:
    version = train_tiny_model(tmp_path / "model")
    with serving(tmp_path / "model") as served:
        assert served.request("GET", "/ping") == (200, b"")
        body = json.dumps({"texts": ["Click here to win free money"]}).encode()
        status, answer = served.request("POST", "/invocations", body)
        assert (status, json.loads(answer)["model_version"]) == (200, version)
        assert json.loads(answer)["results"][0]["label"] == "spam"
        assert served.request("POST", "/invocations", b"win free money now", "text/csv")[1].startswith(b"spam,")
        assert served.request("POST", "/invocations", b"{")[0] == 400
        assert served.request("GET", "/invocations")[0] == 405
        assert served.request("GET", "/")[0] == 404


def test_sigterm_lets_a_call_end_and_leaves_nothing_behind(tmp_path: Path) -> None:
    model = write(tmp_path / "model.tar.gz", {SCRIPT: ECHO})
    with serving(model) as served:
        answers = []
        call = threading.Thread(target=lambda: answers.append(served.request("POST", "/invocations", b'{"sleep": 2}')))
        call.start()
        time.sleep(0.5)
        served.process.send_signal(signal.SIGTERM)
        call.join()
        assert served.process.wait(10) == 0
        assert [status for status, _ in answers] == [200]
        assert not list(served.temporary.iterdir())


def test_ctrl_c_ends_it_at_once(tmp_path: Path) -> None:
    with serving(write(tmp_path / "model.tar.gz", {SCRIPT: ECHO})) as served:
        served.process.send_signal(signal.SIGINT)
        assert served.process.wait(10) == 0
        assert not list(served.temporary.iterdir())


def test_ctrl_c_is_heard_by_a_worker_that_does_not_listen_yet(tmp_path: Path) -> None:
    slow = "import os, time\nos.register_at_fork(after_in_child=lambda: time.sleep(2))\n"
    with serving(write(tmp_path / "model.tar.gz", {SCRIPT: slow + ECHO})) as served:
        time.sleep(0.5)
        served.process.send_signal(signal.SIGINT)
        assert served.process.wait(10) == 0


def test_a_port_that_is_taken_is_said_to_be(tmp_path: Path) -> None:
    model = write(tmp_path / "model.tar.gz", {SCRIPT: ECHO})
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"cannot listen on 127.0.0.1:{port}" in refusal(model, "--port", port, directory=tmp_path)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"inference.py": ECHO}, "has no code/inference.py"),
        ({SCRIPT: "raise OSError('no such weights')"}, "cannot be loaded: OSError('no such weights')"),
    ],
)
def test_a_model_that_cannot_be_served_is_refused(tmp_path: Path, files: dict[str, str], words: str) -> None:
    model = write(tmp_path / "model.tar.gz", files)
    assert words in refusal(model, "--port", str(ports.free_port()), directory=tmp_path)


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "model.tar.gz"
    text.write_text("this is not an archive")
    assert "is not a model archive (.tar.gz)" in refusal(text, "--port", str(ports.free_port()), directory=tmp_path)
    assert "is not there" in refusal(tmp_path / "none", "--port", str(ports.free_port()), directory=tmp_path)
