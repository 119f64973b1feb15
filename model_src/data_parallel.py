"""Training the classifier on several hosts, each with a part of the texts: exact, not an average of models.

What one host alone would minimise is minimised here. The loss of a linear model is a sum over texts, and so are its
gradient and the product of its Hessian with a direction: each host adds up those of its own texts, the first host adds
up the hosts' and the penalty, and takes the steps of Newton's method (:mod:`newton`). The objective is convex and has
one minimum, so the model does not depend on how the texts were spread, but for rounding. This is how Spark LIBLINEAR
and MPI LIBLINEAR train on several machines [1, 2]. The vocabulary and its frequencies are sums, too
(:mod:`vocabulary`), and cross-validation has the folds that one host would have.

[1] Lin, Tsai, Lee, Lin: Large-scale Logistic Regression and Linear Support Vector Machines Using Spark. IEEE Big Data
    2014.
[2] Zhuang, Chin, Juan, Lin: Distributed Newton Methods for Regularized Logistic Regression. PAKDD 2015.

Weights, directions and gradients travel in single precision, 4 bytes for each feature and label; sums are in double
precision. The hinge loss has no gradient at its edge, so this does not apply to it: it is for one host.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from checkpoints import Scores
from classifier import TextClassifier
from fitting import Resumable, assemble, choose, folds, two_columns
from hosts import Array, Group
from hyperparameters import Hyperparameters
from learned_features import learn_features, scale
from newton import Floats, minimise
from scipy import sparse
from scipy.special import expit, log_softmax

LOSSES = ("log_loss", "squared_hinge")
"""Those that several hosts can minimise together."""

_STOP, _VALUE, _CURVATURE, _SCORES = range(4)
_NO_FOLD = -1
_TOLERANCE = 1e-4
_MOST_WEIGHTS = 16_000_000  # of which about ten are kept: labels that do not depend on each other come in blocks

Integers: TypeAlias = npt.NDArray[np.int64]
Weights: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """What a host has of the training texts, and what it knows of all of them.

    Args:
        texts: Those of this host.
        places: Their places among those of all hosts.
        y: The label of each text of all hosts.
        labels: Their names.
    """

    texts: Sequence[str]
    places: Integers
    y: Integers
    labels: tuple[str, ...]


def fit(
    share: Share, chosen: Hyperparameters, group: Group, resumable: Resumable = lambda scores: scores
) -> TextClassifier | None:
    """Return on the first host what :func:`fitting.fit` would of all texts together, and nothing on the others.

    Raises:
        HostError: A host is lost.
        ValueError: The loss is one that several hosts cannot minimise.
    """
    if chosen.loss not in LOSSES:
        raise ValueError(f"loss is {chosen.loss!r}: on several hosts it must be one of {', '.join(LOSSES)}")
    kinds, matrices = learn_features(share.texts, len(share.y), chosen, group)
    features = sparse.hstack(matrices, format="csr") * scale(kinds)
    host = _Host(features, share, chosen)
    if group.rank:
        host.answer(group)
        return None
    solver = _Solver(host, group)
    parts = folds(share.y, chosen.seed)

    def held_out_scores(regularization: float, fold: int) -> Scores:
        scores = solver.scores(solver.solve(regularization, fold), fold)
        return two_columns(scores[parts[fold]])

    regularization, sharpness = choose(share.y, chosen, resumable(held_out_scores))
    weights = solver.solve(regularization, _NO_FOLD)
    solver.stop()
    return assemble(
        share.labels,
        kinds,
        weights[:-1],
        weights[-1].astype(float),
        sharpness=sharpness,
        regularization=regularization,
    )


class _Host:
    """What each host does: add up over its own texts."""

    def __init__(self, features: sparse.csr_matrix, share: Share, chosen: Hyperparameters) -> None:
        self.features = features
        self.loss = chosen.loss
        self.total = len(share.y)
        self.columns = 1 if len(share.labels) == 2 else len(share.labels)
        self.joint = chosen.loss == "log_loss" and self.columns > 1
        self._y = share.y[share.places]
        self._places = share.places
        self._fold = np.full(len(share.y), _NO_FOLD)
        for number, part in enumerate(folds(share.y, chosen.seed)):
            self._fold[part] = number
        self._fold = self._fold[share.places]
        self._without: tuple[int, sparse.csr_matrix, Integers] = (_NO_FOLD, features, self._y)
        self._bends: Floats = np.zeros((0, 0))

    def answer(self, group: Group) -> None:
        """Do what the first host asks for, until it asks for nothing more."""
        while True:
            command, *weights = group.broadcast([])
            operation, fold, start = command.tolist()
            if operation == _STOP:
                return
            group.gather(self.do(operation, fold, start, weights[0]))

    def do(self, operation: int, fold: int, start: int, weights: Weights) -> list[Array]:
        """Return what the first host asks for.

        Args:
            operation: One of the constants above.
            fold: That is held out.
            start: The label of the first column.
            weights: Or a direction: a row a feature, the last one for the intercepts, and a column a label.
        """
        if operation == _SCORES:
            rows = np.flatnonzero(self._fold == fold)
            return [self._places[rows], self.features[rows] @ weights[:-1] + weights[-1]]
        if self._without[0] != fold:
            rows = np.flatnonzero(self._fold != fold)
            self._without = (fold, self.features[rows], self._y[rows])
        _, features, y = self._without
        scores = (features @ weights[:-1]).astype(float) + weights[-1]
        if operation == _CURVATURE:
            return [_back(features, self._bent(scores))]
        losses, slopes = self._slopes(scores, y, start)
        return [losses, _back(features, slopes)]

    def _slopes(self, scores: Scores, y: Integers, start: int) -> tuple[Floats, Scores]:
        """Return the losses, and how they change with each score; keep how the slopes change."""
        if self.joint:
            logarithms = log_softmax(scores, axis=1)
            rows = np.arange(len(y))
            self._bends = np.exp(logarithms)
            slopes = self._bends.copy()
            slopes[rows, y] -= 1
            return -logarithms[rows, y].sum(keepdims=True), slopes
        labels = np.array([1]) if self.columns == 1 else np.arange(start, start + scores.shape[1])
        signs = np.where(y[:, np.newaxis] == labels, 1.0, -1.0)
        margins = signs * scores
        if self.loss == "log_loss":
            wrong = expit(-margins)
            self._bends = wrong * (1 - wrong)
            return np.logaddexp(0, -margins).sum(axis=0), -signs * wrong
        short = np.maximum(1 - margins, 0)
        self._bends = np.where(short > 0, 2.0, 0.0)
        return (short**2).sum(axis=0), -2 * signs * short

    def _bent(self, scores: Scores) -> Scores:
        """Return how the slopes change when the scores change by these."""
        bent = self._bends * scores
        return bent - self._bends * bent.sum(axis=1, keepdims=True) if self.joint else bent


def _back(features: sparse.csr_matrix, slopes: Scores) -> Weights:
    """Return how a sum changes with each weight, given how it changes with each score."""
    single = slopes.astype(np.float32)
    return np.vstack([features.T @ single, single.sum(axis=0, dtype=float)]).astype(np.float32)


class _Solver:
    """What the first host does: add up over the hosts, and take the steps."""

    def __init__(self, host: _Host, group: Group) -> None:
        self._host = host
        self._group = group
        self._found = np.zeros((host.features.shape[1] + 1, host.columns), np.float32)
        self._found_with: dict[float, Weights] = {}

    def solve(self, regularization: float, fold: int) -> Weights:
        """Return the weights with the least loss and penalty, over all texts that are not in the fold.

        It starts from what was found last with this penalty, or else with another one, as these minima are near.
        """
        near = self._found_with.get(regularization, self._found)
        rows, columns = near.shape
        width = columns if self._host.joint else max(_MOST_WEIGHTS // rows, 1)
        blocks = []
        for start in range(0, columns, width):
            objective = _Objective(self, regularization, fold, start)
            begin = near[:, start : start + width].astype(float)
            blocks.append(minimise(objective, begin, tolerance=_TOLERANCE).astype(np.float32))
        self._found = self._found_with[regularization] = np.hstack(blocks)
        return self._found

    def scores(self, weights: Weights, fold: int) -> Scores:
        """Return a row for each text of all hosts, in which only the texts of the fold have scores."""
        scores = np.zeros((self._host.total, weights.shape[1]))
        for places, of_host in self.ask(_SCORES, fold, 0, weights):
            scores[places] = of_host
        return scores

    def stop(self) -> None:
        """Let the other hosts end."""
        self._group.broadcast([np.array([_STOP, _NO_FOLD, 0])])

    def ask(self, operation: int, fold: int, start: int, weights: Weights) -> list[list[Array]]:
        """Return what each host answers, this one included; all work at the same time."""
        self._group.broadcast([np.array([operation, fold, start]), weights])
        return self._group.gather(self._host.do(operation, fold, start, weights))

    @property
    def joint(self) -> bool:
        """Whether all labels have one function together, and not each its own."""
        return self._host.joint

    @property
    def intercept_is_penalised(self) -> bool:
        """LinearSVC's is, LogisticRegression's is not."""
        return self._host.loss != "log_loss"


class _Objective:
    """The loss over the texts of all hosts that are not in a fold, and the penalty."""

    def __init__(self, solver: _Solver, regularization: float, fold: int, start: int) -> None:
        self._solver = solver
        self._regularization = regularization
        self._fold = fold
        self._start = start

    def value(self, weights: Floats) -> tuple[Floats, Floats]:
        """Return the values and the gradient."""
        hosts = self._solver.ask(_VALUE, self._fold, self._start, weights.astype(np.float32))
        penalty = self._penalty(weights)
        losses = np.sum([host[0] for host in hosts], axis=0)
        gradient = np.sum([host[1] for host in hosts], axis=0, dtype=float)
        return losses + self.inner(penalty, weights) / 2, gradient + penalty

    def curvature(self, direction: Floats) -> Floats:
        """Return the product of ``direction`` and the Hessian."""
        hosts = self._solver.ask(_CURVATURE, self._fold, self._start, direction.astype(np.float32))
        product: Floats = np.sum([host[0] for host in hosts], axis=0, dtype=float) + self._penalty(direction)
        return product

    def inner(self, one: Floats, other: Floats) -> Floats:
        """Return the inner product, of each column unless all labels have one function together."""
        products: Floats = np.einsum("ij,ij->j", one, other)
        return products.sum(keepdims=True) if self._solver.joint else products

    def _penalty(self, weights: Floats) -> Floats:
        penalty = self._regularization * weights
        if not self._solver.intercept_is_penalised:
            penalty[-1] = 0
        return penalty
