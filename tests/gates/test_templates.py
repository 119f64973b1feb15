"""Every app's templates have no finding but those on the list, and the list has none but theirs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.gates import exceptions, own_rules
from tests.gates.apps import APPS, cdk_json_context
from tests.gates.exceptions import Accepted
from tests.gates.findings import (
    AWS_SOLUTIONS,
    CDK_DEFAULT_RULES,
    CFN_LINT,
    CONTROL_TOWER,
    COUNTED,
    NIST,
    OWN_RULES,
    Finding,
    Template,
    of_report,
)
from tests.gates.judging import Judgement

BUCKET = Finding("a checker", "Rule[Resource::*]", "Stack/Store/Bucket/Resource", "it is open")


@pytest.mark.parametrize("name", APPS)
def test_an_app_synthesizes(judged: dict[str, Judgement], name: str) -> None:
    assert judged[name].failure is None, judged[name].failure
    assert judged[name].templates >= 1


@pytest.mark.parametrize("name", APPS)
def test_an_app_has_no_finding_that_is_not_on_the_list(judged: dict[str, Judgement], name: str) -> None:
    found = exceptions.unlisted(judged[name].binding, exceptions.load())
    assert not found, "fix them, or list them with their reason:\n" + "\n".join(map(str, found))


@pytest.mark.parametrize("name", APPS)
def test_nothing_is_acknowledged_in_the_code(judged: dict[str, Judgement], name: str) -> None:
    assert judged[name].acknowledgements() == [], "exceptions belong on the list: an acknowledgement hides more"


def test_every_entry_of_the_list_covers_a_finding(judged: dict[str, Judgement]) -> None:
    found = [finding for judgement in judged.values() for finding in judgement.binding]
    unused = exceptions.unused(found, exceptions.load())
    assert not unused, "\n".join(f"{entry.rule} at {entry.resource}: remove it" for entry in unused)


def test_every_entry_of_the_list_stands_there_once_with_a_reason_of_its_own_words() -> None:
    entries = exceptions.load()
    assert len({(entry.rule, entry.resource) for entry in entries}) == len(entries)
    for entry in entries:
        assert len(re.findall(r"\w+", entry.reason)) >= 8, f"{entry.rule}: say why, for somebody who would fix it"
        assert not entry.reason.lower().startswith(("false positive", "not needed", "todo", "n/a")), entry.rule


def test_both_stages_and_the_examples_of_every_construct_are_judged() -> None:
    constructs = {"classification_api", "monitoring", "text_classification", "text_preprocessor"}
    assert {"dev", "prod"} | {f"examples/{name}" for name in constructs} <= APPS.keys()


def test_cdks_validator_enforces_and_does_not_only_warn() -> None:
    assert cdk_json_context()["@aws-cdk/core:validateAgainstDefaultRules"] is True


@pytest.mark.parametrize(
    ("checker", "rule"),
    [
        pytest.param(AWS_SOLUTIONS, "AwsSolutions-S10", id="cdk-nag"),
        pytest.param(AWS_SOLUTIONS, "AwsSolutions-APIG3", id="cdk-nag's warnings"),
        pytest.param(AWS_SOLUTIONS, "AwsSolutions-IAM5[Resource::*]", id="cdk-nag's wildcards"),
        pytest.param(CDK_DEFAULT_RULES, "F3002", id="CDK's own rules"),
        pytest.param(CFN_LINT, "E3002", id="cfn-lint"),
        pytest.param(CFN_LINT, "I3011", id="cfn-lint's remarks"),
        pytest.param(NIST, "NIST.800.53.R5-S3BucketLoggingEnabled", id="NIST 800-53"),
        pytest.param(CONTROL_TOWER, "s3_bucket_logging_enabled_check", id="Control Tower"),
    ],
)
def test_a_checker_that_is_installed_also_runs(faulty: Judgement, checker: str, rule: str) -> None:
    # Of a checker without findings a report does not even hold the name, so only a fault shows that it ran.
    assert rule in {finding.rule for finding in faulty.findings if finding.checker == checker}


@pytest.mark.parametrize(
    ("rule", "resource"),
    [
        ("TlsOnly", "Faulty/OpenBucket/Resource"),
        ("TlsOnly", "Faulty/PlainHttpTopic/Resource"),
        ("LogRetention", "Faulty/EndlessLog"),
        ("LogRetention", "Faulty/Untraced"),
        ("Tracing", "Faulty/Untraced"),
        ("Tracing", "Faulty/UntracedApi/DeploymentStage.prod/Resource"),
        ("WildcardResource[s3:DeleteObject]", "Faulty/Role/DefaultPolicy/Resource"),
        ("WildcardResource[sns:Publish]", "Faulty/Role/DefaultPolicy/Resource"),
        ("TwoInstances", "Faulty/OneInstance"),
    ],
)
def test_a_rule_of_our_own_finds_its_fault(faulty: Judgement, rule: str, resource: str) -> None:
    found = {(finding.rule, finding.resource) for finding in faulty.findings if finding.checker == OWN_RULES}
    assert (rule, resource) in found


def test_one_instance_is_enough_outside_of_production(faulty: Judgement) -> None:
    (template,) = Template.of_assembly(faulty.directory)
    assert "TwoInstances" not in {finding.rule for finding in own_rules.check(template, production=False)}


def test_an_acknowledgement_in_the_code_is_seen_though_it_hides_its_finding(faulty: Judgement) -> None:
    assert faulty.acknowledgements() == ["Faulty.metadata.json"]
    assert "AwsSolutions-S1" not in {finding.rule for finding in faulty.findings}


def test_nist_and_control_tower_are_counted_but_do_not_bind(faulty: Judgement) -> None:
    assert {finding.checker for finding in faulty.findings} >= set(COUNTED)
    assert not {finding.checker for finding in faulty.binding} & set(COUNTED)


@pytest.mark.parametrize(
    ("rule", "resource", "covered"),
    [
        pytest.param("Rule[Resource::*]", "Stack/Store/Bucket/Resource", True, id="exactly"),
        pytest.param("Rule[Resource::*]", "*/Bucket/*", True, id="by a pattern"),
        pytest.param("Rule[Resource::*]", "*/Bucket", False, id="not by a part of the path"),
        pytest.param("Rule[Resource::*]", "Stack/Store/Bucket.Resource", False, id="nor by a regular expression"),
        pytest.param("Rule*", "*", False, id="nor by a star in the rule"),
    ],
)
def test_an_entry_covers_one_rule_at_the_resources_of_a_pattern(rule: str, resource: str, covered: bool) -> None:
    entry = Accepted(rule=rule, resource=resource, reason="")
    assert entry.covers(BUCKET) is covered
    assert exceptions.unlisted([BUCKET], [entry]) == ([] if covered else [BUCKET])
    assert exceptions.unused([BUCKET], [entry]) == ([] if covered else [entry])


def test_each_rule_of_an_entry_goes_with_each_of_its_resources(tmp_path: Path) -> None:
    path = tmp_path / "exceptions.toml"
    path.write_text('[[exception]]\nrules = ["A", "B"]\nresources = ["x", "y"]\nreason = "so"\n')
    pairs = [(entry.rule, entry.resource) for entry in exceptions.load(path)]
    assert pairs == [("A", "x"), ("A", "y"), ("B", "x"), ("B", "y")]


@pytest.mark.parametrize(
    ("resource", "without"),
    [
        pytest.param("<StoreBucket4FBDE984.Arn>/datasets/*", "<StoreBucket.Arn>/datasets/*", id="of an attribute"),
        pytest.param("<StoreBucket4FBDE984>", "<StoreBucket>", id="of a reference"),
        pytest.param('execution:{"Ref":"MachineF2B89D8A"}:*', 'execution:{"Ref":"Machine"}:*', id="of JSON"),
        pytest.param("model/textclmodel-29fd3d86-*", "model/textclmodel-*", id="of a name"),
        pytest.param("job/textclnsform13521784-*", "job/textclnsform-*", id="of a name without a hyphen"),
        pytest.param("model-package/a-training-37ede38e/*", "model-package/a-training/*", id="of a group"),
        pytest.param("<StoreBucket.Arn>/models/2026-11-24/*", "<StoreBucket.Arn>/models/2026-11-24/*", id="not a date"),
    ],
)
def test_a_hash_of_a_constructs_path_is_left_out_of_a_rule(tmp_path: Path, resource: str, without: str) -> None:
    path = tmp_path / "validation-report.json"
    rule = f"AwsSolutions-IAM5[Resource::{resource}]"
    violation = {"ruleName": rule, "description": "", "violatingConstructs": [{"constructPath": "Stack/Role"}]}
    path.write_text(json.dumps({"pluginReports": [{"pluginName": "AwsSolutions", "violations": [violation]}]}))
    assert [each.rule for each in of_report(path)] == [f"AwsSolutions-IAM5[Resource::{without}]"]


def test_an_entry_without_a_reason_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "exceptions.toml"
    path.write_text('[[exception]]\nrules = ["Rule"]\nresources = ["*"]\n')
    with pytest.raises(TypeError, match="reason"):
        exceptions.load(path)
