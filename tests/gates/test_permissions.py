"""Every IAM action of the stages is shown to be needed by an end-to-end test, or listed as not enforced locally."""

from __future__ import annotations

import ast
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.gates.apps import ROOT, STAGES
from tests.gates.judging import Judgement

PERMISSIONS = tomllib.loads(Path(__file__).with_name("permissions.toml").read_text(encoding="utf-8"))
SHOWN: list[dict[str, Any]] = PERMISSIONS["shown"]
NOT_ENFORCED: list[dict[str, Any]] = PERMISSIONS["not_enforced"]


def _allowed(judgement: Judgement) -> Iterator[str]:
    for path in judgement.directory.rglob("*.template.json"):
        for resource in json.loads(path.read_text(encoding="utf-8"))["Resources"].values():
            properties = resource.get("Properties", {})
            documents = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
            if resource["Type"] in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
                documents.append(properties["PolicyDocument"])
            assert not properties.get("ManagedPolicyArns"), "what AWS's managed policies allow is not in the template"
            for statement in (each for document in documents for each in document["Statement"]):
                yield from [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]


def test_each_action_that_a_role_is_allowed_is_accounted_for(judged: dict[str, Judgement]) -> None:
    allowed = {action for stage in STAGES for action in _allowed(judged[stage.name])}
    assert allowed, "no policy was found"
    listed = [action for entry in [*SHOWN, *NOT_ENFORCED] for action in entry["actions"]]
    assert sorted(listed) == sorted(set(listed)), "an action is listed twice"
    assert allowed == set(listed)


def test_what_shows_an_action_to_be_needed_is_a_test() -> None:
    for entry in SHOWN:
        path, name = entry["by"].split("::")
        module = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        assert name in {node.name for node in module.body if isinstance(node, ast.FunctionDef)}, entry["by"]


def test_what_is_not_enforced_has_its_reason_and_documentation() -> None:
    for entry in NOT_ENFORCED:
        assert len(entry["reason"].split()) >= 6
        assert entry["documentation"].startswith("https://docs.aws.amazon.com/")
