"""Printing for people: plain where the output is not a terminal."""

from __future__ import annotations

from collections.abc import Callable

from rich.text import Text

from sm_client.cli import console as client_console
from sm_client.cli.console import EXIT_FAILED, console, errors, fail
from sm_local.errors import LocalAwsError

__all__ = ["console", "errors", "run", "step"]


def step(name: str) -> None:
    """Say what begins now."""
    console.print(Text(name, style="bold"))


def run(command: Callable[[], None]) -> int:
    """Run `command` and return the exit status; what can be expected to fail becomes a paragraph on stderr."""
    try:
        return client_console.run(command)
    except LocalAwsError as error:
        fail(error.message, error.log)
        return EXIT_FAILED
