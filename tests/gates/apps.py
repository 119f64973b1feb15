"""The CDK apps that are judged: both stages of app.py, every example of the documentation, and one with faults."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import aws_cdk as cdk

ROOT = Path(__file__).parents[2]
MODEL = ".build/model"


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgedApp:
    """An app and what it is built with.

    Args:
        name: Such as ``"prod"`` or ``"examples/monitoring"``.
        source: The Python file with its ``build(app)``.
        context: CDK context beside cdk.json's.
        production: Whether the rules for production apply.
    """

    name: str
    source: Path
    context: dict[str, str] = field(default_factory=dict)
    production: bool = False

    def build(self, app: cdk.App) -> None:
        """Run the source's ``build(app)``."""
        spec = importlib.util.spec_from_file_location(f"judged_{self.source.stem}", self.source)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        build: Callable[[cdk.App], None] = module.build
        build(app)


STAGES = [
    JudgedApp(
        name=stage,
        source=ROOT / "app.py",
        context={"stage": stage, "model": MODEL},
        production=stage == "prod",
    )
    for stage in ("dev", "prod")
]
EXAMPLES = [
    JudgedApp(name=f"examples/{path.stem}", source=path) for path in sorted((ROOT / "docs/examples").glob("*.py"))
]
APPS = {app.name: app for app in [*STAGES, *EXAMPLES]}
FAULTY = JudgedApp(name="faulty", source=Path(__file__).with_name("faulty_app.py"), production=True)
"""Not held to anything: it shows that each gate sees what it is there to see."""


def cdk_json_context() -> dict[str, object]:
    """Return the context that the CDK CLI would read, which an app made by hand does not."""
    context: dict[str, object] = json.loads((ROOT / "cdk.json").read_text(encoding="utf-8"))["context"]
    return context
