"""What can be chosen for a training, and within what limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

LOSSES = ("log_loss", "hinge", "squared_hinge")
_RANGES = {
    "ngram_min": (1, 10),
    "ngram_max": (1, 10),
    "word_ngram_max": (0, 5),
    "max_features": (1, 2_000_000),
    "regularization": (1e-6, 1e6),
    "seed": (0, 2**32 - 1),
}


ALLOWED: Mapping[str, str] = MappingProxyType(
    {name: f"from {low} to {high}" for name, (low, high) in _RANGES.items()}
    | {
        "regularization": f"0 to choose it, or from {_RANGES['regularization'][0]} to {_RANGES['regularization'][1]}",
        "loss": f"one of {', '.join(LOSSES)}",
        "text_features": "true or false",
    }
)
"""What each hyperparameter may be, in words."""


class HyperparameterError(ValueError):
    """Hyperparameters that are not allowed; the message names all of them and what is allowed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Hyperparameters:
    """The choices of one training.

    Args:
        ngram_min: Characters of the shortest n-gram of characters that is a feature.
        ngram_max: Characters of the longest one, at least ``ngram_min``.
        word_ngram_max: Words of the longest n-gram of words that is a feature, where each Han character and
            punctuation mark is a word. 0 for no n-grams of words.
        max_features: How many n-grams of each of the two kinds are features at most: the most frequent ones.
        regularization: Weight of the L2 penalty on the coefficients against the sum of the losses of all
            texts. More of it fits the training data less closely. 0 to choose among three by cross-validation.
        loss: ``log_loss`` (logistic regression), or ``hinge`` and ``squared_hinge`` (support vector
            machines). All are calibrated, so that the scores of each are probabilities.
        text_features: Whether the numbers of :func:`textprep.text_features` are features too.
        seed: Of everything random. The same data, choices and code give the same model.

    Raises:
        HyperparameterError: A value is out of range; names all of them.

    >>> Hyperparameters(ngram_min=3, ngram_max=2, loss="l2")
    Traceback (most recent call last):
        ...
    hyperparameters.HyperparameterError: ngram_min is 3: must not be above ngram_max, which is 2; \
loss is 'l2': must be one of log_loss, hinge, squared_hinge
    """

    ngram_min: int = 1
    ngram_max: int = 4
    word_ngram_max: int = 2
    max_features: int = 150_000
    regularization: float = 0.0
    loss: str = "squared_hinge"
    text_features: bool = False
    seed: int = 20240601

    def __post_init__(self) -> None:
        problems = [
            f"{name} is {value}: must be {ALLOWED[name]}"
            for name, (low, high) in _RANGES.items()
            if not (low <= (value := getattr(self, name)) <= high or (name == "regularization" and value == 0))
        ]
        if self.ngram_min > self.ngram_max:
            problems.append(f"ngram_min is {self.ngram_min}: must not be above ngram_max, which is {self.ngram_max}")
        if self.loss not in LOSSES:
            problems.append(f"loss is {self.loss!r}: must be {ALLOWED['loss']}")
        if problems:
            raise HyperparameterError("; ".join(problems))
