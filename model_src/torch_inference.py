"""Serve a model of PyTorch: SageMaker's model_fn, input_fn, predict_fn and output_fn, for batches of texts.

Goes into the model archive as ``code/inference.py``. Runs in SageMaker's PyTorch container, behind the
sagemaker-inference toolkit, and without either. The payloads are described in :mod:`payloads`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from manifest import ManifestError, verify
from payloads import Prediction
from serving import RequestError, input_fn, output_fn, result
from torch_network import Network, load

__all__ = ["ManifestError", "Model", "RequestError", "input_fn", "model_fn", "output_fn", "predict_fn"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """A loaded model.

    Args:
        version: Names the model in every answer.
        network: From texts to probabilities.
    """

    version: str
    network: Network


def model_fn(model_dir: str) -> Model:
    """Load ``model.pt`` and ``metadata.json`` from ``model_dir``, onto a GPU where there is one.

    Raises:
        ManifestError: A file there is not what was packaged; nothing was loaded.
    """
    verify(Path(model_dir))
    network, version = load(Path(model_dir), "cuda" if torch.cuda.is_available() else "cpu")
    return Model(version=version, network=network)


def predict_fn(texts: Sequence[str] | RequestError, model: Model) -> Prediction | RequestError:
    """Classify ``texts``, as they were sent, in one call. No texts give no results."""
    if isinstance(texts, RequestError):
        return texts
    rows = model.network.probabilities(texts) if texts else []
    return {"model_version": model.version, "results": [result(model.network.labels, row) for row in rows]}
