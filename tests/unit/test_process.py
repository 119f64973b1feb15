"""Starting, finding and stopping the server, with a stand-in that starts fast and misbehaves on demand."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from sm_local import process
from sm_local.errors import LocalAwsError
from sm_local.ports import free_port
from sm_local.process import OWNER, Server
from sm_local.state import StateDirectory

Start = Callable[..., Server]


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateDirectory]:
    state = StateDirectory(tmp_path / ".sm_local")
    yield state
    process.stop(state, grace_s=0.1)


@pytest.fixture
def start(state: StateDirectory, monkeypatch: pytest.MonkeyPatch) -> Start:
    monkeypatch.setattr(process, "SERVER_MODULE", "stand_in_server")

    def start(*faults: str) -> Server:
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent), "STAND_IN": " ".join(faults)}
        return process.start_server(state, free_port(), environment)

    return start


def has_ended(member: psutil.Process) -> bool:
    """Whether a process has ended, even if its parent has not noticed."""
    return not member.is_running() or member.status() == psutil.STATUS_ZOMBIE


def test_a_started_server_is_healthy_and_found(start: Start, state: StateDirectory) -> None:
    server = start()
    health = process.wait_until_healthy(server, state, timeout_s=30)
    assert health.recorded_only == {"AWS::X::Y": "kept"}
    assert process.find_server(state) == server
    assert process.is_running(server)


def test_its_log_starts_empty_and_git_ignores_its_directory(start: Start, state: StateDirectory) -> None:
    state.server_log.parent.mkdir(parents=True)
    state.server_log.write_text("of last time\n")
    process.wait_until_healthy(start(), state, timeout_s=30)
    assert "of last time" not in state.server_log.read_text()
    assert (state.root / ".gitignore").read_text() == "*\n"


def test_it_outlives_the_terminal_that_started_it(start: Start) -> None:
    server = start()
    assert os.getsid(server.pid) != os.getsid(0)


def test_nothing_is_found_where_nothing_runs(state: StateDirectory) -> None:
    assert process.find_server(state) is None
    assert process.stop(state) == 0


def test_a_server_whose_state_file_is_lost_is_found(start: Start, state: StateDirectory) -> None:
    server = start()
    process.wait_until_healthy(server, state, timeout_s=30)
    (state.root / "server.json").unlink()
    assert process.find_server(state) == server


def test_the_server_of_another_directory_is_not_found(start: Start, tmp_path: Path) -> None:
    start()
    assert process.find_server(StateDirectory(tmp_path / "other")) is None


def test_stopping_ends_the_server_and_all_it_started(start: Start, state: StateDirectory) -> None:
    server = start("children")
    process.wait_until_healthy(server, state, timeout_s=30)
    family = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
    assert len(family) == 3
    assert process.stop(state) == 3
    assert all(has_ended(member) for member in family)
    assert process.find_server(state) is None


def test_what_a_killed_server_left_behind_is_stopped(start: Start, state: StateDirectory) -> None:
    server = start("children")
    process.wait_until_healthy(server, state, timeout_s=30)
    children = psutil.Process(server.pid).children(recursive=True)
    os.kill(server.pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(server.pid)], timeout=10)
    assert process.find_server(state) is None
    assert process.stop(state) == 2
    assert all(has_ended(child) for child in children)


@pytest.mark.timeout(60)  # else it hangs for the whole grace period
def test_one_that_has_ended_is_not_waited_for_until_its_parent_notices(state: StateDirectory) -> None:
    code = (
        "import os, subprocess, sys\n"
        "child = subprocess.Popen(['sleep', '600'], env={**os.environ, 'SM_LOCAL_OWNER': sys.argv[1]})\n"
        "print(child.pid, flush=True)\n"
        "input()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(state.root.resolve())], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        while OWNER not in child.environ():  # it is still a copy of its parent
            time.sleep(0.01)
        try:
            assert process.stop(state, grace_s=3600) == 1
            assert child.status() == psutil.STATUS_ZOMBIE
        finally:
            parent.kill()


def test_one_that_ignores_sigterm_is_killed_after_the_grace_period(start: Start, state: StateDirectory) -> None:
    server = start("stubborn")
    process.wait_until_healthy(server, state, timeout_s=30)
    began = time.monotonic()
    assert process.stop(state, grace_s=0.5) == 1
    assert 0.5 <= time.monotonic() - began < 10
    assert not process.is_running(server)


def test_a_process_that_has_a_recorded_number_by_chance_is_left_alone(state: StateDirectory) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as bystander:
        created = psutil.Process(bystander.pid).create_time()
        state.root.mkdir()
        (state.root / "server.json").write_text(f'{{"pid": {bystander.pid}, "created": {created}, "port": 47630}}')
        assert process.find_server(state) is None
        assert process.stop(state) == 0
        assert bystander.poll() is None
        bystander.kill()


def test_a_damaged_state_file_does_no_harm(state: StateDirectory) -> None:
    state.root.mkdir()
    for content in ("", "{", "[]", '{"pid": 1}', "null"):
        (state.root / "server.json").write_text(content)
        assert process.find_server(state) is None


def test_a_server_that_ends_at_once_is_reported_with_its_log(start: Start, state: StateDirectory) -> None:
    with pytest.raises(LocalAwsError, match="ended while it was starting") as caught:
        process.wait_until_healthy(start("fail"), state, timeout_s=30)
    assert caught.value.log == ("RuntimeError: the reason why",)


def test_a_server_that_never_answers_is_reported_in_time(start: Start, state: StateDirectory) -> None:
    waited: list[float] = []
    with pytest.raises(LocalAwsError, match=r"does not answer at https://127\.0\.0\.1"):
        process.wait_until_healthy(start("silent"), state, timeout_s=1, on_wait=waited.append)
    assert waited == sorted(waited)
    assert len(waited) >= 2


def test_only_one_at_a_time_starts_or_stops(state: StateDirectory) -> None:
    script = (
        "import sys, time; from pathlib import Path; from sm_local.process import exclusive; "
        "from sm_local.state import StateDirectory\n"
        "with exclusive(StateDirectory(Path(sys.argv[1]))): print('in', flush=True); time.sleep(1)"
    )
    command = [sys.executable, "-c", script, str(state.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"in\n"
        began = time.monotonic()
        with process.exclusive(state):
            assert time.monotonic() - began > 0.5
        assert other.wait() == 0


def test_its_temporary_files_go_with_it(start: Start, state: StateDirectory) -> None:
    server = start()
    process.wait_until_healthy(server, state, timeout_s=30)
    temporary = Path(psutil.Process(server.pid).environ()["TMPDIR"])
    assert temporary.is_relative_to(state.root.resolve())
    (temporary / "file").touch()
    process.stop(state)
    assert not temporary.exists()


def test_children_know_whose_they_are(start: Start, state: StateDirectory) -> None:
    server = start()
    process.wait_until_healthy(server, state, timeout_s=30)
    assert psutil.Process(server.pid).environ()[OWNER] == str(state.root.resolve())
