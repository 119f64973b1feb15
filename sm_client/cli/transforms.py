"""The commands of the command line that label files in bulk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer
from rich.text import Text

from sm_client.cli.console import (
    STACK,
    AsJson,
    Timeout,
    Wait,
    client_of,
    console,
    examples,
    last_look,
    print_json,
    uploading,
)
from sm_client.client import Client
from sm_client.errors import TransformFailedError
from sm_client.transforms import Transform

_ID = "0123456789abcdef0123456789abcdef"
_A_DAY = 24 * 3600

Directory = Annotated[
    Path | None, typer.Option("--to", metavar="DIRECTORY", help="Write the results there, once it has ended.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        epilog=examples(f"{STACK} label reviews.csv --to labelled", f"{STACK} label reviews/ --to labelled --again")
    )(label)
    app.command(
        epilog=examples(
            f"{STACK} transform transform/input/today/ --wait",
            f"{STACK} transform transform/input/today/ --output transform/output/new-model/",
        )
    )(transform)
    app.command(
        name="transform-status",
        epilog=examples(
            f"{STACK} transform-status {_ID}", f"{STACK} transform-status {_ID} --wait --to labelled --json"
        ),
    )(transform_status)


def label(
    context: typer.Context,
    path: Annotated[
        Path, typer.Argument(help="A *.jsonl, lines with a `text`; a *.csv, a text a line; a directory of some.")
    ],
    to: Annotated[Path, typer.Option(metavar="DIRECTORY", help="Where the results are written.")],
    name: Annotated[
        str | None,
        typer.Option(help="What it is called under transform/input/. When omitted: as the file or directory is."),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Label all of it, also what has results from before.")] = False,
    timeout: Timeout = _A_DAY,
    as_json: AsJson = False,
) -> None:
    """Label files in bulk: upload them, transform them, and download the results.

    What the same files have got before is not labelled anew, so that a command that failed goes on where it was.
    """
    client = client_of(context)
    with uploading("PATH"):
        given = client.upload_files(path, name)
    output = f"transform/output/{given.removeprefix('transform/input/').rstrip('/')}-{uuid4().hex[:8]}/"
    started = client.start_transform(given, output=output if again else None)
    _finish(client, started, wait=True, timeout=timeout, to=to, as_json=as_json)


def transform(
    context: typer.Context,
    given: Annotated[
        str,
        typer.Argument(metavar="INPUT", help="transform/input/…: a *.jsonl or *.csv, or with a / at its end all."),
    ],
    output: Annotated[
        str | None,
        typer.Option(metavar="PREFIX", help="transform/output/…/: where results go. When omitted: as the input."),
    ] = None,
    idempotency_key: Annotated[
        str | None, typer.Option(metavar="KEY", help="Asked for again under it, the same is the same transform.")
    ] = None,
    wait: Wait = False,
    timeout: Timeout = _A_DAY,
    as_json: AsJson = False,
) -> None:
    """Label files that are in the artifacts' bucket."""
    client = client_of(context)
    started = client.start_transform(given, output=output, idempotency_key=idempotency_key)
    _finish(client, started, wait=wait, timeout=timeout, to=None, as_json=as_json)


def transform_status(
    context: typer.Context,
    transform_id: Annotated[str, typer.Argument(metavar="TRANSFORM_ID")],
    wait: Wait = False,
    to: Directory = None,
    timeout: Timeout = _A_DAY,
    as_json: AsJson = False,
) -> None:
    """Look at a transform, and fetch its results."""
    client = client_of(context)
    _finish(client, client.transform(transform_id), wait=wait, timeout=timeout, to=to, as_json=as_json)


def _finish(client: Client, seen: Transform, *, wait: bool, timeout: float, to: Path | None, as_json: bool) -> None:
    if wait:
        looks = client.watch_transform(seen, timeout_s=timeout)
        seen = last_look(f"transform {seen.transform_id}", seen, looks)
    written = client.download_results(seen, to) if to else []
    if as_json:
        shown = {name: value for name, value in asdict(seen).items() if value is not None}
        print_json([{**shown, "written": [str(path) for path in written]} if to else shown])
    else:
        for line in _lines(seen, written):
            console.print(Text(line))
    if seen.status == "failed":
        raise TransformFailedError(seen)


def _lines(seen: Transform, written: Sequence[Path]) -> Iterator[str]:
    yield " ".join(filter(None, [seen.transform_id, seen.status, seen.state]))
    if seen.files is not None:
        yield f"  {seen.files_done:,} of {seen.files:,} files, {seen.lines:,} lines, {seen.lines_refused:,} refused"
    if seen.output:
        yield f"  results: {seen.output}"
    for path in written:
        yield f"  {path}"
