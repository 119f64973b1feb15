"""The examples' templates, beside which a pull request shows what it changes.

Where a change is meant: ``.venv/bin/python -m pytest tests/snapshot --snapshot-update``.
"""

from __future__ import annotations

from pathlib import Path

import aws_cdk as cdk
import pytest
from syrupy.assertion import SnapshotAssertion

from sm_local.server import RECORDED_ONLY
from tests.gates.apps import EXAMPLES, JudgedApp
from tests.snapshot.extension import TemplateExtension
from tests.snapshot.masking import Template, masked

pytestmark = pytest.mark.usefixtures("bundles")

SNAPSHOTS = Path(__file__).parent / "__snapshots__" / Path(__file__).stem


def templates(example: JudgedApp, app: cdk.App) -> dict[str, Template]:
    """Return an example's templates by the names of their stacks."""
    example.build(app)
    return {stack.stack_name: stack.template for stack in app.synth().stacks}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.source.stem)
def test_template(example: JudgedApp, app: cdk.App, snapshot: SnapshotAssertion) -> None:
    found = {stack: masked(template) for stack, template in templates(example, app).items()}

    assert found == snapshot(extension_class=TemplateExtension)


def test_each_resource_type_that_is_said_to_be_recorded_only_is_in_an_example() -> None:
    kept = "".join(path.read_text(encoding="utf-8") for path in SNAPSHOTS.glob("*.json"))

    assert [each for each in RECORDED_ONLY if f'"Type": "{each}"' not in kept] == []
