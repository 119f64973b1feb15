"""Runs all checkers over all apps and collects what they find."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from sm_local.cdk import tool_environment
from tests.gates import findings, linting, own_rules
from tests.gates.apps import APPS, FAULTY, ROOT, JudgedApp
from tests.gates.findings import COUNTED, Finding, Template
from tests.gates.synthesize import FAILURE, REPORT


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """What came out for one app.

    Args:
        app: The app.
        directory: Its cloud assembly.
        failure: The traceback where it could not be synthesized.
        templates: How many templates were looked at.
        findings: Everything found, in order.
    """

    app: JudgedApp
    directory: Path
    failure: str | None
    templates: int
    findings: tuple[Finding, ...]

    @property
    def binding(self) -> list[Finding]:
        """The findings that must be fixed or stand on the list of exceptions."""
        return [finding for finding in self.findings if finding.checker not in COUNTED]

    def acknowledgements(self) -> list[str]:
        """Return the metadata files that say that somebody acknowledged a finding in the code."""
        marks = ("aws:cdk:acknowledged-rules", '"cdk_nag"')
        files = [*self.directory.rglob("*.metadata.json"), *self.directory.rglob("*.template.json")]
        return sorted(path.name for path in files if any(mark in path.read_text(encoding="utf-8") for mark in marks))


def judge_all(output: Path) -> dict[str, Judgement]:
    """Synthesize and judge every app, below a directory that is empty."""
    _synthesize(output)
    apps = [*APPS.values(), FAULTY]
    # Not forked: the parent has threads by now.
    with ProcessPoolExecutor(max_workers=2, mp_context=get_context("spawn")) as pool:
        judgements = pool.map(_judge, apps, [output / app.name for app in apps])
        return {app.name: judgement for app, judgement in zip(apps, judgements, strict=True)}


def _synthesize(output: Path) -> None:
    work = output / "work"
    work.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "tests.gates.synthesize", str(output)],
        cwd=work,
        env={**tool_environment(_without_cdk(os.environ)), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,  # the reports have it as data
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"the apps could not be synthesized:\n{done.stderr[-4000:]}")


def _without_cdk(environment: Mapping[str, str]) -> dict[str, str]:
    """Leave out what could switch validation off or point synth elsewhere."""
    prefixes = ("CDK_", "SM_CONSTRUCTS_", "AWS_")
    return {name: value for name, value in environment.items() if not name.startswith(prefixes)}


def _judge(app: JudgedApp, directory: Path) -> Judgement:
    failure = directory / FAILURE
    templates = Template.of_assembly(directory)
    return Judgement(
        app=app,
        directory=directory,
        failure=failure.read_text(encoding="utf-8") if failure.is_file() else None,
        templates=len(templates),
        findings=() if failure.is_file() else tuple(sorted(set(_find(app, directory, templates)))),
    )


def _find(app: JudgedApp, directory: Path, templates: list[Template]) -> Iterator[Finding]:
    yield from findings.of_report(directory / REPORT)
    for template in templates:
        yield from linting.check(template)
        yield from own_rules.check(template, production=app.production)
