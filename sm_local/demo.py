"""``make demo``: from nothing to classified texts, through the API of a stack that was deployed just now."""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table
from rich.text import Text

from sm_client import Classification, Client, batches
from sm_client.cli.console import tracked
from sm_client.client import stack_outputs
from sm_local import demo_model, deployment, lifecycle
from sm_local.connection import connect
from sm_local.console import console, run, step
from sm_local.datasets import LabelledText, held_out
from sm_local.errors import LocalAwsError
from sm_local.project import Project, Stage

SHOWN = 12  # texts of each language in the table, each sent by itself
MEASURED = 500  # texts of each language that the accuracy is measured on, sent many at a time
LEAST_ACCURACY = 0.8
_OTHER_COLUMNS = 45  # of the table, with its lines
_DATASETS = {"zh": "reviews-zh", "en": "mail-en"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """A text with what it is and what it was taken for.

    Args:
        text: With its true label.
        result: What the API answered.
        model_version: Of the model that answered.
        seconds: From the request's signing to its parsed answer.
    """

    text: LabelledText
    result: Classification
    model_version: str
    seconds: float

    @property
    def correct(self) -> bool:
        return self.result.label == self.text.label


def demo(project: Project) -> None:
    """Train, start, deploy, classify and print.

    Raises:
        LocalAwsError: A step failed, another model answered than the one just deployed, or the labels are too
            often wrong to be those of that model.
    """
    began = time.monotonic()
    with _timed("Making the model"):
        demo_model.build(project.root, say=console.print)
    with _timed("Starting the local AWS"):
        lifecycle.ensure_up(project)
    session = connect(project)
    with _timed("Deploying with the CDK"):
        deployment.deploy(project, Stage.DEV, session)
    outputs = stack_outputs(Stage.DEV.stack_name, session)
    client = Client(outputs["ApiUrl"], session=session)
    with _timed("Classifying held-out texts through the API"):
        samples = {language: _sample(project, language) for language in _DATASETS}
        shown = [outcome for texts in samples.values() for outcome in _one_by_one(client, texts[:SHOWN])]
        measured = {language: _together(client, texts) for language, texts in samples.items()}
    metadata = json.loads((project.model / "metadata.json").read_text())
    console.print(outcomes_table(shown))
    console.print(_accuracy_table(measured, metadata["metrics"]))
    if "JobQueueUrl" in outputs:
        with _timed("Classifying the same texts as jobs"):
            console.print(as_jobs(client, [outcome for outcomes in measured.values() for outcome in outcomes]))
    _say_where_things_are(project, outputs, metadata["model_version"])
    console.print(f"All of it took {time.monotonic() - began:.0f} s.")
    check(measured, metadata["model_version"])


def check(measured: dict[str, list[Outcome]], model_version: str) -> None:
    """Refuse an outcome that the deployed model cannot have.

    Raises:
        LocalAwsError: Says what is implausible.
    """
    for language, outcomes in measured.items():
        others = {outcome.model_version for outcome in outcomes} - {model_version}
        if others:
            raise LocalAwsError(f"Model {', '.join(sorted(others))} answered, and {model_version} was deployed.")
        if accuracy(outcomes) < LEAST_ACCURACY:
            raise LocalAwsError(
                f"Only {accuracy(outcomes):.0%} of the {language} texts got the right label, and at least "
                f"{LEAST_ACCURACY:.0%} should: something is wrong with the model or with what it is sent."
            )


def accuracy(outcomes: Sequence[Outcome]) -> float:
    """Return the part of the outcomes that are correct, from 0 to 1."""
    return sum(outcome.correct for outcome in outcomes) / len(outcomes)


def as_jobs(client: Client, outcomes: Sequence[Outcome]) -> str:
    """Submit texts as jobs, wait for them and say how many labels are those that the API answered at once.

    Raises:
        JobFailedError: One has no results.
        StillRunningError: They take too long.
    """
    jobs = [client.submit([text.text for text in group]) for group in _batches([each.text for each in outcomes])]
    ended = {job.job_id: job for job in tracked(client.as_ended(jobs), len(jobs))}
    labels = [result.label for job in jobs for result in client.results(ended[job.job_id])]
    same = sum(label == each.result.label for label, each in zip(labels, outcomes, strict=True))
    return f"{len(jobs)} jobs: {same:,} of {len(labels):,} labels are those of the calls above."


def _sample(project: Project, language: str) -> list[LabelledText]:
    texts = held_out(project.root / ".build" / "data", _DATASETS[language])
    # The same ones in each run, and not chosen by hand.
    return random.Random(language).sample(texts, MEASURED)  # noqa: S311 - not a secret


def _one_by_one(client: Client, texts: Sequence[LabelledText]) -> list[Outcome]:
    return [outcome for text in texts for outcome in _classify(client, [text])]


def _together(client: Client, texts: Sequence[LabelledText]) -> list[Outcome]:
    return [outcome for group in _batches(texts) for outcome in _classify(client, group)]


def _batches(texts: Sequence[LabelledText]) -> Iterator[list[LabelledText]]:
    return batches(texts, characters=lambda text: len(text.text))


def _classify(client: Client, texts: Sequence[LabelledText]) -> list[Outcome]:
    began = time.perf_counter()
    answer = client.classify([text.text for text in texts])
    seconds = time.perf_counter() - began
    return [
        Outcome(text=text, result=result, model_version=answer.model_version, seconds=seconds)
        for text, result in zip(texts, answer, strict=True)
    ]


def outcomes_table(outcomes: Sequence[Outcome]) -> Table:
    """Return a table of texts that fits the terminal, with a row for each outcome."""
    caption = "The first time includes the cold start of the Lambda function."
    table = Table(title="Held-out texts, one request each", caption=caption)
    for heading in ("text", "truth", "label", "score", "time"):
        table.add_column(heading, no_wrap=True)
    for outcome in outcomes:
        table.add_row(
            shorten(outcome.text.text, min(60, console.width - _OTHER_COLUMNS)),
            outcome.text.label,
            Text(outcome.result.label, style="green" if outcome.correct else "red"),
            f"{outcome.result.score:.2f}",
            f"{outcome.seconds:.3f} s",
        )
    return table


def shorten(text: str, width: int) -> Text:
    """Return a text on one line of at most `width` columns, of which a Chinese character takes two."""
    line = Text(" ".join(text.split()))
    line.truncate(width, overflow="ellipsis")
    return line


def _accuracy_table(measured: dict[str, list[Outcome]], metrics: dict[str, dict[str, float]]) -> Table:
    table = Table(title="Measured on held-out texts: now, and at training")
    table.add_column("language")
    for heading in ("over HTTP", "accuracy", "at training", "accuracy", "macro-F1"):
        table.add_column(heading, justify="right")
    for language, outcomes in measured.items():
        trained = metrics[language]
        table.add_row(
            language,
            f"{len(outcomes)}",
            f"{accuracy(outcomes):.3f}",
            f"{trained['texts']}",
            f"{trained['accuracy']:.3f}",
            f"{trained['macro_f1']:.3f}",
        )
    return table


def _say_where_things_are(project: Project, outputs: dict[str, str], model_version: str) -> None:
    console.print(f"Model    {model_version} in {_relative(project.model)}")
    console.print(f"API      {outputs['ApiUrl']}v1/classifications")
    console.print(f"         at {os.environ['AWS_ENDPOINT_URL']}, with signed requests")
    console.print(f"Logs     {_relative(project.state.root / 'logs')}, or `python -m sm_local logs --help`")
    console.print("Go on    `.venv/bin/python -m sm_local classify 'You have won a prize' '质量太差，要求退货'`")
    console.print("Look at  `.venv/bin/python -m sm_local status`")
    console.print("Stop     `.venv/bin/python -m sm_local down`")


def _relative(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


@contextmanager
def _timed(name: str) -> Iterator[None]:
    step(name)
    began = time.monotonic()
    yield
    console.print(f"Done in {time.monotonic() - began:.1f} s.\n", style="dim")


def main() -> int:
    """Run the demo in the project of the current directory, and return the exit status."""

    def in_this_project() -> None:
        project = Project.find()
        with lifecycle.stopping_on_interrupt(project):
            demo(project)

    return run(in_this_project)


if __name__ == "__main__":
    sys.exit(main())
