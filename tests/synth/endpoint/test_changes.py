"""What a deployment replaces, updates and leaves alone, and that the documentation says so."""

from __future__ import annotations

from typing import Any

import pytest

from tests.synth.endpoint.changes import CHANGES, PAGE, Change, by_column, effects, page_with, table
from tests.synth.templates import resources_of

NAMES = {
    "AWS::SageMaker::Model": "ModelName",
    "AWS::SageMaker::EndpointConfig": "EndpointConfigName",
    "AWS::SageMaker::Endpoint": "EndpointName",
    "AWS::SageMaker::InferenceComponent": "InferenceComponentName",
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::IAM::Role": "RoleName",
}


def named(resource: dict[str, Any]) -> tuple[str, str] | None:
    """Return a resource's type and the name that its template gives it, if it does."""
    name = resource.get("Properties", {}).get(NAMES.get(resource["Type"], ""))
    return (resource["Type"], str(name)) if name else None


BY_NAME = {change.name: change for change in CHANGES}
MOVES = {"configuration": "replaced", "endpoint": "updated"}
STAYS = {"scalable target": "untouched", "scaling policy": "untouched"}


def of(name: str, *columns: str) -> dict[str, str]:
    found = by_column(BY_NAME[name])
    return {column: found[column] for column in columns}


@pytest.mark.parametrize("name", ["model data", "image", "environment variable", "network isolation"])
def test_another_model_moves_the_endpoint_and_leaves_its_scaling(name: str) -> None:
    found = of(name, "model", "configuration", "endpoint", "scalable target", "scaling policy", "role")

    assert found == {"model": "replaced", **MOVES, **STAYS, "role": "untouched"}


@pytest.mark.parametrize(
    "name", ["instance type (see below)", "instance count", "volume size", "volume key", "data capture"]
)
def test_another_configuration_moves_the_endpoint_and_leaves_the_model(name: str) -> None:
    found = of(name, "model", "configuration", "endpoint", "scalable target", "scaling policy")

    assert found == {"model": "untouched", **MOVES, **STAYS}


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("scaling limits", {"scalable target": "updated"}),
        ("scaling target", {"scaling policy": "updated"}),
        ("deployment", {"endpoint": "updated"}),
        ("variant name", {**MOVES, "scalable target": "replaced", "scaling policy": "replaced"}),
        (
            "tags",
            {
                "model": "updated",
                "configuration": "updated",
                "endpoint": "updated",
                "role": "updated",
                "scalable target": "updated",
            },
        ),
        ("endpoint name", {"endpoint": "replaced", "scalable target": "replaced", "scaling policy": "replaced"}),
        ("serverless memory", MOVES),
        ("serverless concurrency", MOVES),
        ("asynchronous concurrency", MOVES),
        (
            "model data of a component",
            {"model": "replaced", "component": "updated", "role's policy": "replaced"},
        ),
        ("memory of a component", {"component": "updated"}),
        ("copies of a component", {"component": "updated"}),
        (
            "variant name under components",
            {**MOVES, "component": "replaced", "scalable target": "replaced", "scaling policy": "replaced"},
        ),
        (
            "endpoint name under components",
            {
                "endpoint": "replaced",
                "component": "replaced",
                "scalable target": "replaced",
                "scaling policy": "replaced",
            },
        ),
        ("instance type under components", MOVES),
        ("nothing", {}),
    ],
)
def test_a_change_touches_these_resources_and_no_others(name: str, changed: dict[str, str]) -> None:
    found = by_column(BY_NAME[name])

    assert {column: effect for column, effect in found.items() if effect != "untouched"} == changed


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_nothing_that_is_replaced_keeps_its_name(change: Change) -> None:
    """Its successor is made first, and would find the name taken."""
    before, after = resources_of(change.before.stack()), resources_of(change.after.stack())
    taken = {named(each) for each in before.values()}

    for name, effect in effects(change).items():
        if effect in {"replaced", "created"} and (made := named(after[name])):
            assert made not in taken, f"{name} is made under a name that is still taken"


def test_the_documentation_has_this_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == page_with(table()), "run python -m tests.synth.endpoint.changes"
