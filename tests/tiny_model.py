"""A model that is trained in a second, for tests that need one to serve."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from hyperparameters import Hyperparameters
from package import package
from train import train

EXAMPLES: tuple[tuple[str, str], ...] = (
    *((f"这本书很好，我很喜欢，推荐给大家 {number}", "good") for number in range(8)),
    *((f"质量太差了，很失望，不要买 {number}", "bad") for number in range(8)),
    *((f"Click here to win free money now, offer {number}", "spam") for number in range(8)),
    *((f"The meeting is moved to Tuesday, see agenda item {number}", "not spam") for number in range(8)),
)


def train_tiny_model(directory: Path, *, hyperparameters: Hyperparameters | None = None) -> str:
    """Train on :data:`EXAMPLES` and write a packaged model, with ``code/``, into ``directory``.

    Args:
        directory: Made when it is not there.
        hyperparameters: Others give another model version. Omitted, 1,000 n-grams each of up to three
            characters and of words.

    Returns:
        The model version that the endpoint answers with.
    """
    with tempfile.TemporaryDirectory() as channel:
        lines = (json.dumps({"text": text, "label": label}) for text, label in EXAMPLES)
        Path(channel, "examples.jsonl").write_text("\n".join(lines), encoding="utf-8")
        metadata = train(
            train_directory=Path(channel),
            model_directory=directory,
            hyperparameters=hyperparameters or Hyperparameters(ngram_max=3, max_features=1_000),
        )
    assert metadata is not None
    package(directory, directory)
    return metadata.model_version
