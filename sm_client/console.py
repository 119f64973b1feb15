"""Printing for people: plain where the output is not a terminal. Needs rich, which the client itself does not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from sm_client.errors import JobFailedError, SmClientError, StillRunningError
from sm_client.jobs import Job
from sm_client.results import Annotations, Classification

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
        return _status(error)
    except KeyboardInterrupt:
        errors.print("Interrupted.")
        return EXIT_INTERRUPTED
    return 0


def fail(message: str, log: Iterable[str] = ()) -> None:
    """Say what went wrong, on stderr."""
    errors.print(Text.assemble(("Error: ", "bold red"), message))
    for line in log:
        errors.print(Text(f"  {line}"))


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


def _status(error: Exception) -> int:
    match error:
        case JobFailedError():
            return EXIT_JOB_FAILED
        case StillRunningError():
            return EXIT_STILL_RUNNING
        case _:
            return EXIT_FAILED
