"""Train a text classifier: SageMaker script mode, or ``python train.py --train DIR --model-dir DIR``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import checkpoints
import data_parallel
import fitting
import joblib
import sklearn
from channels import DataError, read_channel
from choices import add_options, parse
from classifier import TextClassifier
from corpus import Corpus, pool
from hosts import Alone, Group, HostError, connected
from hyperparameters import PROPERTIES, HyperparameterError, Hyperparameters
from metrics import Metrics, measure, metric_lines
from model_versions import model_version


@dataclass(frozen=True, kw_only=True, slots=True)
class Metadata:
    """What ``metadata.json`` says of a model.

    Args:
        model_version: Follows from the data, hyperparameters, this code and scikit-learn's version, and from
            nothing else: 12 hexadecimal digits.
        labels: In the order of the model's scores.
        hyperparameters: What was asked for.
        regularization: What was given or chosen.
        texts: How many texts it was trained on.
        hosts: How many trained it together.
        scikit_learn: The version that trained it.
        metrics: Over all texts of the channel ``test``, named ``all``, and over those of each language that
            occurs. Empty when there is no such channel.
        validation: The same of the channel ``validation``.
    """

    model_version: str
    labels: tuple[str, ...]
    hyperparameters: Hyperparameters
    regularization: float
    texts: int
    hosts: int
    scikit_learn: str
    metrics: Mapping[str, Metrics]
    validation: Mapping[str, Metrics]


def train(
    *,
    train_directory: Path,
    model_directory: Path,
    test_directory: Path | None = None,
    validation_directory: Path | None = None,
    checkpoint_directory: Path | None = None,
    hyperparameters: Hyperparameters | None = None,
    group: Group | None = None,
) -> Metadata | None:
    """Train on a channel and write ``model.joblib`` and ``metadata.json`` into ``model_directory``.

    Args:
        train_directory: The channel, as :func:`channels.read_channel` reads it; of several hosts, this one's part.
        model_directory: Made when it is not there.
        test_directory: Held-out texts to measure on, in the same form; those that are in the training data
            too are left out. Omitted, the model is not measured on them.
        validation_directory: The same, to choose among several models by.
        checkpoint_directory: Where the scores of cross-validation are kept, and taken up again. Omitted, nowhere.
        hyperparameters: Omitted, all have their defaults.
        group: The hosts that train together. Omitted, this one alone.

    Returns:
        What was written to ``metadata.json``; nothing on other hosts than the first, which write nothing.

    Raises:
        DataError: A channel cannot be used, or has one label only.
        HostError: Another host is lost, or has failed.
    """
    chosen, group = hyperparameters or Hyperparameters(), group or Alone()
    corpus = pool(read_channel(train_directory), group)
    version = model_version(corpus.digests, asdict(chosen), hosts=group.size)
    classifier = _fit(corpus, chosen, group, checkpoint_directory, version)
    if classifier is None:
        return None
    metadata = Metadata(
        model_version=version,
        labels=classifier.labels,
        hyperparameters=chosen,
        regularization=classifier.regularization,
        texts=len(corpus.y),
        hosts=group.size,
        scikit_learn=sklearn.__version__,
        metrics=_measure_channel(classifier, test_directory, corpus) if test_directory else {},
        validation=_measure_channel(classifier, validation_directory, corpus) if validation_directory else {},
    )
    model_directory.mkdir(parents=True, exist_ok=True)
    joblib.dump(classifier, model_directory / "model.joblib", compress=3)  # as the archive itself is not compressed
    document = json.dumps(asdict(metadata), ensure_ascii=False, indent=2)
    (model_directory / "metadata.json").write_text(f"{document}\n", encoding="utf-8")
    return metadata


def _fit(
    corpus: Corpus, chosen: Hyperparameters, group: Group, checkpoint_directory: Path | None, version: str
) -> TextClassifier | None:
    texts = [example.text for example in corpus.examples]
    resumable = partial(checkpoints.resumable, directory=checkpoint_directory, version=version)
    if group.size == 1:
        return fitting.fit(texts, [example.label for example in corpus.examples], chosen, resumable)
    share = data_parallel.Share(texts=texts, places=corpus.places, y=corpus.y, labels=corpus.labels)
    return data_parallel.fit(share, chosen, group, resumable)


def _measure_channel(classifier: TextClassifier, directory: Path, corpus: Corpus) -> dict[str, Metrics]:
    held_out = [example for example in read_channel(directory) if not corpus.has(example.text)]
    if not held_out:
        raise DataError(f"{directory}: all its texts are in the training data too, so nothing can be measured")
    return measure(classifier, held_out)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Job:
    """What the command line and SageMaker's environment say."""

    train: Path
    test: Path | None
    validation: Path | None
    model_dir: Path
    checkpoint_dir: Path | None
    hyperparameters: Hyperparameters
    hosts: Sequence[str]
    host: str


