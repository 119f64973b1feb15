"""Which port the local AWS listens on."""

from __future__ import annotations

import socket

import psutil

from sm_local.errors import LocalAwsError

DEFAULT_PORT = 47630


def is_free(port: int) -> bool:
    """Return whether a server could listen on 127.0.0.1 at this port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def choose_port(requested: int | None = None) -> int:
    """Return the port to listen on: as requested, else :data:`DEFAULT_PORT`, else any free one.

    Raises:
        LocalAwsError: The requested port is taken; says by whom where the system tells.
    """
    if requested is not None:
        if is_free(requested):
            return requested
        raise LocalAwsError(
            f"Port {requested} on 127.0.0.1 is taken{_by_whom(requested)}: stop that, or choose another "
            "with --port, or leave --port out to get a free one."
        )
    if is_free(DEFAULT_PORT):
        return DEFAULT_PORT
    return free_port()


def free_port() -> int:
    """Return a port on 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _by_whom(port: int) -> str:
    for process in psutil.process_iter():
        try:
            taken = any(
                connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
                for connection in process.net_connections(kind="tcp")
            )
            if taken:
                return f" by process {process.pid} ({' '.join(process.cmdline())[:100]})"
        except psutil.Error:  # ended meanwhile, or another user's
            continue
    return ""
