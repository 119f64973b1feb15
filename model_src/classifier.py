"""From texts to probabilities, by the n-grams of their characters and words and a linear model.

Travels in the model archive: the trained model refers to it. :mod:`fitting` trains; what is here needs NumPy alone.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
from features import prepare
from textprep import HAN, text_features

Floats: TypeAlias = npt.NDArray[np.float32]
Row: TypeAlias = tuple[npt.NDArray[np.int32], Floats]
"""What a text has of one kind of feature: their columns, each once, and their values."""

_WORD = re.compile(rf"[{HAN}]|[^\W_{HAN}]+(?:'[^\W_{HAN}]+)?|[^\w\s]|_")
_FARTHEST = 3.0


def character_ngrams(shortest: int, longest: int, text: str) -> list[str]:
    """Return the runs of ``shortest`` to ``longest`` characters, the same one as often as it occurs.

    >>> character_ngrams(1, 2, " Ab ")
    ['a', 'b', 'ab']
    """
    prepared = prepare(text)
    sizes = range(shortest, longest + 1)
    return [prepared[start : start + size] for size in sizes for start in range(len(prepared) - size + 1)]


def word_ngrams(longest: int, text: str) -> list[str]:
    """Return the runs of up to ``longest`` words, where each Han character and punctuation mark is a word.

    >>> word_ngrams(2, "Don't 退货!")
    ["don't", '退', '货', '!', "don't 退", '退 货', '货 !']
    """
    words = _WORD.findall(prepare(text))
    sizes = range(1, longest + 1)
    return [" ".join(words[start : start + size]) for size in sizes for start in range(len(words) - size + 1)]


def text_numbers(text: str) -> Floats:
    """Return the values of :func:`textprep.text_features`, in their order."""
    return np.fromiter(text_features(text).values(), np.float32)


class Kind(Protocol):
    """One kind of features."""

    @property
    def width(self) -> int:
        """How many features there are."""

    def row(self, text: str) -> Row:
        """Return the features that ``text`` has."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ngrams:
    """Tf-idf with logarithmic counts, all of a text's together of length 1.

    The same numbers as scikit-learn's ``TfidfVectorizer``, in a fraction of its time for one text.

    Args:
        of: Returns a text's n-grams.
        columns: Those that are features, with their columns.
        idf: The weight of each column.
    """

    of: Callable[[str], list[str]]
    columns: Mapping[str, int]
    idf: Floats

    @property
    def width(self) -> int:
        """How many n-grams are features."""
        return len(self.columns)

    def row(self, text: str) -> Row:
        """Return the features that ``text`` has: none if all its n-grams are unknown."""
        counts = Counter(map(self.columns.get, self.of(text)))
        counts.pop(None, None)
        columns = np.fromiter((column for column in counts if column is not None), np.int32, len(counts))
        values = (np.log(np.fromiter(counts.values(), np.float32, len(counts))) + 1) * self.idf[columns]
        return columns, values / max(float(np.sqrt(values @ values)), 1e-12)


@dataclass(frozen=True, kw_only=True, slots=True)
class Numbers:
    """A text's numbers, standardised, and made small enough not to outweigh its n-grams.

    Args:
        mean: Of each number over the training texts.
        deviation: Its standard deviation there, or 1 where that is 0.
    """

    mean: Floats
    deviation: Floats

    @property
    def width(self) -> int:
        """How many numbers there are."""
        return len(self.mean)

    def row(self, text: str) -> Row:
        """Return all numbers; one farther than three deviations from the mean counts as three."""
        standardised = ((text_numbers(text) - self.mean) / self.deviation).clip(-_FARTHEST, _FARTHEST)
        return np.arange(len(self.mean), dtype=np.int32), (standardised / len(self.mean) ** 0.5).astype(np.float32)


@dataclass(frozen=True, kw_only=True, slots=True)
class TextClassifier:
    """A trained model.

    Args:
        labels: In the order of the probabilities.
        kinds: Of features.
        weights: For each kind, a row a feature and a column a label: only the rows of a text's features are
            read. In half precision, which halves the archive and changes no score by more than a thousandth.
        intercepts: One for each label.
        sharpness: The scores are multiplied by it before the softmax: the inverse of a temperature.
        regularization: What it was trained with, whether it was given or chosen.
    """

    labels: tuple[str, ...]
    kinds: tuple[Kind, ...]
    weights: tuple[npt.NDArray[np.float16], ...]
    intercepts: npt.NDArray[np.float64]
    sharpness: float
    regularization: float

    def predict(self, texts: Sequence[str]) -> list[str]:
        """Return the most probable label of each text."""
        return [self.labels[best] for best in self.predict_proba(texts).argmax(axis=1)]

    def predict_proba(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """Return a row for each text: the probabilities of all labels, which sum to 1."""
        scores = np.empty((len(texts), len(self.labels)))
        for number, text in enumerate(texts):
            scores[number] = self._scores(text)
        return softmax(self.sharpness * scores)

    def _scores(self, text: str) -> npt.NDArray[np.float64]:
        scores = self.intercepts
        for kind, weights in zip(self.kinds, self.weights, strict=True):
            columns, values = kind.row(text)
            scores = scores + values @ weights[columns].astype(np.float32)
        return scores


def softmax(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return each row's softmax."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    probabilities: npt.NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return probabilities
