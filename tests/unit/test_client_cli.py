"""The client's command line as a process of its own, against an HTTP server that answers as told."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

from sm_client.cli.app import app
from tests.unit.aws_answers import stack_answer
from tests.unit.recording_api import ANSWER, API_URL, Api, serving
from tests.unit.test_client_jobs import ACCEPTED, FAILED, SUCCEEDED, named

COMMANDS = (
    *("classify", "submit", "status", "wait", "results"),
    *("upload", "train", "training", "feedback", "rollback"),
    *("label", "transform", "transform-status"),
)
STACK = (200, stack_answer(ApiUrl=API_URL).encode())


@pytest.fixture
def api() -> Iterator[Api]:
    """Both CloudFormation and the API."""
    with serving() as api:
        yield api


def run(
    api: Api, *arguments: str, stdin: str | bytes | int = b"", without: str = "", region: str = "eu-west-1"
) -> subprocess.CompletedProcess[str]:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "AWS_ACCESS_KEY_ID": "AKIATEST",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": region,
        "AWS_ENDPOINT_URL": api.url,
    }
    block = f"sys.modules[{without!r}] = None; " if without else ""
    code = f"import runpy, sys; {block}runpy.run_module('sm_client', run_name='__main__', alter_sys=True)"
    done = subprocess.run(
        [sys.executable, "-c", code, "--stack", "Classifier", *arguments],
        stdin=stdin if isinstance(stdin, int) else None,
        input=None if isinstance(stdin, int) else stdin.encode() if isinstance(stdin, str) else stdin,
        capture_output=True,
        check=False,
        timeout=60,
        env=environment,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def sent(api: Api) -> list[list[str]]:
    """Return the texts of each request that had some."""
    return [json.loads(each.body)["texts"] for each in api.requests if "/v1/" in each.path]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_each_command_shows_examples_that_parse(command: str) -> None:
    result = CliRunner().invoke(app, ["--stack", "S", command, "--help"])
    assert result.exit_code == 0, result.output
    examples = re.findall(rf"^    python -m sm_client --stack \S+ ({command}\b.*)$", result.output, re.MULTILINE)
    assert len(examples) == 2
    group = typer.main.get_command(app)
    for example in examples:
        words = re.sub(r"-f \S+", "-f -", example.replace("'", "")).split()
        with group.make_context("sm_client", ["--stack", "S", *words]) as context:
            _, subcommand, rest = group.resolve_command(context, words)  # type: ignore[attr-defined]
            subcommand.make_context(command, rest, parent=context)


def test_the_help_lists_all_commands_and_the_exit_statuses() -> None:
    result = CliRunner().invoke(app, ["--help"])
    assert re.findall(r"^  (\w[\w-]*)  +\w", result.output, re.MULTILINE) == list(COMMANDS)
    assert "3 a job failed, 4 still running" in " ".join(result.output.split())


def test_texts_are_classified_and_shown(api: Api) -> None:
    api.answers = [STACK, (200, ANSWER)]
    done = run(api, "classify", "物流很快", "--language", "zh")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^物流很快 +good +0\.900 +zh", done.stdout, re.MULTILINE)
    assert json.loads(api.requests[-1].body) == {"texts": ["物流很快"], "language": "zh", "annotations": False}


def test_lines_of_stdin_are_classified_to_json_lines(api: Api) -> None:
    api.answers = [STACK, (200, {**ANSWER, "results": ANSWER["results"] * 2})]  # type: ignore[operator]
    done = run(api, "classify", "--json", stdin="first\r\n\nsecond \u2028 half")
    first, second = [json.loads(line) for line in done.stdout.split("\n") if line]
    assert second["text"] == "second \u2028 half"
    assert first == {
        "text": "first",
        **ANSWER["results"][0],  # type: ignore[dict-item]
        "annotations": None,
        "model_version": "1-abc",
        "request_id": "r-1",
        "index": 0,
    }
    assert sent(api) == [["first", "second \u2028 half"]]


def test_another_region_is_where_the_stack_is_looked_for(api: Api) -> None:
    api.answers = [STACK, (200, ANSWER)]
    run(api, "--region", "eu-north-1", "classify", "a")
    assert all("/eu-north-1/" in request.headers["authorization"] for request in api.requests)


def test_a_file_of_many_texts_becomes_jobs_with_keys_of_their_own(api: Api, tmp_path: Path) -> None:
    file = tmp_path / "reviews.jsonl"
    file.write_text("".join(f"{json.dumps(each)}\n" for each in ["a", {"text": "b", "id": 7}] * 101), encoding="utf-8")
    api.answers = [STACK, *((202, named(job_id, ACCEPTED)) for job_id in ("j1", "j2", "j3"))]
    done = run(api, "submit", "--file", str(file), "--idempotency-key", "order-17")
    assert done.stdout == "j1 queued\nj2 queued\nj3 queued\n"
    assert sent(api) == [["a", "b"] * 50, ["a", "b"] * 50, ["a", "b"]]
    assert [each.headers["idempotency-key"] for each in api.requests[1:]] == ["order-17", "order-17-2", "order-17-3"]


def test_json_lines_can_come_from_stdin(api: Api) -> None:
    api.answers = [STACK, (202, ACCEPTED)]
    assert run(api, "submit", "--json-lines", "-f", "-", stdin='{"text": "a"}\n').returncode == 0
    assert sent(api) == [["a"]]


@pytest.mark.parametrize(
    ("arguments", "stdin", "said"),
    [
        (["classify", "a", "-f", "-"], "b", "not both"),
        (["classify"], "\n \n", "stdin has no texts"),
        (["classify"], b"\xff", "stdin is not UTF-8: invalid start byte at byte 0"),
        (["submit", "--json-lines"], '"a"\n{', "stdin, line 2 is not JSON"),
        (["submit", "--json-lines"], '{"txt": "a"}', "stdin, line 1 is neither a string nor an object with a `text`"),
        (["submit", "--json-lines"], '{"text": 1}', "stdin, line 1 is neither"),
        (["submit", "-f", "no-such-file"], "", "no-such-file: No such file"),
        (["classify", "--language", "fr", "a"], "", "fr"),
        (["wait"], "", "there are no job ids"),
        (["fly"], "", "fly"),
    ],
)
def test_wrong_usage_is_said_before_anything_is_sent(
    api: Api, arguments: list[str], stdin: str | bytes, said: str
) -> None:
    done = run(api, *arguments, stdin=stdin)
    assert done.returncode == 2
    assert said in " ".join(re.sub(r"[│╭╰─╮╯]", " ", done.stderr).split())
    assert api.requests == []


def test_the_status_of_jobs_is_a_line_each(api: Api) -> None:
    stack_trace = {"last_error": "busy\nTraceback:\n  File …"}
    api.answers = [STACK, (200, named("a", {**ACCEPTED, **stack_trace})), (200, named("b", FAILED))]
    assert run(api, "status", "a", "b").stdout == "a queued busy\nb failed the model refuses it\n"
    api.requests.clear()
    (_, second) = map(json.loads, run(api, "status", "--json", "a", "b").stdout.splitlines())
    assert second["updated_at"] == "2026-01-02T03:04:06+00:00"
    assert second["error"] == "the model refuses it"


def test_waiting_reads_what_submitting_printed_and_prints_what_results_read(api: Api) -> None:
    api.answers = [STACK, (200, named("a", ACCEPTED)), (200, named("b", SUCCEEDED)), (200, named("a", SUCCEEDED))]
    done = run(api, "wait", stdin="a queued\nb queued\n\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "b succeeded\na succeeded\n", "")
    api.requests.clear()
    api.answers = [STACK, (200, named("b", SUCCEEDED)), (200, named("a", SUCCEEDED))]
    done = run(api, "results", "--json", stdin=done.stdout)
    assert [(each["job_id"], each["index"], each["label"]) for each in map(json.loads, done.stdout.splitlines())] == [
        ("b", 0, "good"),
        ("a", 0, "good"),
    ]


def test_a_terminal_shows_progress_and_stdout_has_the_jobs_alone(api: Api) -> None:
    api.answers = [STACK, (200, named("a", SUCCEEDED))]
    terminal, stderr = pty.openpty()
    environment = {**os.environ, "AWS_ENDPOINT_URL": api.url, "AWS_REGION": "eu-west-1", "TERM": "xterm"}
    keys = {"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "secret"}
    done = subprocess.run(
        [sys.executable, "-m", "sm_client", "--stack", "Classifier", "wait", "a"],
        stdout=subprocess.PIPE,
        stderr=stderr,
        env={**environment, **keys},
        check=False,
        timeout=60,
    )
    os.close(stderr)
    assert (done.returncode, done.stdout) == (0, b"a succeeded\n")
    assert b"1/1" in os.read(terminal, 100_000)
    os.close(terminal)


def test_failed_jobs_have_an_exit_status_of_their_own(api: Api) -> None:
    api.answers = [STACK, (200, named("a", FAILED)), (200, named("b", SUCCEEDED))]
    done = run(api, "wait", "a", "b")
    assert (done.returncode, done.stdout) == (3, "a failed the model refuses it\nb succeeded\n")
    api.requests.clear()
    done = run(api, "results", "a", "b")
    assert (done.returncode, done.stderr) == (3, "Error: job a failed: the model refuses it\n")
    assert re.search(r"^0 +good +0\.900 +zh", done.stdout, re.MULTILINE), "the others are shown all the same"


@pytest.mark.parametrize(
    ("answer", "exit_status", "said"),
    [
        ((200, named("a", ACCEPTED)), 4, "Error: job a is still queued\n"),
        ((404, {"title": "Not Found", "detail": "there is no job 'a'"}), 1, "Error: 404 Not Found: there is no job"),
    ],
    ids=["runs still", "is not there"],
)
def test_a_job_without_results_does_not_keep_the_others_from_being_shown(
    api: Api, answer: tuple[int, dict[str, object]], exit_status: int, said: str
) -> None:
    api.answers = [STACK, answer, (200, named("b", SUCCEEDED))]
    done = run(api, "results", "a", "b")
    assert done.returncode == exit_status
    assert done.stderr.startswith(said)
    assert re.search(r"^0 +good +0\.900 +zh", done.stdout, re.MULTILINE)


def test_the_status_of_the_others_is_told_when_a_job_is_not_there(api: Api) -> None:
    api.answers = [STACK, (404, {"title": "Not Found"}), (200, named("b", FAILED))]
    done = run(api, "status", "a", "b")
    assert (done.returncode, done.stdout) == (1, "b failed the model refuses it\n")


def test_of_what_is_wrong_with_several_jobs_the_failure_is_the_exit_status(api: Api) -> None:
    api.answers = [STACK, (200, named("a", ACCEPTED)), (404, {"title": "Not Found"}), (200, named("c", FAILED))]
    assert run(api, "results", "a", "b", "c").returncode == 3


def test_the_time_out_has_an_exit_status_of_its_own_and_what_has_ended_is_shown(api: Api) -> None:
    api.answers = [STACK, (200, named("a", SUCCEEDED)), (200, named("b", ACCEPTED))]
    done = run(api, "wait", "--timeout", "0", "a", "b")
    assert (done.returncode, done.stdout) == (4, "a succeeded\n")
    assert done.stderr == "Error: job b is still queued\n"


def test_what_the_api_refuses_is_one_line_on_stderr(api: Api) -> None:
    api.answers = [STACK, (404, {"title": "Not Found", "detail": "there is no job 'a'", "request_id": "r-9"})]
    done = run(api, "status", "a")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: 404 Not Found: there is no job 'a' (request r-9)\n"


def test_ids_that_nobody_pipes_are_asked_for_instead_of_waited_for(api: Api) -> None:
    terminal, stdin = pty.openpty()
    done = run(api, "status", stdin=stdin)
    os.close(stdin)
    os.close(terminal)
    assert done.returncode == 2
    assert "as arguments or through a pipe" in " ".join(done.stderr.split())


@pytest.mark.parametrize("module", ["typer", "rich"])
def test_what_the_command_line_needs_beyond_boto3_is_named(api: Api, module: str) -> None:
    done = run(api, "status", "a", without=module)
    assert done.returncode == 1
    assert done.stderr == f"Error: the command line needs {module}: pip install 'sm-constructs[cli]'\n"


def test_the_client_itself_needs_boto3_alone() -> None:
    code = "import sys; sys.modules.update(typer=None, rich=None, aws_cdk=None); import sm_client, sm_client.client"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_help_needs_no_stack_and_a_command_does() -> None:
    runner = CliRunner()
    assert runner.invoke(app, ["train", "--help"]).exit_code == 0
    result = runner.invoke(app, ["classify", "a"])
    assert result.exit_code == 2
    assert "name the stack before the command, such as --stack TextClassification-dev" in " ".join(
        result.output.split()
    )
