"""Splits: by seed and text alone, in each class by itself."""

from __future__ import annotations

import random
from collections import Counter
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from text_classification.logic.dataset_split import split_class, spread

from tests.unit.lambda_src.training_world import json_lines, texts, world_in_memory

HASHES = st.sets(st.binary(min_size=16, max_size=16), min_size=3, max_size=200)
FRACTION = st.floats(0.01, 0.4)


@given(hashes=HASHES, seed=st.integers(0, 2**32 - 1), validation=FRACTION, test=FRACTION)
def test_every_text_is_in_one_split_and_every_split_has_one(
    hashes: set[bytes], seed: int, validation: float, test: float
) -> None:
    found = split_class(hashes, seed=seed, validation=validation, test=test)

    assert sorted([*found.train, *found.validation, *found.test]) == sorted(hashes)
    assert found.train
    assert found.validation
    assert found.test
    if len(hashes) >= 10:
        assert abs(len(found.test) - test * len(hashes)) <= 1
        assert abs(len(found.validation) - validation * len(hashes)) <= 1


@given(hashes=HASHES, seed=st.integers(0, 2**32 - 1), order=st.randoms(use_true_random=False))
def test_the_order_of_the_texts_does_not_matter(hashes: set[bytes], seed: int, order: random.Random) -> None:
    shuffled = sorted(hashes)
    order.shuffle(shuffled)

    assert split_class(hashes, seed=seed, validation=0.2, test=0.1) == split_class(
        shuffled, seed=seed, validation=0.2, test=0.1
    )


def test_another_seed_is_another_split() -> None:
    hashes = [index.to_bytes(16) for index in range(100)]

    assert set(split_class(hashes, seed=1, validation=0.1, test=0.1).test) != set(
        split_class(hashes, seed=2, validation=0.1, test=0.1).test
    )


def test_nearly_all_texts_stay_in_their_split_when_the_data_set_grows() -> None:
    hashes = [sha256(str(number).encode()).digest() for number in range(11_000)]
    before = split_class(hashes[:10_000], seed=1, validation=0.1, test=0.1)
    after = split_class(hashes, seed=1, validation=0.1, test=0.1)

    assert len(set(before.train) & set(after.test)) < 30
    assert len(set(before.test) & set(after.test)) > 950
    assert not set(before.test) & set(after.validation)


def test_too_few_texts_are_an_error() -> None:
    with pytest.raises(ValueError, match="2 texts: at least 3 are needed"):
        split_class([b"a", b"b"], seed=1, validation=0.1, test=0.1)
    assert len(split_class([b"a"], seed=1, validation=0, test=0).train) == 1


@given(classes=st.lists(st.integers(0, 30), max_size=5), shards=st.integers(1, 4))
def test_shards_are_even_also_in_each_class(classes: list[int], shards: int) -> None:
    members = [[bytes([label, index]) for index in range(size)] for label, size in enumerate(classes)]
    found = spread(members, shards)

    for group in [[each for member in members for each in member], *members]:
        sizes = Counter(found[each] for each in group)
        assert max(sizes.values(), default=0) - min((sizes[shard] for shard in range(shards)), default=0) <= 1


@settings(max_examples=15, deadline=None)
@given(order=st.randoms(use_true_random=False), part_bytes=st.integers(60, 2_000), objects=st.integers(1, 3))
def test_a_data_set_is_split_the_same_however_rows_and_parts_lie(
    order: random.Random, part_bytes: int, objects: int
) -> None:
    rows = [*texts("good", 12).items(), *texts("spam", 7).items(), *texts("很好", 3).items()]

    def split(*, shuffled: bool) -> tuple[object, ...]:
        with world_in_memory() as world:
            mine = list(rows)
            if shuffled:
                order.shuffle(mine)
                world.part_bytes = part_bytes
            count = objects if shuffled else 1
            for number in range(count):
                world.put(f"datasets/d/{number}.jsonl", json_lines(dict(mine[number::count])))
            combined = world.check(world.plan(instance_count=2), reverse=shuffled)
            keys = (
                "train/shard-00000.jsonl",
                "train/shard-00001.jsonl",
                "validation/validation.jsonl",
                "test/test.jsonl",
            )
            found = [sorted(row["text"] for row in world.rows(f"trainings/t-1/{key}")) for key in keys]
            return combined["dataset_hash"], *found

    first, second = split(shuffled=False), split(shuffled=True)
    assert first == second
    together = [text for part in first[1:] for text in part]  # type: ignore[attr-defined]
    assert sorted(together) == sorted(text for text, _ in rows)
