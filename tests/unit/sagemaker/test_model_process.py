"""The process that serves a model, when it ends."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest
import urllib3

from sm_local.sagemaker.errors import NoAnswerError
from sm_local.sagemaker.process import ModelProcess


def test_a_process_that_listens_no_more_is_known_to_be_gone_when_its_callers_are_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    # As one that was killed: its sockets are closed some milliseconds before the kernel says that it has ended.
    process = ModelProcess(
        name="model",
        directory=tmp_path,
        environment={},
        threads=1,
        keep_log=lambda _output: None,
        _process=subprocess.Popen(["sleep", "1"]),  # noqa: S607
        _pool=urllib3.HTTPConnectionPool("127.0.0.1", port, retries=False),
    )
    assert process.pid

    with pytest.raises(NoAnswerError, match="Connection refused"):
        process.request("POST", "/invocations", b"", {}, timeout_seconds=5)

    assert process.pid is None
