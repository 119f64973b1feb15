"""The commands of the command line that train: a data set becomes a model, a corrected label a row of the next one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

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
from sm_client.errors import TrainingFailedError
from sm_client.trainings import Training

_ID = "0123456789abcdef0123456789abcdef"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog=examples(f"{STACK} upload reviews.csv", f"{STACK} upload reviews/ --name reviews-2026"))(upload)
    app.command(
        epilog=examples(
            f"{STACK} train --wait datasets/reviews.csv -p ngram_max=3",
            f"{STACK} train datasets/reviews/ --grid loss=log_loss,hinge --grid ngram_max=3,4",
        )
    )(train)
    app.command(epilog=examples(f"{STACK} training {_ID}", f"{STACK} training --wait --json {_ID}"))(training)
    app.command(epilog=examples(f"{STACK} feedback {_ID} 0 spam", f"{STACK} feedback {_ID} 17 good"))(feedback)
    app.command(epilog=examples(f"{STACK} rollback", f"{STACK} rollback --timeout 600 --json"))(rollback)


def upload(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(help="A *.jsonl or *.csv, or a directory of some.")],
    name: Annotated[
        str | None, typer.Option(help="What it is called under datasets/. When omitted: as the file or directory is.")
    ] = None,
) -> None:
    """Put a data set into the artifacts' bucket, and print what `train` calls it."""
    with uploading("PATH"):
        dataset = client_of(context).upload_dataset(path, name)
    console.print(Text(dataset))


def train(
    context: typer.Context,
    dataset: Annotated[str, typer.Argument(help="datasets/…: a *.jsonl or *.csv, or with a / at its end all of them.")],
    parameters: Annotated[
        list[str] | None,
        typer.Option("--parameter", "-p", metavar="NAME=VALUE", help="A hyperparameter; may be repeated."),
    ] = None,
    trials: Annotated[
        list[str] | None,
        typer.Option(
            "--trial", metavar="NAME=VALUE…", help="One of several trials, such as 'loss=hinge ngram_max=3'; repeat it."
        ),
    ] = None,
    grid: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE,VALUE…", help="Trials with each of these values; may be repeated."),
    ] = None,
    instances: Annotated[int | None, typer.Option(min=1, help="How many share the work. When omitted: 1.")] = None,
    margin: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="By how much macro-F1 must be better. When omitted: what the stack says."),
    ] = None,
    approval: Annotated[
        bool | None,
        typer.Option(
            "--approval/--no-approval", help="Whether somebody must approve. When omitted: what the stack says."
        ),
    ] = None,
    feedback: Annotated[bool, typer.Option(help="Whether to train with corrected labels, too.")] = True,
    validation: Annotated[
        float | None,
        typer.Option(min=0.01, max=0.4, help="The part of the texts to choose among trials by. When omitted: 0.1."),
    ] = None,
    test: Annotated[
        float | None,
        typer.Option(min=0.01, max=0.4, help="The part of the texts to judge the model by. When omitted: 0.1."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of everything random. When omitted: always the same.")
    ] = None,
    idempotency_key: Annotated[
        str | None, typer.Option(metavar="KEY", help="Asked for again under it, the same is the same training.")
    ] = None,
    wait: Wait = False,
    timeout: Timeout = 4 * 3600,
    as_json: AsJson = False,
) -> None:
    """Train a model, which takes the place of the one in service if it is better."""
    if trials and grid:
        raise typer.BadParameter("trials are a list or a grid, not both", param_hint="--grid")
    started = client_of(context).train(
        dataset,
        hyperparameters=_values(parameters, "--parameter"),
        trials=_grid(grid) if grid else [_values(each.split(), "--trial") or {} for each in trials] if trials else None,
        instance_count=instances,
        margin=margin,
        approval=approval,
        feedback=None if feedback else False,
        seed=seed,
        validation=validation,
        test=test,
        idempotency_key=idempotency_key,
    )
    _show(_waited(client_of(context), started, timeout) if wait else started, as_json=as_json)


