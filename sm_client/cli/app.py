"""The command line: ``python -m sm_client``. Needs typer and rich, which the client itself does not."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from sm_client.batches import batches
from sm_client.cli import trainings, transforms
from sm_client.cli.console import (
    EXIT_FAILED,
    EXIT_JOB_FAILED,
    EXIT_STILL_RUNNING,
    STACK,
    client_of,
    console,
    examples,
    exit_status,
    fail,
    print_json,
    results_table,
    run,
    tracked,
)
from sm_client.client import Client, Language
from sm_client.errors import JobFailedError, NotFoundError, StillRunningError
from sm_client.jobs import Job
from sm_client.session import default_session

app = typer.Typer(
    name="python -m sm_client",
    help="Classify texts with a deployed text-classification stack, now, as jobs or as files, and train its model.",
    epilog=examples(
        f"{STACK} classify '物流很快，包装也好'",
        f"{STACK} submit --file reviews.txt > jobs.txt",
        f"{STACK} wait < jobs.txt",
        f"{STACK} results < jobs.txt",
        f"{STACK} label reviews.csv --to labelled",
        f"{STACK} upload reviews.csv",
        f"{STACK} train --wait datasets/reviews.csv",
    )
    + "\n\nExit status: 0 all is well, 1 refused or failed, 2 wrong usage, 3 a job failed, 4 still running. "
    "A training, a transform or a rollback is a job, too.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Texts = Annotated[list[str] | None, typer.Argument(metavar="TEXT", help="Texts, unless there is a file of them.")]
TextFile = Annotated[
    Path | None,
    typer.Option(
        "--file",
        "-f",
        help="A text on each line, or JSON lines (*.jsonl): strings, or objects with a `text`. - is stdin.",
    ),
]
JsonLines = Annotated[bool, typer.Option("--json-lines", help="The file is JSON lines, whatever its name.")]
LanguageOption = Annotated[Language, typer.Option(help="Of the texts.")]
AnnotationsOption = Annotated[bool, typer.Option("--annotations", help="Words, tags and entities, too.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON lines.")]
JobIds = Annotated[
    list[str] | None, typer.Argument(metavar="JOB_ID", help="When omitted: the first word of each line of stdin.")
]


@app.callback()
def connect(
    context: typer.Context,
    stack: Annotated[str | None, typer.Option(help="The name of the stack, such as TextClassification-dev.")] = None,
    region: Annotated[str | None, typer.Option(help="When omitted: that of the environment or profile.")] = None,
) -> None:
    """Classify texts with a deployed text-classification stack, now, as jobs or as files, and train its model."""

    def client() -> Client:
        if not stack:
            raise typer.BadParameter(
                "name the stack before the command, such as --stack TextClassification-dev", param_hint="--stack"
            )
        return Client.from_stack(stack, default_session(region))

    context.obj = client


@app.command(epilog=examples(f"{STACK} classify 'You have won a prize'", f"{STACK} classify --json -f reviews.jsonl"))
def classify(
    context: typer.Context,
    texts: Texts = None,
    file: TextFile = None,
    json_lines: JsonLines = False,
    language: LanguageOption = "auto",
    annotations: AnnotationsOption = False,
    as_json: AsJson = False,
) -> None:
    """Classify texts now."""
    given = _texts(texts, file, json_lines=json_lines)
    client = client_of(context)
    for group in batches(given, annotations=annotations):
        answer = client.classify(group, language, annotations)
        found = list(zip(group, answer, strict=True))
        if as_json:
            common = {"model_version": answer.model_version, "request_id": answer.request_id}
            print_json(
                {"text": text, **asdict(result), **common, "index": index} for index, (text, result) in enumerate(found)
            )
        else:
            console.print(results_table("text", found))


@app.command(epilog=examples(f"{STACK} submit -f reviews.txt", f"{STACK} submit --idempotency-key order-17 'fine'"))
def submit(
    context: typer.Context,
    texts: Texts = None,
    file: TextFile = None,
    json_lines: JsonLines = False,
    language: LanguageOption = "auto",
    annotations: AnnotationsOption = False,
    idempotency_key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="Submitted again under it, the same texts are the same jobs; of several the second has KEY-2.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Submit texts to be classified later, 100 to a job, and print the jobs."""
    given = _texts(texts, file, json_lines=json_lines)
    client = client_of(context)
    for number, group in enumerate(batches(given, annotations=annotations), start=1):
        key = f"{idempotency_key}-{number}" if idempotency_key and number > 1 else idempotency_key
        _print_job(client.submit(group, language, annotations, idempotency_key=key), as_json=as_json)


@app.command(epilog=examples(f"{STACK} status 0123456789abcdef0123456789abcdef", f"{STACK} status --json"))
def status(context: typer.Context, job_ids: JobIds = None, as_json: AsJson = False) -> None:
    """Look at jobs."""
    _for_each(job_ids, context, lambda client, job_id: _print_job(client.job(job_id), as_json=as_json))


