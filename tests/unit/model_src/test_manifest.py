from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import joblib
import pytest
from inference import ManifestError, model_fn
from manifest import verify, write_manifest

from tests.tiny_model import train_tiny_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    train_tiny_model(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda model: (model / "model.joblib").write_bytes(b"another"), "model.joblib differs"),
        (lambda model: (model / "metadata.json").write_text("{}"), "metadata.json differs"),
        (
            lambda model: (model / "code" / "textprep" / "language.py").write_text(""),
            "code/textprep/language.py differs",
        ),
        (lambda model: (model / "code" / "payloads.py").unlink(), "code/payloads.py is missing"),
        (lambda model: (model / "code" / "sitecustomize.py").write_text(""), "code/sitecustomize.py was added"),
        (lambda model: (model / "extra").mkdir() or (model / "extra" / "a").touch(), "extra/a was added"),
        (
            lambda model: (model / "__pycache__").mkdir() or (model / "__pycache__" / "a.pyc").touch(),
            "__pycache__/a.pyc",
        ),
        (lambda model: (model / "code" / "json.pyc").touch(), "code/json.pyc was added"),
        (lambda model: (model / "link").symlink_to(model / "code"), "link was added"),
        (lambda model: (model / "manifest.json").unlink(), "has no manifest.json: package the model with package.py"),
        (lambda model: (model / "manifest.json").write_text("[]"), "manifest.json cannot be read"),
    ],
)
def test_a_model_that_is_not_what_was_packaged_is_refused_before_anything_of_it_is_loaded(
    model: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], object], problem: str
) -> None:
    change(model)
    loaded: list[object] = []
    monkeypatch.setattr(joblib, "load", loaded.append)

    with pytest.raises(ManifestError, match=problem):
        model_fn(str(model))

    assert loaded == []


def test_all_that_is_wrong_is_named_at_once(model: Path) -> None:
    (model / "model.joblib").write_bytes(b"")
    (model / "code" / "features.py").unlink()
    (model / "a").touch()

    with pytest.raises(ManifestError) as caught:
        verify(model)

    assert "code/features.py is missing, a was added, model.joblib differs" in str(caught.value)


def test_what_python_and_torchserve_write_there_is_left_aside(model: Path) -> None:
    subprocess.run([sys.executable, "-m", "compileall", "-q", "."], check=True, cwd=model / "code")
    assert list((model / "code" / "textprep" / "__pycache__").iterdir())
    (model / "MAR-INF").mkdir()
    (model / "MAR-INF" / "MANIFEST.json").write_text("{}")
    (model / "handler_service.py").touch()

    verify(model)
    assert model_fn(str(model)).version

    before = (model / "manifest.json").read_bytes()
    (model / "MAR-INF" / "MANIFEST.json").unlink()
    (model / "handler_service.py").unlink()
    write_manifest(model)
    assert (model / "manifest.json").read_bytes() == before
    assert "code/textprep/language.py" in json.loads(before)["sha256"]
