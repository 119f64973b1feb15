"""The default classifier's scores on whole data sets: minutes of training, so ``make bench-classifiers`` runs it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.benchmarks.classifiers import BANKING77, Data, banking, mail, measure, ours, reviews

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


@pytest.mark.parametrize(("read", "more_than"), [(banking, 0.913), (reviews, 0.862), (mail, 0.989)])
def test_the_default_does_well_on_held_out_texts_in_a_small_archive(
    read: Callable[[], Data | None], more_than: float
) -> None:
    data = read()
    if data is None:
        pytest.skip(f"there is no {BANKING77 / 'train.csv'}")
    measured = measure(ours(), data)
    assert measured.macro_f1 > more_than
    assert measured.megabytes < 10
