"""Training the classifier: features, the linear model and how strongly it is regularised, and its calibration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from classifier import Kind, Ngrams, Numbers, TextClassifier, character_ngrams, softmax, text_numbers, word_ngrams
from hyperparameters import Hyperparameters
from scipy import sparse
from scipy.optimize import minimize_scalar
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.svm import LinearSVC

_CANDIDATES = {"log_loss": (1 / 3, 0.1, 1 / 30), "hinge": (1 / 0.3, 1.0, 1 / 3), "squared_hinge": (1 / 0.3, 1.0, 1 / 3)}
_FOLDS = 3
_MANY = 1_000  # texts from which n-grams of a single text are left out, and one fold is enough to compare losses
_MAX_ITERATIONS = 10_000

Scores: TypeAlias = npt.NDArray[np.float64]


def fit(texts: Sequence[str], labels: Sequence[str], chosen: Hyperparameters) -> TextClassifier:
    """Return a classifier of at least two labels.

    The regularization, unless it is given, and the sharpness are those with the least log loss on texts that
    are held out in turn. The only text of a label is never held out.
    """
    names = tuple(sorted(set(labels)))
    place = {name: number for number, name in enumerate(names)}
    y = np.array([place[label] for label in labels])
    kinds, matrices = zip(*_features(texts, chosen), strict=True)
    features = sparse.hstack(matrices, format="csr") * _scale(kinds)
    regularization, sharpness = _choose(features, y, chosen)
    weights, intercepts = _solve(features, y, chosen, regularization)
    ends = np.cumsum([matrix.shape[1] for matrix in matrices])[:-1]
    return TextClassifier(
        labels=names,
        kinds=kinds,
        weights=tuple((part * _scale(kinds)).astype(np.float16) for part in np.split(weights, ends)),
        intercepts=intercepts,
        sharpness=sharpness,
        regularization=regularization,
    )


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


def _features(texts: Sequence[str], chosen: Hyperparameters) -> Iterator[tuple[Kind, sparse.csr_matrix]]:
    """Yield each kind of features with its matrix over ``texts``."""
    analyzers: list[partial[list[str]]] = [partial(character_ngrams, chosen.ngram_min, chosen.ngram_max)]
    if chosen.word_ngram_max:
        analyzers.append(partial(word_ngrams, chosen.word_ngram_max))
    for analyzer in analyzers:
        vectorizer = TfidfVectorizer(
            analyzer=analyzer,
            min_df=2 if len(texts) >= _MANY else 1,
            max_features=chosen.max_features,
            sublinear_tf=True,
            dtype=np.float32,
        )
        matrix = vectorizer.fit_transform(texts)
        columns = {ngram: column for column, ngram in enumerate(vectorizer.get_feature_names_out())}
        yield Ngrams(of=analyzer, columns=columns, idf=vectorizer.idf_.astype(np.float32)), matrix
    if chosen.text_features:
        rows = np.array([text_numbers(text) for text in texts])
        deviation = rows.std(axis=0)
        numbers = Numbers(mean=rows.mean(axis=0), deviation=np.where(deviation > 0, deviation, np.float32(1)))
        yield numbers, sparse.csr_matrix(np.array([numbers.row(text)[1] for text in texts]))


def _scale(kinds: Sequence[Kind]) -> np.float32:
    """Return what makes the rows of all kinds together about as long as those of one: LinearSVC's C depends on it."""
    return np.float32(len(kinds) ** -0.5)


def _choose(features: sparse.csr_matrix, y: npt.NDArray[np.int64], chosen: Hyperparameters) -> tuple[float, float]:
    """Return the regularization and the sharpness. Of many texts, those of one fold decide the regularization."""
    candidates = (chosen.regularization,) if chosen.regularization else _CANDIDATES[chosen.loss]
    counts = np.bincount(y)
    testable = np.flatnonzero(counts[y] > 1)
    if not len(testable):
        return candidates[len(candidates) // 2], 1.0
    folds = StratifiedKFold(min(_FOLDS, counts[counts > 1].min()), shuffle=True, random_state=chosen.seed)
    parts = [testable[part] for _, part in folds.split(testable, y[testable])]
    deciding = 1 if len(y) >= _MANY else len(parts)

    def held_out_scores(regularization: float, parts: Sequence[npt.NDArray[np.int64]]) -> Iterator[Scores]:
        for part in parts:
            others = np.setdiff1d(np.arange(len(y)), part)
            weights, intercepts = _solve(features[others], y[others], chosen, regularization)
            yield features[part] @ weights + intercepts

    scores = {candidate: [*held_out_scores(candidate, parts[:deciding])] for candidate in candidates}
    truth = y[np.concatenate(parts[:deciding])]
    regularization = min(candidates, key=lambda candidate: best_sharpness(np.vstack(scores[candidate]), truth)[0])
    all_scores = [*scores[regularization], *held_out_scores(regularization, parts[deciding:])]
    return regularization, best_sharpness(np.vstack(all_scores), y[np.concatenate(parts)])[1]


def _solve(
    features: sparse.csr_matrix, y: npt.NDArray[np.int64], chosen: Hyperparameters, regularization: float
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """Return the weights, a row a feature and a column a label, and the intercepts."""
    common = {"C": 1 / regularization, "max_iter": _MAX_ITERATIONS, "random_state": chosen.seed}
    log_loss = chosen.loss == "log_loss"
    model = LogisticRegression(**common) if log_loss else LinearSVC(loss=chosen.loss, **common)
    model.fit(features, y)
    weights, intercepts = model.coef_.T.astype(np.float32), np.asarray(model.intercept_, dtype=float)
    if weights.shape[1] == 1:  # of two labels scikit-learn keeps the second
        return np.hstack([-weights, weights]), np.concatenate([-intercepts, intercepts])
    return weights, intercepts
