"""Hosts that speak over real sockets, here each in a thread of its own."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hosts import Alone, Array, Group, HostError, connected

NAMES = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]


@pytest.fixture(autouse=True)
def port(monkeypatch: pytest.MonkeyPatch) -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number: int = server.getsockname()[1]
    monkeypatch.setenv("DATA_PARALLEL_PORT", str(number))
    return number


def on_each(body: Callable[[Group], Any], names: list[str] = NAMES, **options: Any) -> list[Future[Any]]:
    def host(name: str) -> Any:
        job, coming = options.get("jobs", {}).get(name, "job"), options.get("coming", 5)
        with connected(names, name, job=job, coming=coming, silence=5) as group:
            return body(group)

    with ThreadPoolExecutor() as threads:
        return [threads.submit(host, name) for name in reversed(names)][::-1]


def test_the_first_host_gets_the_arrays_of_all_in_their_order_and_all_get_those_of_the_first() -> None:
    def body(group: Group) -> Any:
        sent: list[Array] = [np.arange(group.rank, dtype=np.float32), np.full((2, 2), group.rank, np.int64)]
        return group.size, group.gather(sent), group.broadcast(sent if not group.rank else [])

    first, *others = [future.result() for future in on_each(body)]

    assert [size for size, _, _ in (first, *others)] == [3, 3, 3]
    assert [[array.tolist() for array in host] for host in first[1]] == [
        [[], [[0, 0], [0, 0]]],
        [[0], [[1, 1], [1, 1]]],
        [[0, 1], [[2, 2], [2, 2]]],
    ]
    assert all(gathered == [] for _, gathered, _ in others)
    for _, _, (empty, matrix) in (first, *others):
        assert (empty.dtype, empty.shape, matrix.tolist()) == (np.float32, (0,), [[0, 0], [0, 0]])


def test_one_host_needs_no_connection() -> None:
    with connected(["algo-1"], "algo-1", job="job") as group:
        assert isinstance(group, Alone)
        assert group.gather(group.broadcast([np.array([1])])) == [[np.array([1])]]


def test_why_a_host_fails_is_told_to_all() -> None:
    def body(group: Group) -> Any:
        if group.rank == 1:
            raise ValueError("line 3 is broken")
        return group.broadcast(group.gather([np.zeros(1)])[0] if not group.rank else [])

    first, failing, last = on_each(body)

    assert isinstance(failing.exception(), ValueError)
    for future in (first, last):
        assert isinstance(future.exception(), HostError)
        assert "127.0.0.2: ValueError: line 3 is broken" in str(future.exception())


def test_a_host_that_is_gone_is_missed_at_once() -> None:
    def body(group: Group) -> Any:
        if group.rank == 1:
            group.close()  # type: ignore[attr-defined]
            return None
        return group.gather([np.zeros(1)])

    began = time.monotonic()
    first, *_ = on_each(body, NAMES[:2])

    assert "127.0.0.2 is lost" in str(first.exception())
    assert time.monotonic() - began < 3


def test_a_host_that_is_silent_is_missed_after_a_while() -> None:
    done = threading.Event()

    def host(name: str) -> Any:
        with connected(NAMES[:2], name, job="job", coming=5, silence=0.3) as group:
            if group.rank:
                done.wait(5)
                return None
            return group.gather([np.zeros(1)])

    with ThreadPoolExecutor() as threads:
        first, _ = [threads.submit(host, name) for name in NAMES[:2]]
        assert "127.0.0.2 is lost: it was silent" in str(first.exception())
        done.set()


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("127.0.0.1", "127.0.0.2 and 127.0.0.3 did not come in time"),
        ("127.0.0.2", "127.0.0.1:{port} cannot be reached in time"),
        ("127.0.0.9", "127.0.0.9 must be one of the hosts"),
    ],
)
def test_hosts_that_do_not_come_are_named(name: str, problem: str, port: int) -> None:
    with pytest.raises(HostError, match=problem.format(port=port)), connected(NAMES, name, job="job", coming=0.4):
        pass


def test_who_trains_something_else_is_turned_away_and_told_so() -> None:
    first, other = on_each(lambda group: group.size, NAMES[:2], jobs={"127.0.0.2": "another"}, coming=0.6)

    assert "127.0.0.2 did not come in time" in str(first.exception())
    assert "not expected here" in str(other.exception())
    assert "trains job" in str(other.exception())


def test_two_trainings_on_the_same_port_both_find_their_hosts() -> None:
    def host(job: str, name: str) -> Any:
        with connected(NAMES[:2], name, job=job, coming=10, silence=5) as group:
            time.sleep(0.3)
            return [array.tolist() for (array,) in group.gather([np.array([group.rank, int(job)])])]

    with ThreadPoolExecutor(4) as threads:
        futures = [threads.submit(host, job, name) for job in "78" for name in NAMES[:2]]
        seven, _, eight, _ = [future.result() for future in futures]

    assert (seven, eight) == ([[0, 7], [1, 7]], [[0, 8], [1, 8]])


@pytest.mark.parametrize("bytes_sent", [b"GET / HTTP/1.1\r\n\r\n", b"\x00\x00\x00\x02[]", b""])
def test_strangers_do_not_disturb(port: int, bytes_sent: bytes) -> None:
    def stranger() -> None:
        while True:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=5) as stream:
                    stream.sendall(bytes_sent)
                return
            except ConnectionRefusedError:
                time.sleep(0.02)

    def host(name: str) -> int:
        if name != NAMES[0]:
            time.sleep(0.5)
        with connected(NAMES[:2], name, job="job", coming=5, silence=5) as group:
            return group.size

    with ThreadPoolExecutor() as threads:
        hosts = [threads.submit(host, name) for name in NAMES[:2]]
        threads.submit(stranger).result()
        assert [future.result() for future in hosts] == [2, 2]
