"""Rules of our own, for what no checker looks at or looks at too closely to rely on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tests.gates.findings import OWN_RULES, Finding, Template

Rule = Callable[[Template], Iterator[tuple[str, str, str]]]
"""Yields rule id, logical id and message."""


def tls_only(template: Template) -> Iterator[tuple[str, str, str]]:
    """Buckets and topics refuse plain HTTP. cdk-nag lets a topic pass for being encrypted at rest."""
    refusing = {
        json.dumps(target, sort_keys=True)
        for _, policy in template.of_type("AWS::S3::BucketPolicy", "AWS::SNS::TopicPolicy")
        if any(_denies_plain_http(statement) for statement in _statements(policy["PolicyDocument"]))
        for target in [policy.get("Bucket"), *policy.get("Topics", [])]
    }
    for logical_id, _ in template.of_type("AWS::S3::Bucket", "AWS::SNS::Topic"):
        if json.dumps({"Ref": logical_id}) not in refusing:
            yield "TlsOnly", logical_id, "no policy denies everybody requests without aws:SecureTransport"


def log_retention(template: Template) -> Iterator[tuple[str, str, str]]:
    """Logs end some day: groups have a retention, and functions name their group, or Lambda makes one without."""
    for logical_id, properties in template.of_type("AWS::Logs::LogGroup"):
        if "RetentionInDays" not in properties:
            yield "LogRetention", logical_id, "the log group keeps everything for ever"
    for logical_id, properties in template.of_type("AWS::Lambda::Function"):
        if "LogGroup" not in properties.get("LoggingConfig", {}):
            yield "LogRetention", logical_id, "the function names no log group: Lambda makes one that is kept for ever"


def tracing(template: Template) -> Iterator[tuple[str, str, str]]:
    """Requests can be followed through X-Ray."""
    for logical_id, properties in template.of_type("AWS::Lambda::Function"):
        if properties.get("TracingConfig", {}).get("Mode") != "Active":
            yield "Tracing", logical_id, "TracingConfig.Mode is not Active"
    for logical_id, properties in template.of_type("AWS::ApiGateway::Stage"):
        if properties.get("TracingEnabled") is not True:
            yield "Tracing", logical_id, "TracingEnabled is not true"


def wildcard_resources(template: Template) -> Iterator[tuple[str, str, str]]:
    """No permission on a wildcard resource, one finding for each action.

    cdk-nag names the resource alone, so that an exception for one action on ``*`` would cover every other.
    """
    for logical_id, document in _identity_policies(template):
        for statement in _statements(document):
            if statement["Effect"] == "Allow" and any("*" in json.dumps(one) for one in _many(statement["Resource"])):
                for action in _many(statement["Action"]):
                    yield f"WildcardResource[{action}]", logical_id, f"{action} is allowed on a wildcard resource"


def two_instances(template: Template) -> Iterator[tuple[str, str, str]]:
    """Every variant runs on two instances at least, which SageMaker spreads over availability zones."""
    for logical_id, properties in template.of_type("AWS::SageMaker::EndpointConfig"):
        for variant in properties["ProductionVariants"]:
            if variant.get("InitialInstanceCount", 0) < 2:
                yield "TwoInstances", logical_id, f"{variant['VariantName']} has fewer than two instances"


EVERYWHERE: tuple[Rule, ...] = (tls_only, log_retention, tracing, wildcard_resources)
IN_PRODUCTION: tuple[Rule, ...] = (two_instances,)


def check(template: Template, *, production: bool) -> Iterator[Finding]:
    """Yield what the rules find."""
    for rule in EVERYWHERE + (IN_PRODUCTION if production else ()):
        for rule_id, logical_id, message in rule(template):
            yield Finding(OWN_RULES, rule_id, template.construct_path(logical_id), message)


def _denies_plain_http(statement: Mapping[str, Any]) -> bool:
    return (
        statement["Effect"] == "Deny"
        and statement["Principal"] in ("*", {"AWS": "*"})
        and statement.get("Condition", {}).get("Bool", {}).get("aws:SecureTransport") in ("false", False)
    )


def _identity_policies(template: Template) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for logical_id, properties in template.of_type("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
        yield logical_id, properties["PolicyDocument"]
    for logical_id, properties in template.of_type("AWS::IAM::Role", "AWS::IAM::User", "AWS::IAM::Group"):
        for policy in properties.get("Policies", []):
            yield logical_id, policy["PolicyDocument"]


def _statements(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return _many(document["Statement"])


def _many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
