"""Judges every app once for all tests, and says what was counted."""

from __future__ import annotations

import pytest

from tests.gates.apps import FAULTY, ROOT
from tests.gates.judging import Judgement, judge_all
from tests.gates.report import report, table

REPORT = ROOT / ".build/gates-report.md"
TABLE = pytest.StashKey[str]()


@pytest.fixture(scope="session")
def everything_judged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Judgement]:
    """Every app's judgement by name, the faulty app's included."""
    return judge_all(tmp_path_factory.mktemp("gates"))


@pytest.fixture(scope="session")
def judged(everything_judged: dict[str, Judgement], pytestconfig: pytest.Config) -> dict[str, Judgement]:
    """The judgements of the apps that are held to them; written to a report as well."""
    judgements = {name: each for name, each in everything_judged.items() if name != FAULTY.name}
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(report(list(judgements.values())), encoding="utf-8")
    pytestconfig.stash[TABLE] = table(list(judgements.values()))
    return judgements


@pytest.fixture(scope="session")
def faulty(everything_judged: dict[str, Judgement]) -> Judgement:
    """The judgement of the app with a fault for each gate."""
    return everything_judged[FAULTY.name]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what every checker counted, NIST 800-53 and Control Tower too, which bind nobody yet."""
    if TABLE in config.stash:
        terminalreporter.section("findings in templates, accepted ones included")
        terminalreporter.write_line(config.stash[TABLE])
        terminalreporter.write_line(f"Rules: {REPORT.relative_to(ROOT)}")
