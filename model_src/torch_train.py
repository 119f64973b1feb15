"""Train a text classifier of PyTorch, in SageMaker's script mode or without SageMaker.

``python torch_train.py --train DIR --validation DIR --model-dir DIR``
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
from channels import DataError, read_channel
from checkpoints import sagemakers_directory
from choices import add_options, parse, problems
from corpus import Corpus, pool
from hashing import Shape
from hosts import Alone, Group, HostError, connected
from metrics import measure, metric_lines
from model_versions import model_version
from torch_fitting import PROPERTIES, Checkpoints, Training, fit
from torch_network import Network, save


def train(
    *,
    train_directory: Path,
    model_directory: Path,
    test_directory: Path | None = None,
    validation_directory: Path | None = None,
    checkpoint_directory: Path | None = None,
    shape: Shape | None = None,
    training: Training | None = None,
    group: Group | None = None,
    first_host: str = "",
) -> dict[str, object] | None:
    """Train on a channel and write ``model.pt`` and ``metadata.json`` into ``model_directory``.

    Args:
        train_directory: The channel, as :func:`channels.read_channel` reads it; of several hosts, this one's part.
        model_directory: Made when it is not there.
        test_directory: Held-out texts to measure on; those that are in the training data too are left out.
            Omitted, the model is not measured on them.
        validation_directory: The same, to choose among several models by.
        checkpoint_directory: Where the state after each epoch is kept, and taken up again. Omitted, nowhere.
        shape: What the network looks like. Omitted, all has its default.
        training: How it is trained. Omitted, all has its default.
        group: The hosts that train together. Omitted, this one alone.
        first_host: The address of the first one; one host needs none.

    Returns:
        What ``metadata.json`` says beside labels and shape; nothing on other hosts than the first.

    Raises:
        DataError: A channel cannot be used, or has fewer than two labels.
        HostError: Another host is lost, or has failed.
    """
    shape, training, group = shape or Shape(), training or Training(), group or Alone()
    corpus = pool(read_channel(train_directory), group)
    choices = {**asdict(shape), **asdict(training)}
    version = model_version(corpus.digests, choices, hosts=group.size, framework="torch")
    checkpoints = Checkpoints(directory=checkpoint_directory, version=version) if checkpoint_directory else None
    network = fit(corpus, shape, training, group, first_host=first_host, checkpoints=checkpoints)
    if group.rank:
        return None
    metadata: dict[str, object] = {
        "model_version": version,
        "training": asdict(training),
        "texts": len(corpus.y),
        "hosts": group.size,
        "torch": torch.__version__,
        "metrics": _measured(network, test_directory, corpus, "test"),
        "validation": _measured(network, validation_directory, corpus, "validation"),
    }
    save(network, model_directory, metadata)
    return metadata


def _measured(network: Network, directory: Path | None, corpus: Corpus, channel: str) -> dict[str, object]:
    """Print the metrics of a channel, and return them."""
    if directory is None:
        return {}
    held_out = [example for example in read_channel(directory) if not corpus.has(example.text)]
    if not held_out:
        raise DataError(f"{directory}: all its texts are in the training data too: nothing can be measured")
    measured = measure(network, held_out)
    sys.stdout.writelines(f"{line}\n" for line in metric_lines(measured, channel=channel))
    return {name: asdict(metrics) for name, metrics in measured.items()}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Job:
    """What the command line and SageMaker's environment say."""

    train: Path
    test: Path | None
    validation: Path | None
    model_dir: Path
    checkpoint_dir: Path | None
    shape: Shape
    training: Training
    hosts: Sequence[str]
    host: str


def _parse(arguments: Sequence[str] | None) -> _Job:
    environment = os.environ
    parser = argparse.ArgumentParser(description="Train a text classifier of PyTorch.", allow_abbrev=False)
    for option, value, meaning in (
        ("--train", environment.get("SM_CHANNEL_TRAIN"), "training data"),
        ("--validation", environment.get("SM_CHANNEL_VALIDATION"), "held-out data to choose a model by"),
        ("--test", environment.get("SM_CHANNEL_TEST"), "held-out data"),
        ("--model-dir", environment.get("SM_MODEL_DIR"), "for the model"),
        ("--checkpoint-dir", sagemakers_directory(), "for the state after each epoch"),
    ):
        parser.add_argument(option, type=Path, default=value or None, help=meaning)
    add_options(parser, PROPERTIES)
    parsed = parse(parser, PROPERTIES, arguments)
    if not parsed.train or not parsed.model_dir:
        parser.error("give --train and --model-dir, or set SM_CHANNEL_TRAIN and SM_MODEL_DIR")
    if found := list(problems(PROPERTIES, vars(parsed))):
        parser.error("; ".join(found))
    hosts = json.loads(environment.get("SM_HOSTS") or '["localhost"]')
    return _Job(
        train=parsed.train,
        test=parsed.test,
        validation=parsed.validation,
        model_dir=parsed.model_dir,
        checkpoint_dir=parsed.checkpoint_dir,
        shape=Shape(**{field.name: getattr(parsed, field.name) for field in fields(Shape)}),
        training=Training(**{field.name: getattr(parsed, field.name) for field in fields(Training)}),
        hosts=hosts,
        host=environment.get("SM_CURRENT_HOST") or hosts[0],
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Train as the command line and SageMaker's environment say, and print the metrics.

    Raises:
        SystemExit: The arguments (code 2) or the data (code 1) are wrong, or a host is lost (code 1); the message
            goes to the error stream.
    """
    job = _parse(arguments)
    choices = {**asdict(job.shape), **asdict(job.training)}
    same = f"{os.environ.get('TRAINING_JOB_NAME', '')} {model_version([], choices, framework='torch')}"
    try:
        with connected(job.hosts, job.host, job=same) as group:
            metadata = train(
                train_directory=job.train,
                model_directory=job.model_dir,
                test_directory=job.test,
                validation_directory=job.validation,
                checkpoint_directory=job.checkpoint_dir,
                shape=job.shape,
                training=job.training,
                group=group,
                first_host=job.hosts[0],
            )
    except (DataError, HostError) as error:
        sys.exit(f"error: {error}")
    if metadata is None:
        sys.stdout.write(f"{job.host} is done: {job.hosts[0]} writes the model\n")
        return
    sys.stdout.write(f"model_version={metadata['model_version']}\n")


if __name__ == "__main__":
    main()
