"""The examples in docstrings are true: of every module that has one and needs no CDK."""

from __future__ import annotations

import doctest
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = {"sm_client": ROOT, "sm_local": ROOT, "lambda_src": ROOT / "lambda_src", "model_src": ROOT / "model_src"}


def _modules() -> Iterator[str]:
    for folder, root in SOURCES.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            if ">>> " in path.read_text(encoding="utf-8"):
                yield ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("name", list(_modules()))
def test_the_examples_in_docstrings_are_true(name: str) -> None:
    failed, attempted = doctest.testmod(import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert attempted > 0
    assert failed == 0
