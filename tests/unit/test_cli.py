"""The command line, with a stand-in for the server; tests/e2e/test_cli.py has the real one."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
from botocore.exceptions import NoCredentialsError
from typer.testing import CliRunner

from sm_client import ApiError
from sm_local import console, lifecycle, ports, process
from sm_local.cli import app
from sm_local.errors import LocalAwsError
from sm_local.ports import free_port
from sm_local.project import Project

COMMANDS = ("up", "deploy", "status", "classify", "logs", "down", "serve")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    (tmp_path / "cdk.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    project = Project(tmp_path)
    yield project
    process.stop(project.state, grace_s=0.1)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(_command(*arguments), capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_each_command_shows_examples_that_parse(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    examples = re.findall(rf"^    python -m sm_local ({command}\b.*)$", result.output, re.MULTILINE)
    assert examples
    group = typer.main.get_command(app)
    for example in examples:
        words = example.replace("'", "").split()
        with group.make_context("sm_local", words) as context:
            _, subcommand, rest = group.resolve_command(context, words)  # type: ignore[attr-defined]
            subcommand.make_context(command, rest)


def test_the_help_lists_all_commands() -> None:
    result = CliRunner().invoke(app, ["--help"])
    assert re.findall(r"^  (\w+)  +\w", result.output, re.MULTILINE) == list(COMMANDS)


def test_up_says_where_it_is_what_is_only_recorded_and_what_to_do_next(project: Project) -> None:
    port = free_port()
    result = run("up", "--port", str(port))
    assert result.returncode == 0, result.stderr
    assert f"up at https://127.0.0.1:{port}" in result.stdout
    assert "AWS::X::Y: kept" in result.stdout
    assert "python -m sm_local deploy" in result.stdout
    assert process.find_server(project.state) is not None


def test_up_twice_keeps_the_server(project: Project) -> None:
    run("up", "--port", str(free_port()))
    first = process.find_server(project.state)
    result = run("up")
    assert result.returncode == 0
    assert process.find_server(project.state) == first


@pytest.mark.usefixtures("project")
def test_up_at_another_port_than_the_running_one_is_refused() -> None:
    run("up", "--port", str(free_port()))
    result = run("up", "--port", str(free_port()))
    assert result.returncode == 1
    assert "run `python -m sm_local down` before" in _one_line(result.stderr)


def test_up_takes_a_time_scale_and_refuses_another_one_than_the_running_server_has(project: Project) -> None:
    run("up", "--time-scale", "60")
    server = process.find_server(project.state)
    assert server is not None
    assert server.time_scale == 60
    assert run("up").returncode == run("up", "--time-scale", "60").returncode == 0
    result = run("up", "--time-scale", "2")
    assert result.returncode == 1
    assert "up already, at time scale 60: run `python -m sm_local down` before" in _one_line(result.stderr)


def test_up_at_a_taken_port_says_by_whom(project: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        result = run("up", "--port", str(holder.getsockname()[1]))
    assert result.returncode == 1
    assert f"is taken by process {os.getpid()}" in _one_line(result.stderr)
    assert process.owned_processes(project.state) == []


def test_up_shows_the_log_of_a_server_that_does_not_start(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAND_IN", "fail")
    result = run("up")
    assert result.returncode == 1
    assert "Error: The local AWS ended while it was starting" in result.stderr
    assert "  RuntimeError: the reason why" in result.stderr
    assert "Traceback" not in result.stderr
    assert process.owned_processes(project.state) == []


def test_interrupting_up_leaves_nothing_running(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAND_IN", "children silent")
    with subprocess.Popen(_command("up"), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as command:
        _wait_for(project, processes=3)
        command.send_signal(signal.SIGINT)
        assert command.wait(timeout=30) == 130
        command.communicate()
    assert process.owned_processes(project.state) == []


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_server_in_the_foreground_and_its_children(
    project: Project, monkeypatch: pytest.MonkeyPatch, signal_number: signal.Signals
) -> None:
    monkeypatch.setenv("STAND_IN", "children")
    command = _command("up", "--foreground", "--port", str(free_port()))
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert "The local AWS is up" in running.stdout.readline()
        assert len(process.owned_processes(project.state)) == 3
        running.send_signal(signal_number)
        assert running.wait(timeout=30) == 130
        running.communicate()
    assert process.owned_processes(project.state) == []


@pytest.mark.parametrize("runs_before", [False, True])
def test_interrupting_the_demo_stops_what_it_started_itself(
    project: Project, monkeypatch: pytest.MonkeyPatch, runs_before: bool
) -> None:
    monkeypatch.setattr(process, "SERVER_MODULE", "stand_in_server")
    monkeypatch.setattr(ports, "DEFAULT_PORT", ports.free_port())
    if runs_before:
        lifecycle.ensure_up(project)
    with pytest.raises(KeyboardInterrupt):
        _be_interrupted_after_start(project)
    assert (process.find_server(project.state) is not None) is runs_before


def test_down_ends_what_up_started(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAND_IN", "children")
    run("up", "--port", str(free_port()))
    result = run("down")
    assert result.returncode == 0
    assert "Stopped 3 processes." in result.stdout
    assert process.owned_processes(project.state) == []
    assert "Nothing was running." in run("down").stdout


@pytest.mark.parametrize("command", [["status"], ["deploy"], ["classify", "a"], ["logs"]])
@pytest.mark.usefixtures("project")
def test_commands_that_need_the_local_aws_say_that_it_is_not_up(command: list[str]) -> None:
    result = run(*command)
    assert result.returncode == 1
    assert result.stderr == "Error: The local AWS is not up: run `python -m sm_local up`.\n"


def test_outside_of_a_cdk_app_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("status")
    assert result.returncode == 1
    assert "There is no cdk.json" in result.stderr


@pytest.mark.usefixtures("project")
def test_deploying_without_a_model_says_how_to_make_one() -> None:
    run("up", "--port", str(free_port()))
    result = run("deploy")
    assert result.returncode == 1
    assert "run `make model`" in _one_line(result.stderr)


@pytest.mark.parametrize("arguments", [["up", "--port", "80"], ["up", "--nonsense"], ["logs", "nobody"], ["fly"]])
@pytest.mark.usefixtures("project")
def test_wrong_usage_has_an_exit_status_of_its_own(arguments: list[str]) -> None:
    assert run(*arguments).returncode == 2


def test_the_log_of_the_server_is_printed(project: Project) -> None:
    run("up", "--port", str(free_port()))
    project.state.server_log.write_text("first\nsecond\n")
    assert run("logs", "server").stdout == "first\nsecond\n"


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (LocalAwsError("It is broken.", ["why"]), 1, "Error: It is broken.\n  why\n"),
        (ApiError(status=413, title="Content Too Large"), 1, "Error: 413 Content Too Large\n"),
        (NoCredentialsError(), 1, "Error: Unable to locate credentials\n"),
        (KeyboardInterrupt(), 130, "Interrupted.\n"),
    ],
)
def test_what_can_be_expected_to_fail_is_said_without_a_stack_trace(
    error: BaseException, status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> None:
        raise error

    assert console.run(command) == status
    assert capsys.readouterr().err == said


def test_a_mistake_of_ours_is_not_hidden() -> None:
    def command() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        console.run(command)


def _be_interrupted_after_start(project: Project) -> None:
    with lifecycle.stopping_on_interrupt(project):
        lifecycle.ensure_up(project)
        raise KeyboardInterrupt


def _command(*arguments: str) -> list[str]:
    use_stand_in = "from sm_local import cli, process; process.SERVER_MODULE = 'stand_in_server'; cli.main()"
    return [sys.executable, "-c", use_stand_in, *arguments]


def _wait_for(project: Project, processes: int) -> None:
    for _ in range(300):
        if len(process.owned_processes(project.state)) == processes:
            return
        time.sleep(0.1)
    pytest.fail("the stand-in did not start")


def _one_line(text: str) -> str:
    return " ".join(text.split())
