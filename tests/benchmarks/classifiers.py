"""Print what each part of the default classifier brings, on three data sets, measured in one run on one core.

``make bench-classifiers`` runs it, for many minutes. Scores repeat exactly; of times, trust the ratios. The results of
a run stand in docs/classifier.md.
"""

from __future__ import annotations

import csv
import gzip
import io
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import joblib
import numpy as np
import numpy.typing as npt
from features import prepare
from fitting import fit
from hyperparameters import Hyperparameters
from rich.console import Console
from rich.table import Table
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, log_loss
from sklearn.pipeline import make_pipeline

from sm_local.datasets import Dataset, LabelledText, chinese_reviews, english_mail, split, without_repeats

ROOT = Path(__file__).parents[2]
BANKING77 = Path(os.environ.get("BANKING77", ROOT.parent / "shared" / "data" / "banking77"))
"""PolyAI's data set: ``train.csv`` and ``test.csv`` with the columns ``text`` and ``category``."""

TIMED_TEXTS = 400
_BINS = 15


class Classifier(Protocol):
    def predict_proba(self, texts: Sequence[str], /) -> npt.NDArray[np.float64]: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Data:
    name: str
    train: Sequence[LabelledText]
    held_out: Sequence[LabelledText]


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    macro_f1: float
    log_loss: float
    calibration_error: float
    megabytes: float
    milliseconds: float
    training_seconds: float


def former_default(texts: Sequence[str], labels: Sequence[str]) -> Classifier:
    """Train what was the default up to version 0.1."""
    vectorizer = TfidfVectorizer(
        analyzer="char",
        preprocessor=prepare,
        ngram_range=(1, 3),
        max_features=100_000,
        sublinear_tf=True,
        dtype=np.float32,
    )
    pipeline: Classifier = make_pipeline(vectorizer, LogisticRegression(C=5, max_iter=10_000)).fit(texts, labels)
    return pipeline


def ours(**choices: object) -> Callable[[Sequence[str], Sequence[str]], Classifier]:
    chosen = Hyperparameters(**choices)  # type: ignore[arg-type]
    return lambda texts, labels: fit(texts, labels, chosen)


CLASSIFIERS: dict[str, Callable[[Sequence[str], Sequence[str]], Classifier]] = {
    "the default: characters 1-4, words 1-2, squared hinge": ours(),
    "the former default: characters 1-3, log loss": former_default,
    "characters 1-3, squared hinge": ours(ngram_max=3, word_ngram_max=0),
    "characters 1-4, squared hinge": ours(word_ngram_max=0),
    "characters 1-3, words 1-2, squared hinge": ours(ngram_max=3),
    "the default with the text's numbers": ours(text_features=True),
    "the default with log loss": ours(loss="log_loss"),
}


def banking() -> Data | None:
    """Return Banking77 in its own split, where it is there."""
    if not (BANKING77 / "train.csv").is_file():
        return None
    parts = []
    for name in ("train.csv", "test.csv"):
        with (BANKING77 / name).open(encoding="utf-8", newline="") as lines:
            parts.append([LabelledText(text=row["text"], label=row["category"]) for row in csv.DictReader(lines)])
    return Data(name="Banking77", train=parts[0], held_out=parts[1])


def reviews() -> Data:
    return _split("Chinese reviews", chinese_reviews())


def mail() -> Data:
    return _split("English mail", english_mail(ROOT))


DATA_SETS = {"banking": banking, "reviews": reviews, "mail": mail}


def measure(train: Callable[[Sequence[str], Sequence[str]], Classifier], data: Data) -> Measured:
    """Train and measure in this process; times are its CPU times, of a text the median."""
    labels = sorted({text.label for text in data.train})
    began = time.process_time()
    classifier = train([text.text for text in data.train], [text.label for text in data.train])
    training_seconds = time.process_time() - began
    file = io.BytesIO()
    joblib.dump(classifier, file)
    file.seek(0)
    classifier = joblib.load(file)
    texts = [text.text for text in data.held_out]
    truth = np.array([labels.index(text.label) for text in data.held_out])
    probabilities = classifier.predict_proba(texts)
    milliseconds = []
    for text in texts[:TIMED_TEXTS]:
        began = time.process_time()
        classifier.predict_proba([text])
        milliseconds.append((time.process_time() - began) * 1000)
    return Measured(
        macro_f1=float(f1_score(truth, probabilities.argmax(axis=1), average="macro")),
        log_loss=float(log_loss(truth, probabilities, labels=range(len(labels)))),
        calibration_error=calibration_error(probabilities, truth),
        megabytes=len(gzip.compress(file.getvalue())) / 1e6,
        milliseconds=float(np.median(milliseconds)),
        training_seconds=training_seconds,
    )


def calibration_error(probabilities: npt.NDArray[np.float64], truth: npt.NDArray[np.int64]) -> float:
    """Return the expected difference between a score and how often such scores are right, in 15 equal bins."""
    scores = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    bins = np.minimum((scores * _BINS).astype(int), _BINS - 1)
    gaps = [abs(right[bins == n].mean() - scores[bins == n].mean()) * (bins == n).mean() for n in np.unique(bins)]
    return float(sum(gaps))


def main() -> None:
    """Measure and print a table for each data set, or for those that are named."""
    console = Console(width=120)
    names = sys.argv[1:] or list(DATA_SETS)
    for chosen in names:
        data = DATA_SETS[chosen]()
        if data is None:
            console.print(
                f"Banking77 is skipped: there is no {BANKING77 / 'train.csv'}. BANKING77 may name its folder."
            )
            continue
        table = Table(title=f"{data.name}: {len(data.train):,} texts, held out {len(data.held_out):,}")
        for column in ("", "macro-F1", "log loss", "ECE", "MB", "ms a text", "training s"):
            table.add_column(column, justify="right" if column else "left", no_wrap=True)
        for name, train in CLASSIFIERS.items():
            row = measure(train, data)
            console.print(f"{data.name}: {name}: {row}", soft_wrap=True, highlight=False)  # the whole run takes long
            table.add_row(
                name,
                f"{row.macro_f1:.4f}",
                f"{row.log_loss:.3f}",
                f"{row.calibration_error:.3f}",
                f"{row.megabytes:.1f}",
                f"{row.milliseconds:.2f}",
                f"{row.training_seconds:.0f}",
            )
        console.print(table)


def _split(name: str, dataset: Dataset) -> Data:
    train, held_out = split(without_repeats(dataset.read()))
    return Data(name=name, train=train, held_out=held_out)


if __name__ == "__main__":
    main()
