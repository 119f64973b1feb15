"""Train a text classifier of PyTorch, in SageMaker's script mode or without SageMaker.

``python torch_train.py --train DIR --test DIR --model-dir DIR``
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from channels import DataError, Example, read_channel
from metrics import measure, metric_lines
from torch import nn
from torch_network import Network, Shape, features, save


@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """How the network is trained.

    Args:
        epochs: How often all texts are seen.
        batch_size: How many texts decide one step.
        learning_rate: How far a step goes.
        seed: Of everything random.
    """

    epochs: int = 10
    batch_size: int = 64
    learning_rate: float = 0.01
    seed: int = 20240601


def train(
    *,
    train_directory: Path,
    model_directory: Path,
    test_directory: Path | None = None,
    shape: Shape | None = None,
    training: Training | None = None,
) -> dict[str, object]:
    """Train on a channel and write ``model.pt`` and ``metadata.json`` into ``model_directory``.

    Args:
        train_directory: The channel, as :func:`channels.read_channel` reads it.
        model_directory: Made when it is not there.
        test_directory: Held-out texts to measure on; those that are in the training data too are left out.
            Omitted, the model is not measured.
        shape: What the network looks like. Omitted, all has its default.
        training: How it is trained. Omitted, all has its default.

    Returns:
        What ``metadata.json`` says beside labels and shape.

    Raises:
        DataError: A channel cannot be used, or has fewer than two labels.
    """
    shape, training = shape or Shape(), training or Training()
    examples = read_channel(train_directory)
    labels = sorted({example.label for example in examples})
    if len(labels) < 2:
        raise DataError(f"all texts are labelled {labels[0]!r}: at least two labels are needed")
    network = fit(examples, labels, shape, training)
    metadata: dict[str, object] = {
        "model_version": model_version(examples, shape, training),
        "training": asdict(training),
        "texts": len(examples),
        "torch": torch.__version__,
        "metrics": {},
    }
    if test_directory:
        known = {example.text for example in examples}
        held_out = [example for example in read_channel(test_directory) if example.text not in known]
        if not held_out:
            raise DataError(f"{test_directory}: all its texts are in the training data too: nothing can be measured")
        measured = measure(network, held_out)
        sys.stdout.writelines(f"{line}\n" for line in metric_lines(measured))
        metadata["metrics"] = {name: asdict(metrics) for name, metrics in measured.items()}
    save(network, model_directory, metadata)
    return metadata


def fit(examples: Sequence[Example], labels: Sequence[str], shape: Shape, training: Training) -> Network:
    """Return a network that was trained on the examples; on a CPU, equal arguments give equal weights."""
    torch.manual_seed(training.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = Network(shape, labels)
    network.to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=training.learning_rate)
    inputs = list(features((example.text for example in examples), shape))
    targets = torch.tensor([labels.index(example.label) for example in examples])
    for _ in range(training.epochs):
        for batch in torch.randperm(len(inputs)).split(training.batch_size):
            optimizer.zero_grad()
            answers = network([inputs[index] for index in batch.tolist()])
            nn.functional.cross_entropy(answers, targets[batch].to(device)).backward()
            optimizer.step()
    network.eval()
    return network


def model_version(examples: Iterable[Example], shape: Shape, training: Training) -> str:
    """Return 12 hexadecimal digits that name a model made of these examples, choices and sources."""
    digest = hashlib.sha256(torch.__version__.encode())
    digest.update(json.dumps([asdict(shape), asdict(training)], sort_keys=True).encode())
    here = Path(__file__).parent
    for source in sorted(here.rglob("*.py")):
        digest.update(f"\0{source.relative_to(here).as_posix()}\0".encode())
        digest.update(source.read_bytes())
    for example in examples:
        digest.update(json.dumps([example.text, example.label]).encode())
    return digest.hexdigest()[:12]


def main(arguments: Sequence[str] | None = None) -> None:
    """Train as the command line and SageMaker's environment say, and print the metrics.

    Raises:
        SystemExit: The arguments (code 2) or the data (code 1) are wrong; the message goes to the error stream.
    """
    environment = os.environ
    parser = argparse.ArgumentParser(description="Train a text classifier of PyTorch.", allow_abbrev=False)
    parser.add_argument("--train", type=Path, default=environment.get("SM_CHANNEL_TRAIN") or None, help="training data")
    parser.add_argument("--test", type=Path, default=environment.get("SM_CHANNEL_TEST") or None, help="held-out data")
    parser.add_argument("--model-dir", type=Path, default=environment.get("SM_MODEL_DIR") or None, help="for the model")
    for name, default in {**asdict(Shape()), **asdict(Training())}.items():
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, type=type(default), default=default, help=f"{default} when omitted")
    parsed = parser.parse_args(arguments)
    if not parsed.train or not parsed.model_dir:
        parser.error("give --train and --model-dir, or set SM_CHANNEL_TRAIN and SM_MODEL_DIR")
    try:
        metadata = train(
            train_directory=parsed.train,
            model_directory=parsed.model_dir,
            test_directory=parsed.test,
            shape=Shape(**{name: getattr(parsed, name) for name in asdict(Shape())}),
            training=Training(**{name: getattr(parsed, name) for name in asdict(Training())}),
        )
    except DataError as error:
        sys.exit(f"error: {error}")
    sys.stdout.write(f"model_version={metadata['model_version']}\n")


if __name__ == "__main__":
    main()
