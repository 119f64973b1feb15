"""Training the classifier on one host: the linear model, how strongly it is regularised, and its calibration.

:mod:`data_parallel` does the same on several hosts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from checkpoints import HeldOutScores, Scores
from classifier import Kind, TextClassifier, softmax
from hosts import Alone
from hyperparameters import Hyperparameters
from learned_features import MANY, learn_features, scale
from scipy import sparse
from scipy.optimize import minimize_scalar
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.svm import LinearSVC

CANDIDATES = {"log_loss": (1 / 3, 0.1, 1 / 30), "hinge": (1 / 0.3, 1.0, 1 / 3), "squared_hinge": (1 / 0.3, 1.0, 1 / 3)}
"""The regularizations that cross-validation chooses among, for each loss."""

_FOLDS = 3
_MAX_ITERATIONS = 10_000

Resumable: TypeAlias = Callable[[HeldOutScores], HeldOutScores]
"""What makes scores that were found be found again after an interruption."""


def fit(
    texts: Sequence[str], labels: Sequence[str], chosen: Hyperparameters, resumable: Resumable = lambda scores: scores
) -> TextClassifier:
    """Return a classifier of at least two labels.

    The regularization, unless it is given, and the sharpness are those with the least log loss on texts that
    are held out in turn. The only text of a label is never held out.
    """
    names = tuple(sorted(set(labels)))
    place = {name: number for number, name in enumerate(names)}
    y = np.array([place[label] for label in labels])
    kinds, matrices = learn_features(texts, len(texts), chosen, Alone())
    features = sparse.hstack(matrices, format="csr") * scale(kinds)
    parts = folds(y, chosen.seed)

    def held_out_scores(regularization: float, fold: int) -> Scores:
        others = np.setdiff1d(np.arange(len(y)), parts[fold])
        weights, intercepts = _solve(features[others], y[others], chosen, regularization)
        return two_columns(features[parts[fold]] @ weights + intercepts)

    regularization, sharpness = choose(y, chosen, resumable(held_out_scores))
    weights, intercepts = _solve(features, y, chosen, regularization)
    return assemble(names, kinds, weights, intercepts, sharpness=sharpness, regularization=regularization)


def assemble(
    labels: tuple[str, ...],
    kinds: Sequence[Kind],
    weights: npt.NDArray[np.float32],
    intercepts: npt.NDArray[np.float64],
    *,
    sharpness: float,
    regularization: float,
) -> TextClassifier:
    """Return the classifier that has these weights, a row a feature of all kinds together and a column a label."""
    if weights.shape[1] == 1:  # of two labels the second one's are enough
        weights, intercepts = np.hstack([-weights, weights]), np.concatenate([-intercepts, intercepts])
    ends = np.cumsum([kind.width for kind in kinds])[:-1]
    return TextClassifier(
        labels=labels,
        kinds=tuple(kinds),
        weights=tuple((part * scale(kinds)).astype(np.float16) for part in np.split(weights, ends)),
        intercepts=intercepts,
        sharpness=sharpness,
        regularization=regularization,
    )


def folds(y: npt.NDArray[np.int64], seed: int) -> list[npt.NDArray[np.int64]]:
    """Return the texts that are held out in turn; none if every label has one text only."""
    counts = np.bincount(y)
    testable = np.flatnonzero(counts[y] > 1)
    if not len(testable):
        return []
    splits = StratifiedKFold(min(_FOLDS, counts[counts > 1].min()), shuffle=True, random_state=seed)
    return [testable[part] for _, part in splits.split(testable, y[testable])]


def choose(y: npt.NDArray[np.int64], chosen: Hyperparameters, held_out_scores: HeldOutScores) -> tuple[float, float]:
    """Return the regularization and the sharpness. Of many texts, those of one fold decide the regularization.

    Args:
        y: The label of each text.
        chosen: The choices of this training.
        held_out_scores: Trains without a fold and returns the scores of its texts, a column a label.
    """
    candidates = (chosen.regularization,) if chosen.regularization else CANDIDATES[chosen.loss]
    parts = folds(y, chosen.seed)
    if not parts:
        return candidates[len(candidates) // 2], 1.0
    deciding = 1 if len(y) >= MANY else len(parts)
    scores = {candidate: [held_out_scores(candidate, fold) for fold in range(deciding)] for candidate in candidates}
    truth = y[np.concatenate(parts[:deciding])]
    regularization = min(candidates, key=lambda candidate: best_sharpness(np.vstack(scores[candidate]), truth)[0])
    others = [held_out_scores(regularization, fold) for fold in range(deciding, len(parts))]
    all_scores = np.vstack([*scores[regularization], *others])
    return regularization, best_sharpness(all_scores, y[np.concatenate(parts)])[1]


def best_sharpness(scores: Scores, y: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Return the least log loss of the labels ``y`` and the sharpness that has it, for scores of held-out texts.

    Were the log loss of the labels themselves taken, few texts, which are often all told apart, would make the
    model infinitely sure. Laplace's rule of succession says what n right answers are worth: the next one is
    right with (n + 1) / (n + 2). So that is the probability that each label is given, and others share the rest.
    """
    n, labels = scores.shape
    wanted = np.full_like(scores, 1 / (n + 2) / (labels - 1))
    wanted[np.arange(n), y] = (n + 1) / (n + 2)

    def loss(logarithm: float) -> float:
        probabilities = softmax(np.exp(logarithm) * scores)
        return float(-np.mean(np.sum(wanted * np.log(probabilities.clip(1e-300)), axis=1)))

    best = minimize_scalar(loss, bounds=(-5, 5), method="bounded")
    return float(best.fun), float(np.exp(best.x))


def _solve(
    features: sparse.csr_matrix, y: npt.NDArray[np.int64], chosen: Hyperparameters, regularization: float
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """Return the weights, a row a feature and a column a label, and the intercepts; of two labels, the second's."""
    common = {"C": 1 / regularization, "max_iter": _MAX_ITERATIONS, "random_state": chosen.seed}
    log_loss = chosen.loss == "log_loss"
    model = LogisticRegression(**common) if log_loss else LinearSVC(loss=chosen.loss, **common)
    model.fit(features, y)
    return model.coef_.T.astype(np.float32), np.asarray(model.intercept_, dtype=float)


def two_columns(scores: Scores) -> Scores:
    """Return scores with a column for each label, where those of the second of two labels were enough."""
    return np.hstack([-scores, scores]) if scores.shape[1] == 1 else scores
