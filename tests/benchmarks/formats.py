"""Print what ONNX Runtime would bring, for each kind of model, with one thread on held-out texts of the demo's data.

``make model .venv-torch/.synced`` and then ``PYTHONPATH=model_src .venv-torch/bin/python -m tests.benchmarks.formats``.
The results of a run stand in docs/classifier.md.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import joblib
import numpy as np
from classifier import Kind, TextClassifier

ROOT = Path(__file__).parents[2]
TEXTS = 400


def texts(name: str) -> list[str]:
    with (ROOT / ".build" / "data" / "test" / f"{name}.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line in lines][:TEXTS]


def milliseconds(work: Callable[[Any], object], items: Sequence[Any]) -> float:
    """Return the median time of an item; of two rounds the better."""
    rounds = []
    for _ in range(2):
        taken = []
        for item in items:
            began = time.perf_counter()
            work(item)
            taken.append((time.perf_counter() - began) * 1000)
        rounds.append(median(taken))
    return min(rounds)


def row_sum(weights: Any, kind: Kind) -> Callable[[Any], Any]:  # onnx has no types here
    """Return the linear part over one kind of features in ONNX: the sum of the rows of the features of a text."""
    import onnxruntime  # type: ignore[import-untyped]
    from onnx import TensorProto, helper, numpy_helper  # type: ignore[import-not-found]

    assert weights.shape[0] == kind.width
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["weights", "columns"], ["rows"]),
            helper.make_node("Cast", ["rows"], ["single"], to=TensorProto.FLOAT),
            helper.make_node("MatMul", ["values", "single"], ["scores"]),
        ],
        "linear",
        [
            helper.make_tensor_value_info("columns", TensorProto.INT32, ["n"]),
            helper.make_tensor_value_info("values", TensorProto.FLOAT, ["n"]),
        ],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [weights.shape[1]])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return lambda row: session.run(None, {"columns": row[0], "values": row[1]})[0]


def numpy_classifier() -> None:
    classifier: TextClassifier = joblib.load(ROOT / ".build" / "model" / "model.joblib")
    for name in ("reviews-zh", "mail-en"):
        chosen = texts(name)
        total = milliseconds(lambda text: classifier.predict_proba([text]), chosen)
        numpy_ms = onnx_ms = 0.0
        for kind, weights in zip(classifier.kinds, classifier.weights, strict=True):
            rows = [kind.row(text) for text in chosen]
            in_onnx = row_sum(weights, kind)

            def in_numpy(row: Any, weights: Any = weights) -> Any:
                return row[1] @ weights[row[0]].astype(np.float32)

            numpy_ms += milliseconds(in_numpy, rows)
            onnx_ms += milliseconds(in_onnx, rows)
            assert all(np.allclose(in_numpy(row), in_onnx(row), atol=1e-4) for row in rows)
        sys.stdout.write(
            f"NumPy classifier, {name}: a text takes {total:.3f} ms, of which the linear part {numpy_ms:.3f} ms; "
            f"{onnx_ms:.3f} ms in ONNX Runtime\n"
        )


def pytorch_network() -> None:
    from formats import package_as
    from hashing import Shape
    from torch_fitting import Training
    from torch_train import train

    with TemporaryDirectory() as work:
        directory = Path(work, "trained")
        data = ROOT / ".build" / "data"
        train(
            train_directory=data / "train",
            test_directory=data / "test",
            model_directory=directory,
            shape=Shape(),
            training=Training(epochs=2),
        )
        for name in ("reviews-zh", "mail-en"):
            chosen = package_as("auto", directory, Path(work, name), texts(name))
            sys.stdout.write(f"PyTorch network, {name}: {chosen.reason}: {chosen.format}\n")


if __name__ == "__main__":
    numpy_classifier()
    pytorch_network()
