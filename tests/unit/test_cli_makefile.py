"""The Makefile's own promises: which Python it takes, what it says without one, what leaks in."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("sh", "awk", "rm", "touch", "mkdir", "ln", "env")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A directory with the Makefile, and beside it the only programs that can be found."""
    directory, programs = tmp_path / "clone", tmp_path / "bin"
    directory.mkdir()
    programs.mkdir()
    for name in ("Makefile", "uv.lock", "pyproject.toml", "package.json", "package-lock.json"):
        shutil.copy(ROOT / name, directory)
    for tool in TOOLS:
        (programs / tool).symlink_to(shutil.which(tool) or pytest.fail(f"no {tool}"))
    return directory


def pretend_python(clone: Path, name: str, version: str) -> None:
    """Make a program that calls itself a version of Python, and makes a virtual environment of itself."""
    major, minor = version.split(".")[:2]
    program = clone.parent / "bin" / name
    program.write_text(
        "#!/bin/sh\n"
        f'if [ "$1" = --version ]; then echo "Python {version}"; exit; fi\n'
        f'if [ "$1" = -c ]; then [ {major} -eq 3 ] && [ {minor} -ge 11 ] && [ {minor} -le 14 ]; exit; fi\n'
        'mkdir -p .venv/bin; echo "$0" > .venv/made-with; ln -s "$0" .venv/bin/python\n'
    )
    program.chmod(0o755)


def make(clone: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [shutil.which("make") or "make", *arguments]
    search = {"PATH": str(clone.parent / "bin")}
    return subprocess.run(command, cwd=clone, env=search | environment, capture_output=True, text=True, check=False)


def test_without_a_target_the_targets_are_explained(clone: Path) -> None:
    described = dict(re.findall(r"^  make ([\w-]+) +(\S.*)$", make(clone).stdout, re.MULTILINE))
    made = {"setup", "demo", "model", "synth", "deploy", "clean", "help"}
    tests = {"test", "test-torch", "check", "format", "bench", "bench-classifiers", "soak"}
    assert described.keys() == made | tests


def test_too_old_a_python_is_named_with_what_to_do(clone: Path) -> None:
    pretend_python(clone, "python3", "3.9.6")
    result = make(clone, "demo")
    assert result.returncode != 0
    assert "Python 3.11, 3.12, 3.13 or 3.14 is needed, and found was: Python 3.9.6." in result.stderr
    assert "make demo PYTHON=/path/to/python3.12" in result.stderr


def test_a_python_too_new_for_the_locked_packages_is_not_taken(clone: Path) -> None:
    pretend_python(clone, "python3", "3.15.0")
    assert "found was: Python 3.15.0." in make(clone, "setup").stderr


@pytest.mark.parametrize("newer", ["python3.11", "python3.14"])
def test_a_newer_python_beside_an_old_one_is_found(clone: Path, newer: str) -> None:
    pretend_python(clone, "python3", "3.9.6")
    pretend_python(clone, newer, f"{newer.removeprefix('python')}.1")
    result = make(clone, ".venv/bin/python")
    assert result.returncode == 0, result.stderr
    assert (clone / ".venv" / "made-with").read_text().strip().endswith(f"/bin/{newer}")


def test_the_python_that_is_named_is_taken_first(clone: Path) -> None:
    pretend_python(clone, "python3", "3.12.0")
    pretend_python(clone, "mine", "3.13.0")
    make(clone, ".venv/bin/python", "PYTHON=mine")
    assert (clone / ".venv" / "made-with").read_text().strip().endswith("/bin/mine")


def test_settings_of_the_shell_do_not_reach_the_tools(clone: Path) -> None:
    (clone / "Makefile").write_text((clone / "Makefile").read_text() + "\nshow:\n\t@env\n")
    leaks = ("PYTHONPATH", "VIRTUAL_ENV", "UV_INDEX", "UV_PYTHON", "PIP_USER", "NODE_ENV")
    shown = make(clone, "show", KEPT="yes", **dict.fromkeys(leaks, "elsewhere")).stdout
    assert "KEPT=yes" in shown
    assert "elsewhere" not in shown


def test_a_finished_setup_has_nothing_to_do() -> None:
    if not (ROOT / ".venv" / ".synced").exists():
        pytest.skip("the environment was not made by make")
    environment = {**os.environ, "MAKEFLAGS": ""}
    result = subprocess.run(
        [shutil.which("make") or "make", "--question", "setup"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        check=False,
    )
    assert result.returncode == 0
