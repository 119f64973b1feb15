"""How well a model does on held-out texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from channels import Example
from sklearn.metrics import accuracy_score, f1_score
from textprep import LANGUAGES


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


class Classifier(Protocol):
    """What can be measured."""

    def predict(self, texts: list[str], /) -> Sequence[str]:
        """Return the label of each text."""


def measure(classifier: Classifier, examples: Sequence[Example]) -> dict[str, Metrics]:
    """Return the metrics over all texts, named ``all``, and over those of each language that occurs."""
    measured = {}
    predictions = classifier.predict([example.text for example in examples])
    pairs = list(zip(examples, predictions, strict=True))
    for name in ("all", *LANGUAGES):
        chosen = [(example.label, label) for example, label in pairs if name in ("all", example.language)]
        if chosen:
            truth, predicted = zip(*chosen, strict=True)
            measured[name] = Metrics(
                texts=len(chosen),
                accuracy=float(accuracy_score(truth, predicted)),
                macro_f1=float(f1_score(truth, predicted, labels=sorted(set(truth)), average="macro")),
            )
    return measured


def metric_lines(measured: Mapping[str, Metrics], *, channel: str = "test") -> Iterator[str]:
    """Yield ``test:macro_f1=0.9`` and, for a language, ``test:zh:macro_f1=0.9``.

    SageMaker finds them with metric definitions such as ``test:macro_f1=([0-9.]+)``.

    Args:
        measured: What :func:`measure` returned.
        channel: Whose texts were measured.
    """
    for name, metrics in measured.items():
        prefix = channel if name == "all" else f"{channel}:{name}"
        yield f"{prefix}:accuracy={metrics.accuracy:.6f}"
        yield f"{prefix}:macro_f1={metrics.macro_f1:.6f}"
