"""The one list of findings that are accepted, each with its reason."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.gates.findings import Finding

PATH = Path(__file__).with_name("exceptions.toml")


@dataclass(frozen=True, kw_only=True, slots=True)
class Accepted:
    """One rule and one resource of an entry of the list.

    Args:
        rule: The rule's id, exactly.
        resource: The construct's path, in which ``*`` stands for any characters.
        reason: Why this rule does not hold for this resource.
    """

    rule: str
    resource: str
    reason: str

    def covers(self, finding: Finding) -> bool:
        """Whether the entry is about the finding. A star in a rule's id is only a star: many ids have one."""
        pattern = ".*".join(re.escape(part) for part in self.resource.split("*"))
        return self.rule == finding.rule and re.fullmatch(pattern, finding.resource) is not None


def load(path: Path = PATH) -> list[Accepted]:
    """Read the list. Each of an entry's rules goes with each of its resources.

    Raises:
        TypeError: An entry lacks a field or has one that nobody knows.
    """
    entries = tomllib.loads(path.read_text(encoding="utf-8")).get("exception", [])
    return [accepted for entry in entries for accepted in _pairs(**entry)]


def _pairs(*, rules: list[str], resources: list[str], reason: str) -> list[Accepted]:
    return [Accepted(rule=rule, resource=resource, reason=reason) for rule in rules for resource in resources]


def unlisted(findings: Iterable[Finding], accepted: Iterable[Accepted]) -> list[Finding]:
    """Return the findings that no entry covers."""
    entries = list(accepted)
    return [finding for finding in findings if not any(entry.covers(finding) for entry in entries)]


def unused(findings: Iterable[Finding], accepted: Iterable[Accepted]) -> list[Accepted]:
    """Return the entries that cover no finding."""
    found = list(findings)
    return [entry for entry in accepted if not any(entry.covers(finding) for finding in found)]
