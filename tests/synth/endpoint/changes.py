"""What CloudFormation does to an endpoint's resources when a user changes something.

``python -m tests.synth.endpoint.changes`` writes the table of docs/endpoints/changes.md anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_kms as kms

from sm_constructs.endpoint import (
    Canary,
    DataCapture,
    Endpoint,
    InferenceComponent,
    RealTime,
    Serverless,
)
from tests.synth.endpoint.making import (
    COMPONENT,
    CONFIG,
    ENDPOINT,
    MODEL,
    POLICY,
    TARGET,
    model_in,
    prefix_in,
    queue_in,
)
from tests.synth.templates import changes, resources_of

PAGE = Path(__file__).parents[3] / "docs" / "endpoints" / "changes.md"
COLUMNS = {
    MODEL: "model",
    CONFIG: "configuration",
    ENDPOINT: "endpoint",
    COMPONENT: "component",
    TARGET: "scalable target",
    POLICY: "scaling policy",
    "AWS::IAM::Policy": "role's policy",
    "AWS::IAM::Role": "role",
}
_MARKS = ("<!-- made by tests/synth/endpoint/changes.py -->", "<!-- until here -->")


@dataclass(frozen=True, kw_only=True)
class App:
    """Everything of an endpoint that a user may change.

    Args:
        kind: ``real-time``, ``serverless``, ``asynchronous`` or ``component``.
        model: Arguments of the model.
        variant: Arguments of the variant.
        endpoint: Makes further arguments of the endpoint.
        scaling: The highest capacity.
        target: The target of the scaling policy.
        component: Arguments of the inference component.
        tag: The value of a tag on everything.
    """

    kind: str = "real-time"
    model: dict[str, Any] = field(default_factory=dict)
    variant: dict[str, Any] = field(default_factory=dict)
    endpoint: Callable[[cdk.Stack], dict[str, Any]] = lambda _stack: {}
    scaling: int = 4
    target: float = 100
    component: dict[str, Any] = field(default_factory=dict)
    tag: str = "a"

    def stack(self) -> cdk.Stack:
        """Return the stack, in an app of its own."""
        stack = cdk.Stack(cdk.App(analytics_reporting=False, builtin_cloud_formation_validation=False), "Stack")
        model = model_in(stack, **self.model)
        getattr(self, f"_{self.kind.replace('-', '_')}")(stack, model)
        cdk.Tags.of(stack).add("team", self.tag)
        return stack

    def _real_time(self, stack: cdk.Stack, model: Any) -> None:
        variant = RealTime(**{"instance_type": "ml.m5.large", "instance_count": 2, **self.variant})
        endpoint = Endpoint(stack, "Endpoint", model=model, variant=variant, **self.endpoint(stack))
        capacity = endpoint.auto_scale_instance_count(min_capacity=1, max_capacity=self.scaling)
        capacity.scale_on_invocations("Calls", target_invocations_per_minute=self.target)

    def _serverless(self, stack: cdk.Stack, model: Any) -> None:
        variant = Serverless(**{"provisioned_concurrency": 1, **self.variant})
        endpoint = Endpoint(stack, "Endpoint", model=model, variant=variant, **self.endpoint(stack))
        capacity = endpoint.auto_scale_provisioned_concurrency(min_capacity=1, max_capacity=self.scaling)
        capacity.scale_on_utilization("Use", target_utilization=0.7)

    def _asynchronous(self, stack: cdk.Stack, model: Any) -> None:
        variant = queue_in(stack, **self.variant)
        endpoint = Endpoint(stack, "Endpoint", model=model, variant=variant, **self.endpoint(stack))
        capacity = endpoint.auto_scale_instance_count(min_capacity=0, max_capacity=self.scaling)
        capacity.scale_on_backlog("Queue", target_backlog_per_instance=self.target)

    def _component(self, stack: cdk.Stack, model: Any) -> None:
        variant = RealTime(**{"instance_type": "ml.m5.large", "instance_count": 2, **self.variant})
        endpoint = Endpoint(stack, "Endpoint", variant=variant, **self.endpoint(stack))
        arguments = {"memory_size_mb": 512, **self.component}
        component = InferenceComponent(stack, "Component", endpoint=endpoint, model=model, **arguments)
        capacity = component.auto_scale_copy_count(min_capacity=0, max_capacity=self.scaling)
        capacity.scale_on_invocations("Calls", target_invocations_per_minute=self.target)


@dataclass(frozen=True)
class Change:
    """Something that a user changes.

    Args:
        name: What, for the table.
        after: The app with the change.
        before: The app without it.
    """

    name: str
    after: App
    before: App = field(default_factory=App)


def _captured(stack: cdk.Stack) -> dict[str, Any]:
    return {"data_capture": DataCapture(destination=prefix_in(stack, "Captured"))}


def _volume_key(stack: cdk.Stack) -> dict[str, Any]:
    return {"encryption_key": kms.Key.from_key_arn(stack, "Key", "arn:aws:kms:us-east-1:111122223333:key/k")}


def _named(_stack: cdk.Stack) -> dict[str, Any]:
    return {"endpoint_name": "reviews"}


_SERVERLESS, _QUEUE, _HOST = App(kind="serverless"), App(kind="asynchronous"), App(kind="component")
_OTHER_IMAGE = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/team/classifier:v2"
_ONE_AT_A_TIME = {"max_concurrent_invocations_per_instance": 1}
_ENVIRONMENT = {"environment": {"SAGEMAKER_MODEL_SERVER_WORKERS": "2"}}

CHANGES = [
    Change("model data", App(model={"key": "v2.tar.gz"})),
    Change("image", App(model={"image": _OTHER_IMAGE})),
    Change("environment variable", App(model=_ENVIRONMENT)),
    Change("network isolation", App(model={"network_isolation": True})),
    Change("instance type (see below)", App(variant={"instance_type": "ml.c6i.large"})),
    Change("instance count", App(variant={"instance_count": 3})),
    Change("volume size", App(variant={"volume_size_gb": 64})),
    Change("volume key", App(endpoint=_volume_key)),
    Change("variant name", App(variant={"variant_name": "Blue"})),
    Change("data capture", App(endpoint=_captured)),
    Change("deployment", App(endpoint=lambda _stack: {"deployment": Canary()})),
    Change("scaling limits", App(scaling=8)),
    Change("scaling target", App(target=200)),
    Change("tags", App(tag="b")),
    Change("endpoint name", App(endpoint=_named)),
    Change("serverless memory", App(kind="serverless", variant={"memory_size_mb": 4096}), _SERVERLESS),
    Change("serverless concurrency", App(kind="serverless", variant={"max_concurrency": 20}), _SERVERLESS),
    Change("asynchronous concurrency", App(kind="asynchronous", variant=_ONE_AT_A_TIME), _QUEUE),
    Change("model data of a component", App(kind="component", model={"key": "v2.tar.gz"}), _HOST),
    Change("memory of a component", App(kind="component", component={"memory_size_mb": 1024}), _HOST),
    Change("copies of a component", App(kind="component", component={"copy_count": 2}), _HOST),
    Change("variant name under components", App(kind="component", variant={"variant_name": "Blue"}), _HOST),
    Change("endpoint name under components", App(kind="component", endpoint=_named), _HOST),
    Change("instance type under components", App(kind="component", variant={"instance_type": "ml.c6i.large"}), _HOST),
    Change("nothing", App()),
]  # fmt: skip


def effects(change: Change) -> dict[str, str]:
    """Return what becomes of each resource, by its logical id; ``untouched`` where nothing does."""
    before, after = change.before.stack(), change.after.stack()
    found = changes(before, after)
    return {name: found.get(name, "untouched") for name in resources_of(before).keys() | resources_of(after).keys()}


def by_column(change: Change) -> dict[str, str]:
    """Return what becomes of the resources of each column's type; those that the app has none of are left out."""
    before, after = change.before.stack(), change.after.stack()
    types = {name: each["Type"] for stack in (before, after) for name, each in resources_of(stack).items()}
    found: dict[str, set[str]] = {}
    for name, effect in effects(change).items():
        if types[name] in COLUMNS:
            found.setdefault(COLUMNS[types[name]], set()).add(effect)
    return {column: _together(found[column]) for column in COLUMNS.values() if column in found}


def table() -> str:
    """Return the table as Markdown."""
    columns = list(COLUMNS.values())
    lines = [f"| change | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    for change in CHANGES:
        found = by_column(change)
        cells = [_shown(found.get(column, "")) for column in columns]
        lines.append(f"| {change.name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def page_with(made: str) -> str:
    """Return the page with this table in it."""
    begin, end = _MARKS
    pattern = re.compile(f"{re.escape(begin)}.*{re.escape(end)}", re.DOTALL)
    return pattern.sub(lambda _match: f"{begin}\n{made}\n{end}", PAGE.read_text(encoding="utf-8"))


def _together(effects: set[str]) -> str:
    """Return one word for several resources of a type: a new one that comes for an old one is a replacement."""
    interesting = effects - {"untouched"}
    if interesting == {"created", "deleted"}:
        return "replaced"
    return ", ".join(sorted(interesting)) or "untouched"


def _shown(effect: str) -> str:
    return "" if effect == "untouched" else f"**{effect}**" if effect == "replaced" else effect


if __name__ == "__main__":
    PAGE.write_text(page_with(table()), encoding="utf-8")
