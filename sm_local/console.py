"""Printing for people: plain where the output is not a terminal."""

from __future__ import annotations

from collections.abc import Callable

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.text import Text

from sm_client import SmClientError
from sm_local.errors import LocalAwsError

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130

console = Console(soft_wrap=True, highlight=False)
errors = Console(stderr=True, soft_wrap=True, highlight=False)


def step(name: str) -> None:
    """Say what begins now."""
    console.print(Text(name, style="bold"))


def run(command: Callable[[], None]) -> int:
    """Run `command` and return the exit status; what can be expected to fail becomes a paragraph on stderr."""
    try:
        command()
    except LocalAwsError as error:
        _fail(error.message, error.log)
    except (SmClientError, ClientError, BotoCoreError) as error:
        _fail(str(error))
    except KeyboardInterrupt:
        errors.print("Interrupted.")
        return EXIT_INTERRUPTED
    else:
        return 0
    return EXIT_FAILED


def _fail(message: str, log: tuple[str, ...] = ()) -> None:
    errors.print(Text.assemble(("Error: ", "bold red"), message))
    for line in log:
        errors.print(Text(f"  {line}"))
