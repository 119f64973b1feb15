"""Looking at synthesized templates."""

from __future__ import annotations

import json
from typing import Any

import aws_cdk as cdk
from aws_cdk.assertions import Template
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER  # type: ignore[import-untyped]

Resources = dict[str, dict[str, Any]]


def resources_of(stack: cdk.Stack) -> Resources:
    """Return every resource by its logical id, as CloudFormation gets it."""
    resources: Resources = Template.from_stack(stack).to_json().get("Resources", {})
    return resources


def all_of(stack: cdk.Stack, resource_type: str) -> list[dict[str, Any]]:
    """Return the resources of a type."""
    return [resource for resource in resources_of(stack).values() if resource["Type"] == resource_type]


def only(stack: cdk.Stack, resource_type: str) -> dict[str, Any]:
    """Return the properties of the one resource of a type."""
    (resource,) = all_of(stack, resource_type)
    properties: dict[str, Any] = resource.get("Properties", {})
    return properties


def statements(stack: cdk.Stack) -> list[dict[str, Any]]:
    """Return the statements of all roles' and users' policies."""
    policies = all_of(stack, "AWS::IAM::Policy")
    return [each for policy in policies for each in policy["Properties"]["PolicyDocument"]["Statement"]]


def statement_for(stack: cdk.Stack, action: str) -> dict[str, Any]:
    """Return the one policy statement that allows an action."""
    (found,) = [each for each in statements(stack) if action in _listed(each["Action"])]
    return found


def changes(before: cdk.Stack, after: cdk.Stack) -> dict[str, str]:
    """Return what CloudFormation would do to go from one template to the other.

    Returns:
        logical id → ``created``, ``deleted``, ``replaced`` or ``updated``; untouched resources are not in it.
        A resource is replaced when a property changes that its schema, as CloudFormation publishes it, calls
        create-only. A property changes, too, when it refers to a resource that is replaced.
    """
    old, new = resources_of(before), resources_of(after)
    found = dict.fromkeys(new.keys() - old.keys(), "created") | dict.fromkeys(old.keys() - new.keys(), "deleted")
    while True:
        gone = {name for name, change in found.items() if change in {"replaced", "created"}}
        for name in new.keys() & old.keys():
            if change := _change(old[name], new[name], gone):
                found[name] = change
        if gone == {name for name, change in found.items() if change in {"replaced", "created"}}:
            return found


def by_type(stack: cdk.Stack, changed: dict[str, str]) -> dict[str, str]:
    """Return changes by resource type instead of logical id, for those that the stack still has."""
    resources = resources_of(stack)
    return {resources[name]["Type"]: change for name, change in changed.items() if name in resources}


def _change(old: dict[str, Any], new: dict[str, Any], gone: set[str]) -> str | None:
    before, after = old.get("Properties", {}), new.get("Properties", {})
    changed = {
        name
        for name in before.keys() | after.keys()
        if before.get(name) != after.get(name) or _refers_to(after.get(name), gone)
    }
    if not changed:
        return None
    return "replaced" if changed & _create_only(new["Type"]) else "updated"


def _create_only(resource_type: str) -> set[str]:
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", resource_type).schema
    return {path.split("/")[2] for path in schema.get("createOnlyProperties", [])}


def _refers_to(value: object, names: set[str]) -> bool:
    if isinstance(value, dict):
        target = value.get("Ref") or (value.get("Fn::GetAtt") or [None])[0]
        return target in names or any(_refers_to(each, names) for each in value.values())
    return isinstance(value, list) and any(_refers_to(each, names) for each in value)


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def text_of(stack: cdk.Stack) -> str:
    """Return the whole template as text."""
    return json.dumps(Template.from_stack(stack).to_json())
