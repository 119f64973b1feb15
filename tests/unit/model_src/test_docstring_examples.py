from __future__ import annotations

import doctest
from importlib import import_module

import pytest

MODULES = (
    "choices",
    "classifier",
    "features",
    "hashing",
    "hyperparameters",
    "judged",
    "payloads",
    "serving",
    "textprep.language",
    "textprep.normalization",
    "vocabulary",
    "sm_local.datasets",
    "sm_local.mail",
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_docstrings_are_true(name: str) -> None:
    failed, attempted = doctest.testmod(import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert attempted > 0
    assert failed == 0
