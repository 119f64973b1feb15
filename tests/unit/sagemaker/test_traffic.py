"""The split of calls between an old and a new fleet."""

from __future__ import annotations

import threading

from scipy.stats import binom

from sm_local.sagemaker.traffic import Traffic


def in_service(fleet: str) -> Traffic[str]:
    traffic: Traffic[str] = Traffic()
    traffic.add(fleet)
    traffic.finish()
    return traffic


def chosen(traffic: Traffic[str]) -> str | None:
    with traffic.call() as fleet:
        return fleet


def test_there_is_nothing_to_choose_before_a_fleet_is_in_service() -> None:
    traffic: Traffic[str] = Traffic()
    traffic.add("new")
    assert (chosen(traffic), traffic.fleet, traffic.green) == (None, None, "new")


def test_a_new_fleet_gets_no_calls_before_traffic_is_shifted() -> None:
    traffic = in_service("old")
    traffic.add("new")
    assert {chosen(traffic) for _ in range(200)} == {"old"}


def test_calls_are_split_by_share() -> None:
    traffic = in_service("old")
    traffic.add("new")
    traffic.shift(0.2)
    new = sum(chosen(traffic) == "new" for _ in range(5000))
    assert min(binom.cdf(new, 5000, 0.2), binom.sf(new - 1, 5000, 0.2)) > 1e-6
    assert traffic.fleet == "old", "the endpoint keeps its configuration as long as the deployment lasts"


def test_all_calls_go_to_the_new_fleet_once_it_has_taken_over() -> None:
    traffic = in_service("old")
    traffic.add("new")
    traffic.shift(1.0)
    assert {chosen(traffic) for _ in range(200)} == {"new"}
    assert traffic.finish() == "old"
    assert (traffic.fleet, traffic.green, chosen(traffic)) == ("new", None, "new")


def test_all_calls_go_back_when_a_deployment_is_undone() -> None:
    traffic = in_service("old")
    traffic.add("new")
    traffic.shift(0.9)
    assert traffic.back_out() == "new"
    assert (traffic.green, traffic.share) == (None, 0)
    assert {chosen(traffic) for _ in range(200)} == {"old"}


def test_clearing_returns_every_fleet_once() -> None:
    traffic = in_service("old")
    traffic.add("new")
    assert traffic.clear() == ["old", "new"]
    assert traffic.clear() == []


def test_a_fleet_is_drained_when_the_last_of_its_calls_has_ended() -> None:
    traffic = in_service("old")
    traffic.add("new")
    with traffic.call() as fleet:
        assert fleet == "old"
        traffic.shift(1.0)
        assert traffic.finish() == "old"
        assert not traffic.drained("old", 0.01)
    assert traffic.drained("old", 0.01)


def test_draining_waits_for_the_last_call() -> None:
    traffic = in_service("old")
    fleet = traffic.enter()
    assert fleet is not None
    threading.Timer(0.1, traffic.leave, [fleet]).start()
    assert traffic.drained(fleet, 5)
