"""How right predictions are, label by label: also where a label was never learned or an answer is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelScores:
    """How well one label is told from the others, all but the support from 0 to 1.

    Args:
        precision: The part of the texts that got the label that have it; 0 when none got it.
        recall: The part of the texts that have the label that got it; 0 when none has it.
        f1: The harmonic mean of both; 0 when both are.
        support: How many texts have the label.
    """

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """How right predictions are.

    Args:
        texts: How many texts there were.
        unanswered: How many got no label: they count as wrong, and are in no column of the matrix.
        accuracy: The part that got the right label.
        macro_f1: The mean F1 score of the labels that texts have.
        labels: All that texts have or got, in alphabetical order.
        per_label: Their scores, in that order.
        matrix: A row a label that texts have, a column a label that they got, in that order: how many.
    """

    texts: int
    unanswered: int
    accuracy: float
    macro_f1: float
    labels: tuple[str, ...]
    per_label: tuple[LabelScores, ...]
    matrix: tuple[tuple[int, ...], ...]


def judge(truth: Sequence[str], predicted: Sequence[str | None]) -> Judged:
    """Compare the labels that texts have with those that they got; ``None`` is no answer.

    >>> judged = judge(["a", "a", "b"], ["a", "c", None])
    >>> judged.labels, judged.matrix, judged.unanswered
    (('a', 'b', 'c'), ((1, 0, 1), (0, 0, 0), (0, 0, 0)), 1)
    >>> round(judged.accuracy, 3), round(judged.macro_f1, 3)
    (0.333, 0.333)
    """
    pairs = Counter(zip(truth, predicted, strict=True))
    has, got = Counter(truth), Counter(predicted)
    labels = tuple(sorted({*truth, *(label for label in predicted if label is not None)}))
    scores = tuple(_scores(pairs[label, label], has[label], got[label]) for label in labels)
    occurring = [each.f1 for each in scores if each.support]
    return Judged(
        texts=len(truth),
        unanswered=got[None],
        accuracy=sum(pairs[label, label] for label in labels) / len(truth) if truth else 0.0,
        macro_f1=sum(occurring) / len(occurring) if occurring else 0.0,
        labels=labels,
        per_label=scores,
        matrix=tuple(tuple(pairs[row, column] for column in labels) for row in labels),
    )


def _scores(right: int, has: int, got: int) -> LabelScores:
    return LabelScores(
        precision=right / got if got else 0.0,
        recall=right / has if has else 0.0,
        f1=2 * right / (has + got) if has + got else 0.0,
        support=has,
    )
