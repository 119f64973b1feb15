"""Train a text classifier: SageMaker script mode, or ``python train.py --train DIR --model-dir DIR``."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import joblib
import sklearn
from channels import DataError, Example, read_channel
from classifier import TextClassifier
from fitting import fit
from hyperparameters import ALLOWED, HyperparameterError, Hyperparameters
from metrics import Metrics, measure, metric_lines


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
        scikit_learn: The version that trained it.
        metrics: Over all held-out texts, named ``all``, and over those of each language that occurs. Empty
            when nothing was held out.
    """

    model_version: str
    labels: tuple[str, ...]
    hyperparameters: Hyperparameters
    regularization: float
    texts: int
    scikit_learn: str
    metrics: Mapping[str, Metrics]


def train(
    *,
    train_directory: Path,
    model_directory: Path,
    test_directory: Path | None = None,
    hyperparameters: Hyperparameters | None = None,
) -> Metadata:
    """Train on a channel and write ``model.joblib`` and ``metadata.json`` into ``model_directory``.

    Args:
        train_directory: The channel, as :func:`channels.read_channel` reads it.
        model_directory: Made when it is not there.
        test_directory: Held-out texts to measure on, in the same form; those that are in the training data
            too are left out. Omitted, the model is not measured.
        hyperparameters: Omitted, all have their defaults.

    Returns:
        What was written to ``metadata.json``.

    Raises:
        DataError: A channel cannot be used, or has one label only.
    """
    chosen = hyperparameters or Hyperparameters()
    examples = read_channel(train_directory)
    labels = {example.label for example in examples}
    if len(labels) < 2:
        found = f"all texts are labelled {labels.pop()!r}" if labels else "there are no texts"
        raise DataError(f"{found}: at least two labels are needed")
    classifier = fit([example.text for example in examples], [example.label for example in examples], chosen)
    metadata = Metadata(
        model_version=model_version(examples, chosen),
        labels=classifier.labels,
        hyperparameters=chosen,
        regularization=classifier.regularization,
        texts=len(examples),
        scikit_learn=sklearn.__version__,
        metrics=_measure_channel(classifier, test_directory, examples) if test_directory else {},
    )
    model_directory.mkdir(parents=True, exist_ok=True)
    joblib.dump(classifier, model_directory / "model.joblib", compress=3)  # as the archive itself is not compressed
    document = json.dumps(asdict(metadata), ensure_ascii=False, indent=2)
    (model_directory / "metadata.json").write_text(f"{document}\n", encoding="utf-8")
    return metadata


def model_version(examples: Iterable[Example], hyperparameters: Hyperparameters) -> str:
    """Return 12 hexadecimal digits that name a model made of these examples, choices and sources."""
    digest = hashlib.sha256(sklearn.__version__.encode())
    digest.update(json.dumps(asdict(hyperparameters), sort_keys=True).encode())
    here = Path(__file__).parent
    for source in sorted(here.rglob("*.py")):
        digest.update(f"\0{source.relative_to(here).as_posix()}\0".encode())
        digest.update(source.read_bytes())
    for example in examples:
        digest.update(json.dumps([example.text, example.label]).encode())
    return digest.hexdigest()[:12]


def _measure_channel(classifier: TextClassifier, directory: Path, trained_on: Sequence[Example]) -> dict[str, Metrics]:
    known = {example.text for example in trained_on}
    held_out = [example for example in read_channel(directory) if example.text not in known]
    if not held_out:
        raise DataError(f"{directory}: all its texts are in the training data too, so nothing can be measured")
    return measure(classifier, held_out)


def _parse(arguments: Sequence[str] | None) -> tuple[argparse.Namespace, Hyperparameters]:
    environment = os.environ
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--train", type=Path, default=environment.get("SM_CHANNEL_TRAIN") or None, help="training data")
    parser.add_argument("--test", type=Path, default=environment.get("SM_CHANNEL_TEST") or None, help="held-out data")
    parser.add_argument("--model-dir", type=Path, default=environment.get("SM_MODEL_DIR") or None, help="for the model")
    options = {name: f"--{name.replace('_', '-')}" for name in ALLOWED}
    for name, default in asdict(Hyperparameters()).items():
        kind = _truth if isinstance(default, bool) else type(default)
        parser.add_argument(options[name], type=kind, default=default, help=f"{ALLOWED[name]}; {default} when omitted")
    parsed, unknown = parser.parse_known_args(arguments)
    if unknown:
        parser.error(f"unknown: {' '.join(unknown)}; hyperparameters are {', '.join(options.values())}")
    for option, variable, value in (
        ("--train", "SM_CHANNEL_TRAIN", parsed.train),
        ("--model-dir", "SM_MODEL_DIR", parsed.model_dir),
    ):
        if not value:
            parser.error(f"give {option} or set {variable}")
    try:
        return parsed, Hyperparameters(**{name: getattr(parsed, name) for name in options})
    except HyperparameterError as error:
        parser.error(str(error))


def _truth(value: str) -> bool:
    """Return what SageMaker's ``true`` or ``false`` means."""
    if value.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{value!r} must be true or false")
    return value.lower() == "true"


def main(arguments: Sequence[str] | None = None) -> None:
    """Train as the command line and SageMaker's environment say, and print the metrics.

    Raises:
        SystemExit: Hyperparameters (code 2) or data (code 1) are wrong; the message goes to the error stream.
    """
    parsed, hyperparameters = _parse(arguments)
    try:
        trained = train(
            train_directory=parsed.train,
            model_directory=parsed.model_dir,
            test_directory=parsed.test,
            hyperparameters=hyperparameters,
        )
    except DataError as error:
        sys.exit(f"error: {error}")
    lines = [f"model_version={trained.model_version}", *metric_lines(trained.metrics)]
    sys.stdout.write("".join(f"{line}\n" for line in lines))


if __name__ == "__main__":
    main()
