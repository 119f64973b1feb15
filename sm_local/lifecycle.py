"""Bringing the local AWS up and down, with what there is to say about it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from sm_local import process
from sm_local.connection import server_environment
from sm_local.console import console
from sm_local.errors import LocalAwsError
from sm_local.logs import file_lines
from sm_local.ports import choose_port
from sm_local.process import Server
from sm_local.project import Project


def ensure_up(project: Project, port: int | None = None, time_scale: float | None = None) -> Server:
    """Return the running server, started now if there was none.

    Ctrl-C while it starts stops all of it.

    Raises:
        LocalAwsError: The port is taken, the server runs at another one or another time scale, or does not start or
            answer.
    """
    state = project.state
    with process.exclusive(state):
        server = process.find_server(state)
        if server is None:
            process.stop(state)  # what a crash left behind
            return _start(project, choose_port(port), time_scale or 1.0)
        if port not in (None, server.port):
            raise LocalAwsError(
                f"The local AWS is up already, at port {server.port}: "
                "run `python -m sm_local down` before you start it at another one."
            )
        if time_scale not in (None, server.time_scale):
            raise LocalAwsError(
                f"The local AWS is up already, at time scale {server.time_scale:g}: "
                "run `python -m sm_local down` before you start it at another one."
            )
        process.wait_until_healthy(server, state)
        console.print(f"The local AWS is up at {server.url}.")
        return server


def run_in_foreground(project: Project, port: int | None = None, time_scale: float | None = None) -> None:
    """Start the server and print its log until Ctrl-C, SIGTERM or a closed terminal; then stop everything.

    Raises:
        LocalAwsError: It runs already, did not start, or ended by itself.
    """
    state = project.state
    if process.find_server(state):
        raise LocalAwsError("The local AWS runs already: `python -m sm_local logs server --follow` shows its log.")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        server = ensure_up(project, port, time_scale)
        for line in file_lines(state.server_log, follow=lambda: process.is_running(server)):
            console.print(line, markup=False)
        raise LocalAwsError("The local AWS ended: see its log above.")
    finally:
        process.stop(state)


@contextmanager
def stopping_on_interrupt(project: Project) -> Iterator[None]:
    """On Ctrl-C, stop the local AWS if it was started within; one that ran before goes on."""
    ran_before = process.find_server(project.state) is not None
    try:
        yield
    except KeyboardInterrupt:
        if not ran_before:
            take_down(project)
        raise


def take_down(project: Project) -> int:
    """Stop the local AWS and all that it started, and return how many processes that were."""
    with process.exclusive(project.state), console.status("Stopping the local AWS"):
        return process.stop(project.state)


def _start(project: Project, port: int, time_scale: float) -> Server:
    state = project.state
    with console.status("Starting the local AWS") as progress:
        try:
            server = process.start_server(state, port, server_environment(os.environ), time_scale=time_scale)
            health = process.wait_until_healthy(
                server,
                state,
                on_wait=lambda elapsed_s: progress.update(f"Starting the local AWS ({elapsed_s:.0f} s)"),
            )
        except BaseException:
            process.stop(state)
            raise
    console.print(f"The local AWS is up at {server.url}; its log: {state.server_log}")
    _say_what_is_only_recorded(health)
    return server


def _say_what_is_only_recorded(health: process.Health) -> None:
    if health.recorded_only:
        console.print("What is not really run here:")
    for resource_type, why in health.recorded_only.items():
        console.print(f"  {resource_type}: {why}", style="dim")


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
