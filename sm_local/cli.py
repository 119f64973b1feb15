"""The command line: ``python -m sm_local``."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import boto3
import typer
from rich.text import Text

from sm_client import Client, StackNotFoundError
from sm_client.cli.console import results_table
from sm_client.client import Language, stack_outputs
from sm_local import deployment, lifecycle, logs
from sm_local.connection import connect, running_server
from sm_local.console import console, errors, run, step
from sm_local.errors import LocalAwsError
from sm_local.ports import DEFAULT_PORT
from sm_local.project import Project, Stage


def _examples(*commands: str) -> str:
    return "\n".join(["\b", "Examples:", *(f"  python -m sm_local {command}" for command in commands)])


app = typer.Typer(
    name="python -m sm_local",
    help="A local AWS for the text-classification stack: no account, no Docker.",
    epilog=_examples("up", "deploy", "classify '物流很快，包装也好'", "down"),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

StageOption = Annotated[Stage, typer.Option(help="Which stage of the stack.")]


@app.command(epilog=_examples("up", "up --foreground --port 5000", "up --time-scale 60"))
def up(
    port: Annotated[
        int | None,
        typer.Option(
            min=1024,
            max=65535,
            help=f"Where to listen on 127.0.0.1.  [default: {DEFAULT_PORT}, or a free one if that is taken]",
        ),
    ] = None,
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Stay attached and show the log; Ctrl-C stops everything.")
    ] = False,
    time_scale: Annotated[
        float | None,
        typer.Option(
            min=1,
            max=1000,
            metavar="N",
            help="How many times as fast as the wall clock alarm periods and waiting times pass.  [default: 1]",
        ),
    ] = None,
) -> None:
    """Start the local AWS, unless it is up already."""
    project = Project.find()
    if foreground:
        lifecycle.run_in_foreground(project, port, time_scale)
        return
    lifecycle.ensure_up(project, port, time_scale)
    console.print("Next: `python -m sm_local deploy`. To stop it: `python -m sm_local down`.")


@app.command(epilog=_examples("deploy", "deploy --stage prod"))
def deploy(stage: StageOption = Stage.DEV) -> None:
    """Deploy the stack to the local AWS with the real CDK CLI."""
    project = Project.find()
    session = connect(project)
    deployment.deploy(project, stage, session, on_step=step)
    console.print(f"Deployed. Next: `python -m sm_local classify{_option(stage)} '物流很快，包装也好'`")


@app.command(epilog=_examples("status"))
def status() -> None:
    """Show whether the local AWS is up, what is deployed, and how the endpoints are."""
    project = Project.find()
    server = running_server(project)
    session = connect(project)
    console.print(f"The local AWS is up at {server.url} (process {server.pid}); its state: {project.state.root}")
    for stack in deployment.stacks(session):
        console.print(Text.assemble((stack.name, "bold"), f": {stack.status}"))
        if name := stack.outputs.get("EndpointName"):
            console.print(f"  endpoint {name}: {deployment.endpoint_status(name, session)}")
        if url := stack.outputs.get("ApiUrl"):
            console.print(f"  api      {url}")


@app.command(epilog=_examples("classify 'You have won a prize'", "classify --annotations --json '物流很快' '质量太差'"))
def classify(
    texts: Annotated[list[str], typer.Argument(help="One or more texts, Chinese or English.")],
    language: Annotated[Language, typer.Option(help="Of the texts.")] = "auto",
    annotations: Annotated[bool, typer.Option("--annotations", help="Show words, tags and entities, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
    stage: StageOption = Stage.DEV,
) -> None:
    """Classify texts through the deployed API, with a signed request."""
    session = connect(Project.find())
    client = Client(_outputs(stage, session)["ApiUrl"], session=session)
    answer = client.classify(texts, language, annotations)
    if as_json:
        typer.echo(json.dumps(asdict(answer), ensure_ascii=False, indent=2))
    else:
        console.print(results_table("text", zip(texts, answer, strict=True)))


@app.command("logs", epilog=_examples("logs endpoint", "logs --follow"))
def show_logs(
    source: Annotated[logs.Source, typer.Argument(help="Whose log.")] = logs.Source.CLASSIFY,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    stage: StageOption = Stage.DEV,
) -> None:
    """Print the log of the classify function, the endpoint or the local AWS itself."""
    empty = True
    for line in _log_lines(Project.find(), source, stage, follow=follow):
        typer.echo(line)
        empty = False
    if empty:
        errors.print("The log is empty so far.")


@app.command(epilog=_examples("down"))
def down() -> None:
    """Stop the local AWS and all it started, after a crash too. What was deployed is gone then."""
    stopped = lifecycle.take_down(Project.find())
    console.print(f"Stopped {stopped} processes." if stopped else "Nothing was running.")


@app.command(epilog=_examples("serve model.tar.gz", "serve model.tar.gz --host 0.0.0.0 --workers 4"))
def serve(
    archive: Annotated[Path, typer.Argument(help="A model.tar.gz with code/inference.py in it, or such a directory.")],
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 8080,
    workers: Annotated[
        int | None, typer.Option(min=1, help="How many processes answer.  [default: one for each CPU]")
    ] = None,
) -> None:
    """Serve a model without AWS, on any machine: /ping and /invocations as SageMaker's containers have them."""
    from sm_local import serve as server

    server.serve(archive, host=host, port=port, workers=workers or os.cpu_count() or 1)


def main() -> None:
    """Run the command line and exit."""
    sys.exit(run(app))


def _option(stage: Stage) -> str:
    return "" if stage is Stage.DEV else f" --stage {stage}"


def _outputs(stage: Stage, session: boto3.Session) -> dict[str, str]:
    try:
        return stack_outputs(stage.stack_name, session)
    except StackNotFoundError as error:
        names = [stack.name for stack in deployment.stacks(session) if "ApiUrl" in stack.outputs]
        deployed = f" Deployed: {', '.join(names)}." if names else ""
        raise LocalAwsError(
            f"{stage.stack_name} is not deployed: run `python -m sm_local deploy{_option(stage)}`.{deployed}"
        ) from error


def _log_lines(project: Project, source: logs.Source, stage: Stage, *, follow: bool) -> Iterator[str]:
    go_on = logs.always if follow else logs.never
    if source is logs.Source.SERVER:
        return logs.file_lines(project.state.server_log, follow=go_on)
    session = connect(project)
    outputs = _outputs(stage, session)
    if source is logs.Source.ENDPOINT:
        log = project.state.endpoint_logs / f"{outputs['EndpointName']}.log"
        return logs.file_lines(log, follow=go_on)
    return logs.function_lines(outputs["ClassifyFunctionName"], session, follow=go_on)
