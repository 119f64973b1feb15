"""What can be chosen for a training; ``hyperparameters.json`` says within what limits, and what is the default."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from choices import HyperparameterError, problems, read_properties

__all__ = ["LOSSES", "PROPERTIES", "HyperparameterError", "Hyperparameters"]

PROPERTIES = read_properties("hyperparameters.json")
"""The JSON schema of each hyperparameter."""

LOSSES: tuple[str, ...] = tuple(PROPERTIES["loss"]["enum"])


@dataclass(frozen=True, kw_only=True, slots=True)
class Hyperparameters:
    """The choices of one training. Omitted ones are as ``hyperparameters.json`` says.

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
    choices.HyperparameterError: loss is 'l2': must be one of log_loss, hinge, squared_hinge; \
ngram_min is 3: must not be above ngram_max, which is 2
    """

    ngram_min: int = PROPERTIES["ngram_min"]["default"]
    ngram_max: int = PROPERTIES["ngram_max"]["default"]
    word_ngram_max: int = PROPERTIES["word_ngram_max"]["default"]
    max_features: int = PROPERTIES["max_features"]["default"]
    regularization: float = PROPERTIES["regularization"]["default"]
    loss: str = PROPERTIES["loss"]["default"]
    text_features: bool = PROPERTIES["text_features"]["default"]
    seed: int = PROPERTIES["seed"]["default"]

    def __post_init__(self) -> None:
        if found := list(problems(PROPERTIES, asdict(self))):
            raise HyperparameterError("; ".join(found))
