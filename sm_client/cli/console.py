"""Printing for people: plain where the output is not a terminal. Needs rich, which the client itself does not."""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from sm_client._stack_calls import Seen
from sm_client.client import Client
from sm_client.errors import (
    JobFailedError,
    PromotionFailedError,
    PromotionRunningError,
    SmClientError,
    StillRunningError,
    TrainingFailedError,
    TrainingRunningError,
    TransformFailedError,
    TransformRunningError,
)
from sm_client.jobs import Job
from sm_client.results import Annotations, Classification

STACK = "python -m sm_client --stack TextClassification-dev"

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Wait = Annotated[bool, typer.Option("--wait", help="Until it has ended, with its state on stderr.")]
Timeout = Annotated[float, typer.Option(min=0, metavar="SECONDS", help="How long to wait.")]

EXIT_FAILED = 1
EXIT_JOB_FAILED = 3
EXIT_STILL_RUNNING = 4
EXIT_INTERRUPTED = 130

console = Console(soft_wrap=True, highlight=False)
errors = Console(stderr=True, soft_wrap=True, highlight=False)


def run(command: Callable[[], None]) -> int:
    """Run `command` and return the exit status; what can be expected to fail becomes a line on stderr."""
    try:
        command()
    except (SmClientError, ClientError, BotoCoreError) as error:
        fail(str(error))
        return exit_status(error)
    except KeyboardInterrupt:
        errors.print("Interrupted.")
        return EXIT_INTERRUPTED
    return 0


def exit_status(error: Exception) -> int:
    """Return what tells a failed job, and one that still runs, from whatever else failed."""
    match error:
        case JobFailedError() | TrainingFailedError() | TransformFailedError() | PromotionFailedError():
            return EXIT_JOB_FAILED
        case StillRunningError() | TrainingRunningError() | TransformRunningError() | PromotionRunningError():
            return EXIT_STILL_RUNNING
        case _:
            return EXIT_FAILED


def fail(message: str, log: Iterable[str] = ()) -> None:
    """Say what went wrong, on stderr."""
    errors.print(Text.assemble(("Error: ", "bold red"), message))
    for line in log:
        errors.print(Text(f"  {line}"))


def examples(*commands: str) -> str:
    """Return the examples below the help of a command."""
    return "\n".join(["\b", "Examples:", *(f"  {command}" for command in commands)])


def print_json(documents: Iterable[Mapping[str, Any]]) -> None:
    """Print documents as JSON lines."""
    for document in documents:
        sys.stdout.write(f"{json.dumps(document, ensure_ascii=False, default=datetime.isoformat)}\n")
    sys.stdout.flush()


def note(message: str) -> None:
    """Say something on the way, on stderr."""
    errors.print(Text(message))


def tracked(jobs: Iterable[Job], total: int) -> Iterator[Job]:
    """Yield the jobs, with a bar on stderr that says how many of all have come, if that is a terminal."""
    columns = (TextColumn("jobs ended"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(
        *columns,
        console=errors,
        transient=True,
        disable=not errors.is_terminal,
        redirect_stdout=False,  # it may be a file
        redirect_stderr=False,
    ) as progress:
        yield from progress.track(jobs, total=total)


def client_of(context: typer.Context) -> Client:
    """Return the client of the stack that the command line names, made at the first call."""
    found = context.obj
    client: Client = found() if callable(found) else found
    context.obj = client
    return client


@contextmanager
def uploading(argument: str) -> Iterator[None]:
    """Make wrong usage of a path that cannot be uploaded, which an argument has named."""
    try:
        yield
    except (FileNotFoundError, ValueError) as error:
        raise typer.BadParameter(str(error), param_hint=argument) from error


def last_look(what: str, started: Seen, looks: Iterable[Seen]) -> Seen:
    """Return the last of some looks, with each one's progress on stderr: a line for each, unless that is a terminal.

    Args:
        what: What is looked at, such as ``"training"``, and its id.
        started: What was seen of it before.
        looks: One at least.
    """
    note(f"{what} {'has ended' if started.has_ended else 'is running'}")
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(
        *columns,
        console=errors,
        transient=True,
        disable=not errors.is_terminal,
        redirect_stdout=False,  # it may be a file
        redirect_stderr=False,
    ) as progress:
        task = progress.add_task(what, total=None)

        def shown(seen: Seen) -> Seen:
            progress.update(task, description=f"{what}: {seen.progress}")
            if not errors.is_terminal and not seen.has_ended:
                note(f"{what}: {seen.progress}")
            return seen

        return deque(map(shown, looks), maxlen=1)[0]


def results_table(first_column: str, rows: Iterable[tuple[str, Classification]]) -> Table:
    """Return a table of results, each with a text before it."""
    table = Table(first_column, "label", "score", "language", box=None, pad_edge=False)
    for first, result in rows:
        table.add_row(Text(first[:60]), result.label, f"{result.score:.3f}", result.language)
        if result.annotations:
            for line in _annotation_lines(result.annotations):
                table.add_row(Text(f"  {line}", style="dim"))
    return table


def _annotation_lines(annotations: Annotations) -> Iterator[str]:
    if annotations.error:
        yield annotations.error
        return
    yield " ".join(f"{token.text}/{token.pos}" for token in annotations.tokens)
    if annotations.entities:
        yield ", ".join(f"{entity.text}: {entity.type}" for entity in annotations.entities)
