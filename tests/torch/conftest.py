"""PyTorch has an environment of its own: ``make test-torch``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def channel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a training channel with the tiny model's examples."""
    from tests.tiny_model import EXAMPLES

    directory = tmp_path_factory.mktemp("channel")
    lines = (json.dumps({"text": text, "label": label}) for text, label in EXAMPLES)
    (directory / "examples.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return directory


@pytest.fixture(scope="session")
def packaged(channel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model directory as SageMaker's PyTorch container gets it."""
    from hashing import Shape
    from package import package
    from torch_fitting import Training
    from torch_train import train

    directory = tmp_path_factory.mktemp("model")
    train(
        train_directory=channel,
        model_directory=directory,
        shape=Shape(buckets=4096, dimensions=16),
        training=Training(epochs=20, batch_size=8),
    )
    package(directory, directory)
    return directory
