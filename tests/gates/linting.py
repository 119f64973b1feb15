"""cfn-lint, asked through its Python interface."""

from __future__ import annotations

import json
from collections.abc import Iterator

from cfnlint.api import lint  # type: ignore[import-untyped]
from cfnlint.config import ManualArgs  # type: ignore[import-untyped]

from tests.gates.findings import CFN_LINT, Finding, Template

_REGION = "us-east-1"


def check(template: Template) -> Iterator[Finding]:
    """Yield errors, warnings and remarks."""
    config = ManualArgs(regions=[_REGION], include_checks=["I"])
    for match in lint(json.dumps(template.body), config=config):
        section, *rest = [str(part) for part in match.path] or [""]
        resource = template.construct_path(rest[0]) if section == "Resources" and rest else section
        yield Finding(CFN_LINT, match.rule.id, resource, match.message)
