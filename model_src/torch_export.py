"""Make an ONNX model of the PyTorch network. Needs onnxscript, which ``torch.onnx`` writes models with."""

from __future__ import annotations

import shutil
import warnings
from importlib import import_module
from pathlib import Path

import torch
from torch import Tensor, nn
from torch_network import METADATA, Network, load

MODEL = "model.onnx"


class OneText(nn.Module):  # type: ignore[misc]  # torch is not there where types are checked
    """From the buckets of one text to the probabilities of the labels.

    Without ``EmbeddingBag``, which would become a loop over the texts of a batch.

    Args:
        network: A trained network.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.embeddings = network.embeddings.weight
        self.output = network.output

    def forward(self, buckets: Tensor) -> Tensor:
        """Return the probabilities; a text without n-grams has a mean of zeros, as in ``EmbeddingBag``."""
        count = torch.clamp(torch.ones_like(buckets).sum(), min=1)
        return self.output(self.embeddings[buckets].sum(0) / count).double().softmax(dim=0)


def export(trained: Path, target: Path) -> None:
    """Write ``model.onnx`` and ``metadata.json`` of the model in ``trained`` into ``target``.

    Raises:
        ImportError: onnxscript is not installed.
    """
    import_module("onnxscript")
    network, _ = load(trained)
    target.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PyTorch about its own insides
        torch.onnx.export(
            OneText(network).eval(),
            (torch.arange(2),),
            target / MODEL,
            input_names=["buckets"],
            output_names=["probabilities"],
            dynamic_shapes={"buckets": {0: torch.export.Dim("ngrams", min=0)}},
            external_data=False,
            verbose=False,
            dynamo=True,
        )
    shutil.copyfile(trained / METADATA, target / METADATA)
