"""Statistics are those of the documentation.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html
"""

from __future__ import annotations

import pytest

from sm_local.cloudwatch.statistics import Sample, percentile, statistic

_ONE_TO_TEN = [Sample.of(0, value) for value in range(1, 11)]
_SET = Sample(0, count=4, total=20, minimum=1, maximum=9)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("SampleCount", 14), ("Sum", 75), ("Average", 75 / 14), ("Minimum", 1), ("Maximum", 10)],
)
def test_the_basic_statistics_take_values_and_statistic_sets(name: str, expected: float) -> None:
    assert statistic(name)([*_ONE_TO_TEN, _SET]) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("p0", 1),
        ("p50", 5.5),
        ("p90", 9.1),
        ("p100", 10),
        ("tm90", 5),  # without 10
        ("tc90", 9),
        ("ts90", 45),
        ("wm90", (45 + 9.1) / 10),
        ("TM(10%:90%)", 5.5),
        ("TM(10%:)", 6),
        ("IQM", 5.5),
        ("TM(2:5)", 4),  # 3, 4, 5: the lower bound is excluded, the upper one included
        ("TC(2:5)", 3),
        ("TS(:3)", 6),
        ("WM(4:7)", (4 * 4 + 5 + 6 + 4 * 7) / 10),
        ("PR(:3)", 30),
        ("PR(8:)", 20),
    ],
)
def test_the_extended_statistics_are_those_of_the_documentation(name: str, expected: float) -> None:
    assert statistic(name)(_ONE_TO_TEN) == pytest.approx(expected)
    assert statistic(name.upper())(_ONE_TO_TEN) == pytest.approx(expected)


def test_a_value_published_many_times_counts_that_often() -> None:
    samples = [Sample.of(0, 1, 98), Sample.of(0, 100, 2)]
    assert statistic("p50")(samples) == 1
    assert statistic("p99")(samples) == 100
    assert statistic("Average")(samples) == pytest.approx(2.98)
    assert statistic("tm98")(samples) == 1


def test_a_bound_of_equal_values_keeps_its_share_of_them() -> None:
    assert statistic("tm90")([Sample.of(0, 7)] * 10) == pytest.approx(7)
    assert statistic("TC(25%:75%)")([Sample.of(0, 7)] * 10) == pytest.approx(5)


@pytest.mark.parametrize("name", ["Average", "SampleCount", "p90", "IQM"])
def test_without_samples_there_is_no_statistic(name: str) -> None:
    assert statistic(name)([]) is None
    assert statistic(name)([Sample(0, 0, 0, 0, 0)]) is None


def test_a_range_without_values_has_no_mean() -> None:
    assert statistic("TM(50:60)")(_ONE_TO_TEN) is None
    assert statistic("TC(50:60)")(_ONE_TO_TEN) == 0


@pytest.mark.parametrize("sample", [Sample.of(0, -1), _SET])
def test_negative_values_and_mixed_statistic_sets_have_no_percentile(sample: Sample) -> None:
    assert statistic("p90")([*_ONE_TO_TEN, sample]) is None


def test_a_statistic_set_of_one_repeated_value_has_a_percentile() -> None:
    assert statistic("p90")([Sample(0, count=3, total=6, minimum=2, maximum=2)]) == 2


@pytest.mark.parametrize(
    "name",
    [
        "",
        "average",
        "p",
        "p101",
        "tm101",
        "TM()",
        "TM(:)",
        "TM(10%:90)",
        "TM(90%:10%)",
        "TM(5:5)",
        "PR(10%:90%)",
        "p9x",
        "median",
    ],
)
def test_any_other_statistic_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no statistic: use SampleCount, Sum, Average"):
        statistic(name)


def test_only_percentiles_have_a_percentage() -> None:
    assert percentile("p99.9") == 99.9
    assert percentile("tm90") is None
    assert percentile("Average") is None
