"""Serve a trained model: SageMaker's model_fn, input_fn, predict_fn and output_fn, for batches of texts.

Goes into the model archive as ``code/inference.py``. Runs in SageMaker's scikit-learn container, behind the
sagemaker-inference toolkit, and without either. The payloads are described in :mod:`payloads`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import joblib
from classifier import TextClassifier
from manifest import ManifestError, verify
from payloads import Prediction
from serving import RequestError, input_fn, output_fn, result

__all__ = ["ManifestError", "Model", "RequestError", "input_fn", "model_fn", "output_fn", "predict_fn"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """A loaded model.

    Args:
        version: Names the model in every answer.
        classifier: From raw texts to probabilities.
    """

    version: str
    classifier: TextClassifier


def model_fn(model_dir: str) -> Model:
    """Load ``model.joblib`` and ``metadata.json`` from ``model_dir``.

    Raises:
        ManifestError: A file there is not what was packaged; nothing was loaded.
    """
    directory = Path(model_dir)
    verify(directory)
    metadata = json.loads((directory / "metadata.json").read_text(encoding="utf-8"))
    return Model(version=metadata["model_version"], classifier=joblib.load(directory / "model.joblib"))


def predict_fn(texts: Sequence[str] | RequestError, model: Model) -> Prediction | RequestError:
    """Classify ``texts``, as they were sent, in one call. No texts give no results."""
    if isinstance(texts, RequestError):
        return texts
    rows = model.classifier.predict_proba(texts).tolist()
    return {"model_version": model.version, "results": [result(model.classifier.labels, row) for row in rows]}
