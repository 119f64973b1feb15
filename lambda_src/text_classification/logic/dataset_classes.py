"""The texts of a data set by label and split, and the labels that cannot be learned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field

from text_classification.logic.dataset_pieces import SPLITS, Split
from text_classification.logic.dataset_split import split_class, texts_needed
from text_classification.logic.dataset_table import Text


@dataclass(kw_only=True, slots=True)
class Class:
    """The texts of one label, by split."""

    train: list[Text] = field(default_factory=list)
    validation: list[Text] = field(default_factory=list)
    test: list[Text] = field(default_factory=list)

    def of(self, split: Split | None) -> list[Text]:
        """Return the texts of a split; those that have none are for training until they are split."""
        match split:
            case "validation":
                return self.validation
            case "test":
                return self.test
            case _:
                return self.train

    def sizes(self) -> dict[str, int]:
        return {split: len(self.of(split)) for split in SPLITS}

    def texts(self) -> int:
        return sum(self.sizes().values())


@dataclass(kw_only=True, slots=True)
class Classes:
    """All texts that are kept.

    Args:
        by_label: In the order of the labels.
        needed: How many texts a label needs.
        too_small: Labels with fewer, and how many they have.
        left_out: Labels that only corrections have, and too few: one mistaken correction must not end trainings.
        untrained: Labels with no text to learn from, in given splits.
    """

    by_label: Mapping[str, Class]
    needed: int
    too_small: Mapping[str, int]
    left_out: Mapping[str, int]
    untrained: tuple[str, ...]

    def sizes(self) -> dict[str, int]:
        """Return how many texts each split has."""
        return {split: sum(len(each.of(split)) for each in self.by_label.values()) for split in SPLITS}

    def languages(self) -> dict[str, int]:
        """Return how many texts are in each language."""
        texts = (text for each in self.by_label.values() for split in SPLITS for text in each.of(split))
        return dict(sorted(Counter(text.language for text in texts).items()))


def classes(texts: Iterable[Text], *, given: Set[Split], seed: int, validation: float, test: float) -> Classes:
    """Split texts by label.

    Args:
        texts: Each once.
        given: The splits that the data set brings; the others are cut from what is for training.
        seed: Of the split.
        validation: Part of the texts, unless it is given.
        test: Part of the texts, unless it is given.
    """
    fractions = {"validation": 0.0 if "validation" in given else validation, "test": 0.0 if "test" in given else test}
    needed = texts_needed(**fractions)
    found: dict[str, Class] = {}
    for text in texts:
        found.setdefault(text.label, Class()).of(text.split).append(text)
    small = {label: each for label, each in sorted(found.items()) if len(each.train) < needed}
    left_out = {label: each for label, each in small.items() if _is_only_feedback(each)}
    untrained = tuple(label for label, each in small.items() if not each.train and label not in left_out)
    for label in found.keys() - small.keys():
        _split(found[label], seed=seed, **fractions)
    return Classes(
        by_label={label: each for label, each in sorted(found.items()) if label not in left_out},
        needed=needed,
        too_small={label: len(each.train) for label, each in small.items() if each.train and label not in left_out},
        left_out={label: each.texts() for label, each in left_out.items()},
        untrained=untrained,
    )


def _split(whole: Class, *, seed: int, validation: float, test: float) -> None:
    by_hash = {text.text_hash: text for text in whole.train}
    parts = split_class(by_hash, seed=seed, validation=validation, test=test)
    whole.train = [by_hash[text_hash] for text_hash in parts.train]
    whole.validation += [by_hash[text_hash] for text_hash in parts.validation]
    whole.test += [by_hash[text_hash] for text_hash in parts.test]


def _is_only_feedback(each: Class) -> bool:
    return all(text.feedback for split in SPLITS for text in each.of(split))
