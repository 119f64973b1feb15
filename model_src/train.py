"""Train a text classifier: SageMaker script mode, or ``python train.py --train DIR --model-dir DIR``."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import joblib
import numpy as np
import sklearn
from channels import DataError, Example, read_channel
from features import prepare
from hyperparameters import ALLOWED, HyperparameterError, Hyperparameters
from metrics import Metrics, measure, metric_lines
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.svm import LinearSVC

_CALIBRATION_FOLDS = 5
_MAX_ITERATIONS = 10_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Metadata:
    """What ``metadata.json`` says of a model.

    Args:
        model_version: Follows from the data, hyperparameters, this code and scikit-learn's version, and from
            nothing else: 12 hexadecimal digits.
        labels: In the order of the model's scores.
        hyperparameters: What it was trained with.
        texts: How many texts it was trained on.
        scikit_learn: The version that can load it.
        metrics: Over all held-out texts, named ``all``, and over those of each language that occurs. Empty
            when nothing was held out.
    """

    model_version: str
    labels: tuple[str, ...]
    hyperparameters: Hyperparameters
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
        DataError: A channel cannot be used, or has too few labels or texts of a label.
    """
    chosen = hyperparameters or Hyperparameters()
    examples = read_channel(train_directory)
    _check_labels(examples, chosen)
    pipeline = fit(examples, chosen)
    metadata = Metadata(
        model_version=model_version(examples, chosen),
        labels=tuple(str(label) for label in pipeline.classes_),
        hyperparameters=chosen,
        texts=len(examples),
        scikit_learn=sklearn.__version__,
        metrics=_measure_channel(pipeline, test_directory, examples) if test_directory else {},
    )
    model_directory.mkdir(parents=True, exist_ok=True)
    joblib.dump(pipeline, model_directory / "model.joblib")
    document = json.dumps(asdict(metadata), ensure_ascii=False, indent=2)
    (model_directory / "metadata.json").write_text(f"{document}\n", encoding="utf-8")
    return metadata


def fit(examples: Sequence[Example], hyperparameters: Hyperparameters) -> Pipeline:
    """Return a fitted pipeline from raw texts to probabilities over all labels."""
    vectorizer = TfidfVectorizer(
        analyzer="char",
        preprocessor=prepare,
        ngram_range=(hyperparameters.ngram_min, hyperparameters.ngram_max),
        max_features=hyperparameters.max_features,
        sublinear_tf=True,
        dtype=np.float32,
    )
    pipeline = make_pipeline(vectorizer, _classifier(examples, hyperparameters))
    pipeline.fit([example.text for example in examples], [example.label for example in examples])
    return pipeline


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


def _measure_channel(pipeline: Pipeline, directory: Path, trained_on: Sequence[Example]) -> dict[str, Metrics]:
    known = {example.text for example in trained_on}
    held_out = [example for example in read_channel(directory) if example.text not in known]
    if not held_out:
        raise DataError(f"{directory}: all its texts are in the training data too, so nothing can be measured")
    return measure(pipeline, held_out)


def _classifier(examples: Sequence[Example], hyperparameters: Hyperparameters) -> BaseEstimator:
    c = 1 / hyperparameters.regularization
    if hyperparameters.loss == "log_loss":
        return LogisticRegression(C=c, max_iter=_MAX_ITERATIONS, random_state=hyperparameters.seed)
    machine = LinearSVC(C=c, loss=hyperparameters.loss, max_iter=_MAX_ITERATIONS, random_state=hyperparameters.seed)
    rarest = min(Counter(example.label for example in examples).values())
    folds = StratifiedKFold(min(_CALIBRATION_FOLDS, rarest), shuffle=True, random_state=hyperparameters.seed)
    return CalibratedClassifierCV(machine, cv=folds, ensemble=False)


def _check_labels(examples: Sequence[Example], hyperparameters: Hyperparameters) -> None:
    texts_of = Counter(example.label for example in examples)
    if len(texts_of) < 2:
        raise DataError(f"all texts are labelled {next(iter(texts_of))!r}: at least two labels are needed")
    rare = sorted(label for label, count in texts_of.items() if count < 2)
    if rare and hyperparameters.loss != "log_loss":
        raise DataError(
            f"loss {hyperparameters.loss} is calibrated by cross-validation and needs two texts of each label, "
            f"but there is one of {', '.join(map(repr, rare))}: add texts or use log_loss"
        )


def _parse(arguments: Sequence[str] | None) -> tuple[argparse.Namespace, Hyperparameters]:
    environment = os.environ
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--train", type=Path, default=environment.get("SM_CHANNEL_TRAIN") or None, help="training data")
    parser.add_argument("--test", type=Path, default=environment.get("SM_CHANNEL_TEST") or None, help="held-out data")
    parser.add_argument("--model-dir", type=Path, default=environment.get("SM_MODEL_DIR") or None, help="for the model")
    options = {name: f"--{name.replace('_', '-')}" for name in ALLOWED}
    for name, default in asdict(Hyperparameters()).items():
        parser.add_argument(
            options[name], type=type(default), default=default, help=f"{ALLOWED[name]}; {default} when omitted"
        )
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
