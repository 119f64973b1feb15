"""Choosing where to listen."""

from __future__ import annotations

import os
import socket

import pytest

from sm_local import ports
from sm_local.errors import LocalAwsError


def test_the_requested_port_is_taken_when_it_is_free() -> None:
    port = ports.free_port()
    assert ports.choose_port(port) == port


def test_a_taken_port_is_refused_and_its_holder_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        assert not ports.is_free(port)
        with pytest.raises(LocalAwsError, match=rf"Port {port} .* is taken by process {os.getpid()} \(.*py"):
            ports.choose_port(port)


def test_without_a_request_a_taken_default_is_avoided(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        taken = holder.getsockname()[1]
        monkeypatch.setattr(ports, "DEFAULT_PORT", taken)
        chosen = ports.choose_port()
        assert chosen != taken
        assert ports.is_free(chosen)
