"""What a checker found, and the reading of it from the reports of those that run at synth."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

AWS_SOLUTIONS = "AwsSolutions"
CDK_DEFAULT_RULES = "CloudFormation Validate"
CDK_ANNOTATIONS = "Construct Annotations"
NIST = "NIST.800.53.R5"
CONTROL_TOWER = "cdk-validator-cfnguard"
CFN_LINT = "cfn-lint"
OWN_RULES = "own rules"

COUNTED = (NIST, CONTROL_TOWER)
"""Checkers whose findings are counted in a report and bind nobody yet. All others bind, new ones included."""

UNPLACED = "(no construct)"
"""Where a checker that found something does not say at what."""

_HASHES = re.compile(
    r"""
      (?<=\w)[0-9A-F]{8}(?=(\.\w+)*>|"\})  # of a logical id: <StoreBucket4FBDE984.Arn>, {"Ref":"MachineF2B89D8A"}
    | -?[0-9a-f]{8}(?=[-/]\*\])  # of a name that CDK makes of a construct's path: model/textclmodel-29fd3d86-*]
    """,
    re.VERBOSE,
)
"""What CDK derives from a construct's path, in a rule's id: it is left out, for it differs from app to app."""


@dataclass(frozen=True, order=True, slots=True)
class Finding:
    """One rule's complaint about one resource.

    Args:
        checker: Who says so, such as ``"AwsSolutions"``.
        rule: The rule's id as the checker writes it.
        resource: The construct's path, which begins with the stack's id.
        message: The checker's own words.
    """

    checker: str
    rule: str
    resource: str
    message: str

    def __str__(self) -> str:
        return f"{self.rule} at {self.resource} ({self.checker}): {self.message}"


def of_report(path: Path) -> Iterator[Finding]:
    """Yield every violation of a validation report, warnings included.

    Violations and nothing else: a plugin's conclusion, and with it the exit status, can say "success" beside them.
    A plugin that found nothing does not appear in a report at all.
    """
    for plugin in json.loads(path.read_text(encoding="utf-8"))["pluginReports"]:
        for violation in plugin["violations"]:
            for construct in violation["violatingConstructs"]:
                yield Finding(
                    checker=plugin["pluginName"],
                    rule=_HASHES.sub("", violation["ruleName"]),
                    resource=construct["constructPath"] or UNPLACED,
                    message=violation["description"],
                )


@dataclass(frozen=True, slots=True)
class Template:
    """A synthesized template.

    Args:
        path: Its file.
        body: Its content.
    """

    path: Path
    body: Mapping[str, Any]

    @classmethod
    def of_assembly(cls, directory: Path) -> list[Template]:
        """Read all templates of a cloud assembly, nested stacks and stages included."""
        paths = sorted(directory.rglob("*.template.json"))
        return [cls(path, json.loads(path.read_text(encoding="utf-8"))) for path in paths]

    @property
    def resources(self) -> Mapping[str, Any]:
        """The resources by logical id."""
        resources: Mapping[str, Any] = self.body.get("Resources", {})
        return resources

    def of_type(self, *types: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield logical ids and properties of the resources of some types."""
        for logical_id, resource in self.resources.items():
            if resource["Type"] in types:
                yield logical_id, resource.get("Properties", {})

    def construct_path(self, logical_id: str) -> str:
        """Return the path of the construct that a resource was written by."""
        path: str = self.resources[logical_id].get("Metadata", {}).get("aws:cdk:path", logical_id)
        return path