def training(
    context: typer.Context,
    training_id: Annotated[str, typer.Argument(metavar="TRAINING_ID")],
    wait: Wait = False,
    timeout: Timeout = 4 * 3600,
    as_json: AsJson = False,
) -> None:
    """Look at a training."""
    client = client_of(context)
    looked_at = client.training(training_id)
    _show(_waited(client, looked_at, timeout) if wait else looked_at, as_json=as_json)


def feedback(
    context: typer.Context,
    request_id: Annotated[str, typer.Argument(help="As `classify --json` prints it, or a job's id.")],
    index: Annotated[int, typer.Argument(min=0, help="Which of its texts, counted from 0.")],
    label: Annotated[str, typer.Argument(help="The right label.")],
) -> None:
    """Correct the label of a text; the next training learns from it."""
    client_of(context).correct(request_id, index, label)


def rollback(context: typer.Context, timeout: Timeout = 3600, as_json: AsJson = False) -> None:
    """Put the model into service that was before the present one."""
    output = client_of(context).rollback(timeout_s=timeout)
    if as_json:
        print_json([output])
        return
    version = output.get("model_version")
    console.print(Text(f"rolled back{f' to {version}' if version else ''}"))


def _waited(client: Client, started: Training, timeout: float) -> Training:
    looks = client.watch_training(started, timeout_s=timeout)
    return last_look(f"training {started.training_id}", started, looks)


def _show(shown: Training, *, as_json: bool) -> None:
    if as_json:
        print_json([{name: value for name, value in asdict(shown).items() if value is not None}])
    else:
        for line in _lines(shown):
            console.print(Text(line))
    if shown.status == "failed":
        raise TrainingFailedError(shown)


def _lines(shown: Training) -> Iterator[str]:
    """Yield what is known of a training, its id and status first."""
    yield " ".join(filter(None, [shown.training_id, shown.status, shown.outcome or shown.state]))
    if shown.reason:
        yield f"  {shown.reason}"
    if shown.model_version:
        yield f"  model {shown.model_version} {shown.model_data or ''}".rstrip()
    if shown.dataset:
        yield f"  data set: {_counts(shown.dataset)}"
    for trial in shown.trials or ():
        yield f"  trial {_trial(trial)}"
    if shown.report:
        yield f"  report: {shown.report}"


def _counts(dataset: Mapping[str, Any]) -> str:
    names = ("rows", "train", "validation", "test", "duplicates", "conflicts")
    return ", ".join(f"{name} {dataset[name]:,}" for name in names if name in dataset)


def _trial(trial: Mapping[str, Any]) -> str:
    chosen = " ".join(f"{name}={value}" for name, value in trial.get("hyperparameters", {}).items())
    score = trial.get("metrics", {}).get("validation:macro_f1")
    result = f"failed: {trial['cause']}" if "cause" in trial else f"macro-F1 {score:.4f}" if score is not None else ""
    return f"{trial.get('name', '')} {chosen} {result}".strip()


def _values(pairs: Iterable[str] | None, option: str) -> dict[str, Any] | None:
    return dict(_pair(pair, option) for pair in pairs) if pairs else None


def _grid(pairs: Iterable[str]) -> dict[str, list[Any]]:
    return {name: [_value(each) for each in values.split(",")] for name, values in map(_named, pairs)}


def _pair(pair: str, option: str) -> tuple[str, Any]:
    name, value = _named(pair, option)
    return name, _value(value)


def _named(pair: str, option: str = "--grid") -> tuple[str, str]:
    name, equals, value = pair.partition("=")
    if not (name and equals and value):
        raise typer.BadParameter(f"{pair!r} is no NAME=VALUE", param_hint=option)
    return name, value


def _value(text: str) -> bool | int | float | str:
    """Return a number, true or false for what is one in JSON, and else the text."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, bool | int | float) else text
