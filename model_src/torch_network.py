"""A small text classifier of PyTorch: hashed character n-grams, their mean embedding, one linear layer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from hashing import Shape, features
from torch import Tensor, nn

WEIGHTS = "model.pt"
METADATA = "metadata.json"


class Network(nn.Module):  # type: ignore[misc]  # torch is not there where types are checked
    """From texts to a number for each label, of which softmax makes probabilities.

    Args:
        shape: What it looks like.
        labels: The labels, in the order of the numbers.
    """

    def __init__(self, shape: Shape, labels: Sequence[str]) -> None:
        super().__init__()
        self.shape = shape
        self.labels = tuple(labels)
        self.embeddings = nn.EmbeddingBag(shape.buckets, shape.dimensions, mode="mean")
        self.output = nn.Linear(shape.dimensions, len(self.labels))

    def forward(self, texts: Sequence[Sequence[int]]) -> Tensor:
        """Return a row for each text, which is given by the buckets of its n-grams."""
        device = self.output.weight.device
        starts = torch.tensor([0, *(len(text) for text in texts)][:-1], dtype=torch.long).cumsum(0)
        flat = torch.tensor([bucket for text in texts for bucket in text], dtype=torch.long)
        return self.output(self.embeddings(flat.to(device), starts.to(device)))

    def probabilities(self, texts: Sequence[str]) -> list[list[float]]:
        """Return each text's probability of each label; a text's sum to 1."""
        with torch.inference_mode():
            answers = self(list(features(texts, self.shape)))
            rows: list[list[float]] = answers.double().softmax(dim=1).tolist()
        return rows

    def predict(self, texts: Sequence[str]) -> list[str]:
        """Return each text's likeliest label."""
        return [self.labels[max(range(len(row)), key=row.__getitem__)] for row in self.probabilities(texts)]


def save(network: Network, directory: Path, metadata: Mapping[str, object]) -> None:
    """Write the weights, and what :func:`load` has to know beside them, into ``directory``."""
    directory.mkdir(parents=True, exist_ok=True)
    torch.save(network.state_dict(), directory / WEIGHTS)
    document = {**metadata, "labels": network.labels, "shape": asdict(network.shape)}
    text = json.dumps(document, ensure_ascii=False, indent=2)
    (directory / METADATA).write_text(f"{text}\n", encoding="utf-8")


def load(directory: Path, device: str = "cpu") -> tuple[Network, str]:
    """Return the network in ``directory``, ready to predict on ``device``, and its version."""
    metadata = json.loads((directory / METADATA).read_text(encoding="utf-8"))
    network = Network(Shape(**metadata["shape"]), metadata["labels"])
    network.load_state_dict(torch.load(directory / WEIGHTS, map_location=device, weights_only=True))
    return network.to(device).eval(), metadata["model_version"]
