"""What every checker counts, binding or not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tests.gates.findings import (
    AWS_SOLUTIONS,
    CDK_ANNOTATIONS,
    CDK_DEFAULT_RULES,
    CFN_LINT,
    CONTROL_TOWER,
    COUNTED,
    NIST,
    OWN_RULES,
)
from tests.gates.judging import Judgement

COLUMNS = {
    AWS_SOLUTIONS: "AwsSolutions",
    CDK_DEFAULT_RULES: "CDK rules",
    CDK_ANNOTATIONS: "CDK warnings",
    CFN_LINT: "cfn-lint",
    OWN_RULES: "own rules",
    NIST: "NIST 800-53",
    CONTROL_TOWER: "Control Tower",
}


def report(judgements: Sequence[Judgement]) -> str:
    """Write the table, and below it the rules that bind nobody yet, as Markdown."""
    sections = [f"## {COLUMNS[checker]}\n\n{rules(judgements, checker)}" for checker in COUNTED]
    return "\n\n".join(["# Findings, accepted ones included", table(judgements), *sections]) + "\n"


def table(judgements: Sequence[Judgement]) -> str:
    """Write the number of findings by app and checker."""
    widest = max(len(judgement.app.name) for judgement in judgements)
    rows = [
        ["app".ljust(widest), *COLUMNS.values()],
        ["-" * widest, *("-" * (len(title) - 1) + ":" for title in COLUMNS.values())],
    ]
    for judgement in judgements:
        counts = Counter(finding.checker for finding in judgement.findings)
        cells = [str(counts[checker]).rjust(len(title)) for checker, title in COLUMNS.items()]
        rows.append([judgement.app.name.ljust(widest), *cells])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def rules(judgements: Sequence[Judgement], checker: str) -> str:
    """List the rules of a checker that found something, with how often over all apps."""
    found = Counter(
        finding.rule for judgement in judgements for finding in judgement.findings if finding.checker == checker
    )
    return "\n".join(f"- `{rule}`: {count}" for rule, count in sorted(found.items()))