def _parse(arguments: Sequence[str] | None) -> _Job:
    environment = os.environ
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    for option, variable, meaning in (
        ("--train", "SM_CHANNEL_TRAIN", "training data"),
        ("--validation", "SM_CHANNEL_VALIDATION", "held-out data to choose a model by"),
        ("--test", "SM_CHANNEL_TEST", "held-out data"),
        ("--model-dir", "SM_MODEL_DIR", "for the model"),
    ):
        parser.add_argument(option, type=Path, default=environment.get(variable) or None, help=meaning)
    parser.add_argument(
        "--checkpoint-dir",
        type=Path,
        default=checkpoints.sagemakers_directory(),
        help="for what an interruption must not lose",
    )
    add_options(parser, PROPERTIES)
    parsed = parse(parser, PROPERTIES, arguments)
    for option, variable, value in (
        ("--train", "SM_CHANNEL_TRAIN", parsed.train),
        ("--model-dir", "SM_MODEL_DIR", parsed.model_dir),
    ):
        if not value:
            parser.error(f"give {option} or set {variable}")
    hosts = json.loads(environment.get("SM_HOSTS") or '["localhost"]')
    if len(hosts) > 1 and parsed.loss not in data_parallel.LOSSES:
        names = " or ".join(data_parallel.LOSSES)
        parser.error(f"loss is {parsed.loss!r}: on {len(hosts)} hosts it must be {names}, which have a gradient")
    try:
        return _Job(
            train=parsed.train,
            test=parsed.test,
            validation=parsed.validation,
            model_dir=parsed.model_dir,
            checkpoint_dir=parsed.checkpoint_dir,
            hyperparameters=Hyperparameters(**{name: getattr(parsed, name) for name in PROPERTIES}),
            hosts=hosts,
            host=environment.get("SM_CURRENT_HOST") or hosts[0],
        )
    except HyperparameterError as error:
        parser.error(str(error))


def main(arguments: Sequence[str] | None = None) -> None:
    """Train as the command line and SageMaker's environment say, and print the metrics.

    Raises:
        SystemExit: Hyperparameters (code 2) or data (code 1) are wrong, or a host is lost (code 1); the message
            goes to the error stream.
    """
    job = _parse(arguments)
    same = f"{os.environ.get('TRAINING_JOB_NAME', '')} {model_version([], asdict(job.hyperparameters))}"
    try:
        with connected(job.hosts, job.host, job=same) as group:
            trained = train(
                train_directory=job.train,
                model_directory=job.model_dir,
                test_directory=job.test,
                validation_directory=job.validation,
                checkpoint_directory=job.checkpoint_dir,
                hyperparameters=job.hyperparameters,
                group=group,
            )
    except (DataError, HostError) as error:
        sys.exit(f"error: {error}")
    if trained is None:
        sys.stdout.write(f"{job.host} is done: {job.hosts[0]} writes the model\n")
        return
    lines = [
        f"model_version={trained.model_version}",
        *metric_lines(trained.metrics),
        *metric_lines(trained.validation, channel="validation"),
    ]
    sys.stdout.write("".join(f"{line}\n" for line in lines))


if __name__ == "__main__":
    main()
