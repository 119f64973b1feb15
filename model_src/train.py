"""Train a text classifier: SageMaker script mode, or ``python train.py --train DIR --model-dir DIR``."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import joblib
import numpy as np
import sklearn
from channels import DataError, Example, read_channel
from features import prepare
from hyperparameters import LOSSES, HyperparameterError, Hyperparameters
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.svm import LinearSVC
from textprep import LANGUAGES

_CALIBRATION_FOLDS = 5
_LAST_RESORT_ITERATIONS = 1_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Metrics:
    """How well a model does on held-out texts, all from 0 to 1.

    Args:
        texts: How many texts were measured.
        accuracy: The part that got the right label.
        macro_f1: The mean over the labels that occur of each label's F1 score; predictions are over all labels.
    """

    texts: int
    accuracy: float
    macro_f1: float


def train(
    *,
    train_directory: Path,
    model_directory: Path,
    test_directory: Path | None = None,
    hyperparameters: Hyperparameters | None = None,
) -> dict[str, object]:
    """Train on a channel and write ``model.joblib`` and ``metadata.json`` into ``model_directory``.

    Args:
        train_directory: The channel, as :func:`channels.read_channel` reads it.
        model_directory: Made when it is not there.
        test_directory: Held-out texts to measure on, in the same form; those that are in the training data
            too are left out. Omitted, the model is not measured.
        hyperparameters: Omitted, all have their defaults.

    Returns:
        What is in ``metadata.json``. ``model_version`` follows from the data, hyperparameters, this code
        and scikit-learn's version, and from nothing else.

    Raises:
        DataError: A channel cannot be used, or has too few labels or texts of a label.
    """
    chosen = hyperparameters or Hyperparameters()
    examples = read_channel(train_directory)
    _check_labels(examples, chosen)
    pipeline = fit(examples, chosen)
    metadata: dict[str, object] = {
        "model_version": model_version(examples, chosen),
        "labels": [str(label) for label in pipeline.classes_],
        "hyperparameters": asdict(chosen),
        "texts": len(examples),
        "scikit_learn": sklearn.__version__,
        "metrics": {},
    }
    if test_directory:
        known = {example.text for example in examples}
        held_out = [example for example in read_channel(test_directory) if example.text not in known]
        metadata["metrics"] = {name: asdict(metrics) for name, metrics in measure(pipeline, held_out)}
    model_directory.mkdir(parents=True, exist_ok=True)
    joblib.dump(pipeline, model_directory / "model.joblib")
    text = json.dumps(metadata, ensure_ascii=False, indent=2)
    (model_directory / "metadata.json").write_text(f"{text}\n", encoding="utf-8")
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
    _speed_up(pipeline)
    return pipeline


def measure(pipeline: Pipeline, examples: Sequence[Example]) -> Iterator[tuple[str, Metrics]]:
    """Yield the metrics over all texts, named ``all``, and over those of each language that occurs."""
    predictions = pipeline.predict([example.text for example in examples])
    pairs = list(zip(examples, predictions, strict=True))
    for name in ("all", *LANGUAGES):
        chosen = [(example.label, label) for example, label in pairs if name in ("all", example.language)]
        if chosen:
            truth, predicted = zip(*chosen, strict=True)
            yield (
                name,
                Metrics(
                    texts=len(chosen),
                    accuracy=float(accuracy_score(truth, predicted)),
                    macro_f1=float(f1_score(truth, predicted, labels=sorted(set(truth)), average="macro")),
                ),
            )


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


def _classifier(examples: Sequence[Example], hyperparameters: Hyperparameters) -> BaseEstimator:
    c = 1 / hyperparameters.regularization
    if hyperparameters.loss == "log_loss":
        return LogisticRegression(C=c, max_iter=_LAST_RESORT_ITERATIONS, random_state=hyperparameters.seed)
    machine = LinearSVC(
        C=c, loss=hyperparameters.loss, max_iter=_LAST_RESORT_ITERATIONS, random_state=hyperparameters.seed
    )
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


def _speed_up(pipeline: Pipeline) -> None:
    """Store the coefficients in the order in which predicting reads them.

    A sparse row times the transposed coefficients copies the whole matrix for every call otherwise:
    112 ms a text with 77 labels and 2^18 features, against 0.5 ms.
    """
    classifier = pipeline[-1]
    if isinstance(classifier, CalibratedClassifierCV):
        (calibrated,) = classifier.calibrated_classifiers_
        classifier = calibrated.estimator
    classifier.coef_ = np.asfortranarray(classifier.coef_)


def _parse(arguments: Sequence[str] | None) -> tuple[argparse.Namespace, Hyperparameters]:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--train", type=Path, default=os.environ.get("SM_CHANNEL_TRAIN"), help="training channel")
    parser.add_argument("--test", type=Path, default=os.environ.get("SM_CHANNEL_TEST"), help="held-out channel")
    parser.add_argument("--model-dir", type=Path, default=os.environ.get("SM_MODEL_DIR"), help="where the model goes")
    names = {field.name: f"--{field.name.replace('_', '-')}" for field in fields(Hyperparameters)}
    defaults = asdict(Hyperparameters())
    for name, option in names.items():
        default = defaults[name]
        choices = f", one of {', '.join(LOSSES)}" if name == "loss" else ""
        parser.add_argument(option, type=type(default), default=default, help=f"default {default}{choices}")
    parsed, unknown = parser.parse_known_args(arguments)
    if unknown:
        parser.error(f"unknown: {' '.join(unknown)}; hyperparameters are {', '.join(names.values())}")
    for option, value in (("--train", parsed.train), ("--model-dir", parsed.model_dir)):
        if not value:
            parser.error(f"{option} is missing, and so is SageMaker's environment variable for it")
    try:
        return parsed, Hyperparameters(**{name: getattr(parsed, name) for name in names})
    except HyperparameterError as error:
        parser.error(str(error))


def main(arguments: Sequence[str] | None = None) -> int:
    """Train as the command line and SageMaker's environment say; return the exit code."""
    parsed, hyperparameters = _parse(arguments)
    try:
        metadata = train(
            train_directory=parsed.train,
            model_directory=parsed.model_dir,
            test_directory=parsed.test,
            hyperparameters=hyperparameters,
        )
    except DataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps(metadata, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
