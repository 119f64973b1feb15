"""The public names of the library, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import sm_constructs

ROOT = Path(__file__).parent.parent.parent


def test_every_public_name_says_where_it_comes_from() -> None:
    assert list(sm_constructs._MODULES) == sm_constructs.__all__
    assert dir(sm_constructs) == sorted(sm_constructs.__all__)


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'sm_constructs' has no attribute 'Endpiont'"):
        _ = sm_constructs.Endpiont  # type: ignore[attr-defined]


def imported_by(statement: str) -> set[str]:
    """Return the modules of aws_cdk that a statement loads in a fresh interpreter."""
    code = f"{statement}\nimport sys\nprint(*(name for name in sys.modules if name.startswith('aws_cdk')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())


def test_importing_the_library_does_not_start_the_cdk() -> None:
    assert imported_by("import sm_constructs; sm_constructs.InvalidPropsError") == set()


def test_a_construct_loads_no_services_that_it_does_not_use() -> None:
    loaded = imported_by("from sm_constructs import ArtifactStore")

    assert "aws_cdk.aws_s3" in loaded
    assert loaded.isdisjoint({"aws_cdk.aws_sagemaker", "aws_cdk.aws_lambda", "aws_cdk.aws_ec2"})


def test_the_library_says_that_it_is_typed() -> None:
    assert (ROOT / "sm_constructs" / "py.typed").is_file()
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert "sm_constructs" in packages["packages"]
