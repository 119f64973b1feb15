"""Serve a model in ONNX: SageMaker's model_fn, input_fn, predict_fn and output_fn, for batches of texts.

Goes into the model archive as ``code/inference.py``. Needs ONNX Runtime and NumPy, and no PyTorch: AWS's images for
PyTorch do not have ONNX Runtime. The payloads are described in :mod:`payloads`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
from hashing import Shape, features
from manifest import ManifestError, verify
from payloads import Prediction
from serving import RequestError, input_fn, output_fn, result

__all__ = ["ManifestError", "Model", "RequestError", "input_fn", "model_fn", "output_fn", "predict_fn"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """A loaded model.

    Args:
        version: Names the model in every answer.
        labels: In the order of its probabilities.
        shape: What it sees of a text.
        session: From the buckets of a text's n-grams to the probabilities of the labels.
    """

    version: str
    labels: Sequence[str]
    shape: Shape
    session: Any


def model_fn(model_dir: str) -> Model:
    """Load ``model.onnx`` and ``metadata.json`` from ``model_dir``.

    Raises:
        ManifestError: A file there is not what was packaged; nothing was loaded.
    """
    directory = Path(model_dir)
    verify(directory)
    metadata = json.loads((directory / "metadata.json").read_text(encoding="utf-8"))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # the network of one text is too small to share
    session = onnxruntime.InferenceSession(str(directory / "model.onnx"), options, providers=["CPUExecutionProvider"])
    return Model(
        version=metadata["model_version"],
        labels=metadata["labels"],
        shape=Shape(**metadata["shape"]),
        session=session,
    )


def predict_fn(texts: Sequence[str] | RequestError, model: Model) -> Prediction | RequestError:
    """Classify ``texts``, as they were sent. No texts give no results."""
    if isinstance(texts, RequestError):
        return texts
    rows = [
        model.session.run(None, {"buckets": np.array(buckets, np.int64)})[0].tolist()
        for buckets in features(texts, model.shape)
    ]
    return {"model_version": model.version, "results": [result(model.labels, row) for row in rows]}
