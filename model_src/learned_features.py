"""What is learned about features from the texts of one host or several: vocabularies, frequencies, means."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from classifier import Kind, Numbers, character_ngrams, text_numbers, word_ngrams
from hosts import Group
from hyperparameters import Hyperparameters
from scipy import sparse
from vocabulary import learn

MANY = 1_000
"""Texts from which n-grams of a single text are left out, and one fold is enough to compare losses."""


def learn_features(
    texts: Sequence[str], total: int, chosen: Hyperparameters, group: Group
) -> tuple[list[Kind], list[sparse.csr_matrix]]:
    """Return each kind of features, and its matrix over the texts of this host.

    Args:
        texts: Those of this host.
        total: How many texts all hosts have.
        chosen: The choices of this training.
        group: The hosts that learn together.
    """
    analyzers: list[partial[list[str]]] = [partial(character_ngrams, chosen.ngram_min, chosen.ngram_max)]
    if chosen.word_ngram_max:
        analyzers.append(partial(word_ngrams, chosen.word_ngram_max))
    kinds: list[Kind] = []
    matrices = []
    for of in analyzers:
        ngrams, matrix = learn(
            of, texts, min_texts=2 if total >= MANY else 1, max_features=chosen.max_features, group=group
        )
        kinds.append(ngrams)
        matrices.append(matrix)
    if chosen.text_features:
        numbers = _learn_numbers(texts, total, group)
        kinds.append(numbers)
        matrices.append(sparse.csr_matrix(np.array([numbers.row(text)[1] for text in texts])))
    return kinds, matrices


def scale(kinds: Sequence[Kind]) -> np.float32:
    """Return what makes the rows of all kinds together about as long as those of one: LinearSVC's C depends on it."""
    return np.float32(len(kinds) ** -0.5)


def _learn_numbers(texts: Sequence[str], total: int, group: Group) -> Numbers:
    """Return the mean and the standard deviation of each number over the texts of all hosts."""
    rows = np.array([text_numbers(text) for text in texts], np.float64)
    (mean,) = group.broadcast([_mean(group.gather([rows.sum(axis=0)]), total)])
    (variance,) = group.broadcast([_mean(group.gather([((rows - mean) ** 2).sum(axis=0)]), total)])
    deviation = np.sqrt(variance)
    varies = deviation > 1e-6 * np.maximum(np.abs(mean), 1e-6)  # what is the same everywhere leaves a rounding error
    return Numbers(mean=mean.astype(np.float32), deviation=np.where(varies, deviation, 1).astype(np.float32))


def _mean(sums: Sequence[Sequence[np.typing.NDArray[np.float64]]], total: int) -> np.typing.NDArray[np.float64]:
    return np.sum([host[0] for host in sums], axis=0) / total if sums else np.empty(0)
