"""How the tests are shared out, where several processes run them (`pytest -n 2`)."""

from __future__ import annotations

from pathlib import Path

import pytest

_GATES = Path(__file__).parent / "gates"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a file in one process, as they share what they have deployed, and those of all gates."""
    for item in items:
        name = "gates" if item.path.is_relative_to(_GATES) else str(item.path)
        item.add_marker(pytest.mark.xdist_group(name))