@app.command(epilog=examples(f"{STACK} wait --timeout 3600", f"{STACK} wait 0123456789abcdef0123456789abcdef"))
def wait(
    context: typer.Context,
    job_ids: JobIds = None,
    timeout: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="How long to wait for all of them.")] = 300,
    as_json: AsJson = False,
) -> None:
    """Wait until jobs have ended, and print how."""
    given = _job_ids(job_ids)
    ended: list[Job] = []
    try:
        ended.extend(tracked(client_of(context).as_ended(given, timeout_s=timeout), len(set(given))))
    finally:
        for job in ended:
            _print_job(job, as_json=as_json)
    if any(job.status == "failed" for job in ended):
        raise typer.Exit(EXIT_JOB_FAILED)


@app.command(epilog=examples(f"{STACK} results --json", f"{STACK} results 0123456789abcdef0123456789abcdef"))
def results(context: typer.Context, job_ids: JobIds = None, as_json: AsJson = False) -> None:
    """Print the results of jobs that have succeeded, and why the others failed."""

    def show(client: Client, job_id: str) -> None:
        answer = client.results(job_id)
        rows = list(enumerate(answer))
        if as_json:
            common = {"job_id": job_id, "model_version": answer.model_version}
            print_json({**common, "index": index, **asdict(result)} for index, result in rows)
        else:
            console.print(results_table(job_id, ((str(index), result) for index, result in rows)))

    _for_each(job_ids, context, show)


trainings.register(app)
transforms.register(app)


def main() -> None:
    """Run the command line and exit."""
    sys.exit(run(app))


def _for_each(job_ids: list[str] | None, context: typer.Context, show: Callable[[Client, str], None]) -> None:
    """Show jobs, one by one: of one that cannot be shown it is said why, and the others are shown all the same."""
    given = _job_ids(job_ids)
    client = client_of(context)
    problems: set[int] = set()
    for job_id in given:
        try:
            show(client, job_id)
        except (JobFailedError, StillRunningError, NotFoundError) as error:
            fail(str(error))
            problems.add(exit_status(error))
    for status in (EXIT_JOB_FAILED, EXIT_FAILED, EXIT_STILL_RUNNING):
        if status in problems:
            raise typer.Exit(status)


def _job_ids(arguments: list[str] | None) -> list[str]:
    given = arguments or [words[0] for line in _piped("job ids") if (words := line.split())]
    if not given:
        raise typer.BadParameter("there are no job ids")
    return given


def _texts(arguments: list[str] | None, file: Path | None, *, json_lines: bool) -> list[str]:
    if arguments and file:
        raise typer.BadParameter("texts come as arguments or from a file, not both", param_hint="--file")
    if arguments:
        return arguments
    if file is None or str(file) == "-":
        lines, name = _piped("texts"), "stdin"
    else:
        lines, name = _lines(file), str(file)
        json_lines = json_lines or file.suffix == ".jsonl"
    numbered = [(f"{name}, line {number}", line) for number, line in enumerate(lines, start=1) if line.strip()]
    if not numbered:
        raise typer.BadParameter(f"{name} has no texts")
    return [_text(line, place) if json_lines else line for place, line in numbered]


def _piped(what: str) -> list[str]:
    if sys.stdin.isatty():
        raise typer.BadParameter(f"there are no {what}: give them as arguments or through a pipe")
    return _decoded(sys.stdin.buffer.read(), "stdin")


def _lines(file: Path) -> list[str]:
    try:
        return _decoded(file.read_bytes(), str(file))
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}", param_hint="--file") from error


def _decoded(document: bytes, name: str) -> list[str]:
    try:
        # Not splitlines(), which also splits at characters that JSON lines and texts may hold.
        return [line.removesuffix("\r") for line in document.decode("utf-8-sig").split("\n")]
    except UnicodeDecodeError as error:
        raise typer.BadParameter(f"{name} is not UTF-8: {error.reason} at byte {error.start}") from error


def _text(line: str, place: str) -> str:
    try:
        document = json.loads(line)
    except ValueError as error:
        raise typer.BadParameter(f"{place} is not JSON: {error}") from error
    text = document.get("text") if isinstance(document, dict) else document
    if not isinstance(text, str):
        raise typer.BadParameter(f"{place} is neither a string nor an object with a `text` that is one")
    return text


def _print_job(job: Job, *, as_json: bool) -> None:
    if as_json:
        document = {name: value for name, value in asdict(job).items() if value is not None and name != "results"}
        print_json([document])
        return
    # A line is a job: other commands read what this one printed. A model's error may be a whole stack trace.
    reason = (job.error or job.last_error or "").strip().partition("\n")[0]
    console.print(Text(f"{job.job_id} {job.status} {reason}".strip()))
