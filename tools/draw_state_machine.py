"""Draw a state machine, or one of its executions: ``python tools/draw_state_machine.py TEMPLATE ID OUT.svg [HISTORY]``.

TEMPLATE is a synthesized template, ID begins the state machine's logical id there. HISTORY is what ``aws stepfunctions
get-execution-history`` prints: states that were entered are filled, those that failed in another colour. Graphviz
draws, as the npm package ``@viz-js/viz`` carries it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from sm_local.cdk import node_directory

_ROOT = Path(__file__).parent.parent
_RENDER = """
import { instance } from "@viz-js/viz";
import { readFileSync } from "node:fs";
const viz = await instance();
process.stdout.write(viz.renderString(readFileSync(0, "utf8"), { format: "svg" }));
"""
# Where most failures go: an arrow from each state would hide all others.
_MANY_CATCHES = 4


class Fate(Enum):
    """What became of a state in an execution, and its colour."""

    UNKNOWN = "#e8f0fe"
    ENTERED = "#ceead6"
    FAILED = "#fad2cf"
    NOT_ENTERED = "#ffffff"


def definition(template: Mapping[str, Any], logical_id: str) -> dict[str, Any]:
    """Return a state machine's definition, in which references are words.

    Raises:
        LookupError: There is no such state machine, or there are several.
    """
    found = [
        each["Properties"]["DefinitionString"]
        for name, each in template["Resources"].items()
        if each["Type"] == "AWS::StepFunctions::StateMachine" and name.startswith(logical_id)
    ]
    if len(found) != 1:
        raise LookupError(f"{len(found)} state machines have a logical id that begins with {logical_id}")
    text = "".join(part if isinstance(part, str) else "aws" for part in found[0]["Fn::Join"][1])
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def fates(history: Mapping[str, Any]) -> dict[str, Fate]:
    """Return what became of the states that an execution entered."""
    found: dict[str, Fate] = {}
    names: dict[int, str] = {}
    for event in history["events"]:
        name = names.get(event.get("previousEventId", event["id"] - 1), "")
        if entered := event.get("stateEnteredEventDetails"):
            name = entered["name"]
            found.setdefault(name, Fate.ENTERED)
        elif event["type"] in ("TaskFailed", "TaskTimedOut", "LambdaFunctionFailed", "MapStateFailed") and name:
            found[name] = Fate.FAILED
        names[event["id"]] = name
    return found


def dot(machine: Mapping[str, Any], states: Mapping[str, Fate] | None = None) -> str:
    """Return the graph in Graphviz's language."""
    lines = [
        "digraph {",
        'graph [fontname="Helvetica,Arial,sans-serif", fontsize=11, nodesep=0.3, ranksep=0.35, bgcolor=white]',
        'node [fontname="Helvetica,Arial,sans-serif", fontsize=11, shape=box, margin="0.25,0.08"]',
        'node [style="rounded,filled", color="#5f6368"]',
        'edge [fontname="Helvetica,Arial,sans-serif", fontsize=9, color="#5f6368", arrowsize=0.7]',
        *_states(machine, states),
        "}",
    ]
    return "\n".join(lines)


def svg(graph: str) -> str:
    """Return the picture of a graph."""
    run = subprocess.run(
        [str(node_directory() / "node"), "--input-type=module", "--eval", _RENDER],
        input=graph,
        capture_output=True,
        text=True,
        check=True,
        cwd=_ROOT,
    )
    return run.stdout


def _states(machine: Mapping[str, Any], fate: Mapping[str, Fate] | None) -> Iterator[str]:
    states = machine["States"]
    caught = [catcher["Next"] for state in states.values() for catcher in state.get("Catch", ())]
    ends_of_failures = {name for name in caught if caught.count(name) > _MANY_CATCHES}
    for name in sorted(ends_of_failures):
        yield f'"any failure" [shape=plain, style="", fontsize=9]; "any failure" -> "{name}" [style=dashed]'
    for name, state in states.items():
        if inner := state.get("ItemProcessor"):
            yield f'subgraph "cluster {name}" {{ label="for each: {_what(name, state)}"; style="rounded,dashed"'
            # Executions of a distributed map have histories of their own.
            yield from _states(inner, fate if fate and inner["States"].keys() & fate.keys() else None)
            yield "}"
        yield _node(name, state, fate)
        yield from _edges(name, state, ends_of_failures)


def _node(name: str, state: Mapping[str, Any], fate: Mapping[str, Fate] | None) -> str:
    colour = (Fate.UNKNOWN if fate is None else fate.get(name, Fate.NOT_ENTERED)).value
    shape = ', shape=diamond, style="filled"' if state["Type"] == "Choice" else ""
    width = ", penwidth=2" if state["Type"] in ("Succeed", "Fail") or state.get("End") else ""
    return f'"{name}" [label="{_what(name, state)}", fillcolor="{colour}"{shape}{width}]'


def _what(name: str, state: Mapping[str, Any]) -> str:
    """Return the state's name, and below it the service that it calls."""
    integration = str(state.get("Resource", "")).rpartition(":::")[2].removeprefix("aws-sdk:")
    return f"{name}\\n{integration}" if integration else name


def _edges(name: str, state: Mapping[str, Any], ends_of_failures: set[str]) -> Iterator[str]:
    if inner := state.get("ItemProcessor"):
        yield f'"{name}" -> "{inner["StartAt"]}" [style=dotted]'
    if "Next" in state:
        yield f'"{name}" -> "{state["Next"]}"'
    for choice in state.get("Choices", ()):
        yield f'"{name}" -> "{choice["Next"]}"'
    if "Default" in state:
        yield f'"{name}" -> "{state["Default"]}" [label="else"]'
    for catcher in state.get("Catch", ()):
        if catcher["Next"] not in ends_of_failures:
            yield f'"{name}" -> "{catcher["Next"]}" [style=dashed]'


def main() -> None:
    """Draw as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("template", type=Path)
    parser.add_argument("logical_id")
    parser.add_argument("out", type=Path)
    parser.add_argument("history", type=Path, nargs="?")
    arguments = parser.parse_args()
    machine = definition(json.loads(arguments.template.read_text()), arguments.logical_id)
    history = fates(json.loads(arguments.history.read_text())) if arguments.history else None
    arguments.out.write_text(svg(dot(machine, history)))


if __name__ == "__main__":
    main()
