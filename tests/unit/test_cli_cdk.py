"""The CDK CLI's surroundings: its Node, its environment, its arguments, and what is said when it fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sm_local import cdk, deployment, logs
from sm_local.cdk import cdk_command, node_directory, run_cdk, tool_environment
from sm_local.connection import local_environment, server_environment, without_aws
from sm_local.errors import LocalAwsError
from sm_local.process import Server
from sm_local.project import Project, Stage
from tests.unit.aws_answers import Aws, stack_answer, stack_events_answer

ROOT = Path(__file__).resolve().parents[2]
SERVER = Server(pid=1, created=0.0, port=50123)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Aws:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    aws = Aws()
    aws.say("GetParameter", {"Parameter": {"Value": "28"}})
    aws.say("DescribeStackEvents", stack_events_answer())
    return aws


@pytest.fixture
def deployable(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with a model, a state directory, and an environment for the pretended CLI."""
    project.model.mkdir(parents=True)
    (project.model / "metadata.json").write_text("{}")
    project.state.root.mkdir()
    monkeypatch.setenv("SPY", str(project.root / "spy.json"))
    return project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project whose CDK CLI prints what it was called with, and fails when it is told to."""
    cli = tmp_path / "node_modules" / "aws-cdk" / "bin" / "cdk"
    cli.parent.mkdir(parents=True)
    cli.write_text(
        "const {argv, cwd, env, version} = process; const [_node, _cli, ...args] = argv;"
        "require('fs').writeFileSync(env.SPY, JSON.stringify({args, cwd: cwd(), version, node: env.JSII_NODE}));"
        "process.exit(Number(env.STATUS || 0));"
    )
    return Project(tmp_path)


def test_a_project_is_found_from_a_directory_below_it(tmp_path: Path) -> None:
    (tmp_path / "cdk.json").write_text("{}")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert Project.find(below) == Project(tmp_path.resolve())


def test_the_cli_runs_on_the_node_that_the_project_brings(project: Project, tmp_path: Path) -> None:
    environment = {**tool_environment(os.environ), "SPY": str(tmp_path / "spy.json")}
    status = run_cdk(project, ["synth"], environment)
    seen = _seen(project)
    assert status == 0
    assert seen["args"] == ["synth", "--no-notices"]
    assert seen["version"].startswith("v24.")
    assert seen["node"] == str(node_directory() / "node")
    assert Path(seen["cwd"]).resolve() == project.root.resolve()


def test_the_exit_status_of_the_cli_is_passed_on(project: Project, tmp_path: Path) -> None:
    environment = {**tool_environment(os.environ), "SPY": str(tmp_path / "spy.json"), "STATUS": "3"}
    assert run_cdk(project, ["synth"], environment) == 3


def test_the_pinned_cli_is_the_one_of_package_json() -> None:
    wanted = json.loads((ROOT / "package.json").read_text())["devDependencies"]["aws-cdk"]
    version = subprocess.run(
        [*cdk_command(Project(ROOT)), "--version"], capture_output=True, text=True, check=True
    ).stdout
    assert version.split()[0] == wanted


def test_a_missing_cli_is_told_how_to_install(tmp_path: Path) -> None:
    with pytest.raises(LocalAwsError, match=r"The CDK CLI is missing .* run `make setup`"):
        cdk_command(Project(tmp_path))


def test_a_missing_node_is_told_how_to_install(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(LocalAwsError, match=r"Node\.js is missing: run `make setup`"):
        cdk_command(project)


def test_the_command_passes_its_arguments_on(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cdk.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SPY", str(tmp_path / "spy.json"))
    monkeypatch.setenv("STATUS", "4")
    assert cdk.main(["ls", "--long"]) == 4
    assert _seen(project)["args"] == ["ls", "--long", "--no-notices"]


def test_this_python_and_this_node_come_first_on_the_path() -> None:
    environment = tool_environment({"PATH": "/usr/bin", "JSII_NODE": "/usr/bin/node"})
    path = environment["PATH"].split(os.pathsep)
    assert path == [str(Path(sys.executable).parent), str(node_directory()), "/usr/bin"]
    assert environment["JSII_NODE"] == str(node_directory() / "node")


def test_nothing_of_a_real_account_reaches_the_local_aws() -> None:
    leaks = {"AWS_PROFILE": "work", "AWS_SESSION_TOKEN": "t", "AWS_ENDPOINT_URL_S3": "https://real", "HOME": "/h"}
    assert without_aws(leaks) == {"HOME": "/h"}
    environment = local_environment(Project(Path("/app")), SERVER, leaks)
    assert environment["HOME"] == "/h"
    assert not {"AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"} & environment.keys()
    assert environment["AWS_ENDPOINT_URL"] == "https://127.0.0.1:50123"
    assert environment["AWS_CA_BUNDLE"] == "/app/.sm_local/tls/ca-bundle.pem"


@pytest.mark.parametrize(
    ("base", "direct"),
    [({}, "127.0.0.1,localhost"), ({"no_proxy": "intranet"}, "intranet,127.0.0.1,localhost")],
)
def test_a_proxy_is_not_asked_for_the_local_aws(base: dict[str, str], direct: str) -> None:
    proxy = {"HTTPS_PROXY": "http://proxy", **base}
    for environment in (local_environment(Project(Path("/app")), SERVER, proxy), server_environment(proxy)):
        assert environment["NO_PROXY"] == environment["no_proxy"] == direct


def test_the_stage_and_this_machines_platform_reach_the_app(deployable: Project, aws: Aws) -> None:
    steps: list[str] = []
    deployment.deploy(deployable, Stage.PROD, aws.session, on_step=steps.append)
    arguments = _seen(deployable)["args"]
    assert arguments[:2] == ["deploy", "TextClassification-prod"]
    assert {"--context=stage=prod", "--context=lambda_platform=local"} <= set(arguments)
    assert "--require-approval=never" in arguments
    assert steps == ["Deploying TextClassification-prod"]


def test_bootstrap_comes_first_where_it_is_to_do(
    deployable: Project, aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.fail("GetParameter", "ParameterNotFound")
    monkeypatch.setenv("STATUS", "1")
    with pytest.raises(LocalAwsError, match="bootstrap failed"):
        deployment.deploy(deployable, Stage.DEV, aws.session)
    seen = _seen(deployable)
    assert seen["args"][:2] == ["bootstrap", "aws://000000000000/us-east-1"]
    assert Path(seen["cwd"]) == deployable.state.root.resolve(), "where there is no app to synthesize"


def test_without_a_model_nothing_is_deployed(deployable: Project, aws: Aws) -> None:
    (deployable.model / "metadata.json").unlink()
    with pytest.raises(LocalAwsError, match="run `make model`"):
        deployment.deploy(deployable, Stage.DEV, aws.session)
    assert aws.calls == []


def test_a_failed_deployment_shows_the_reasons_and_the_models_log(
    deployable: Project, aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = ("1", "Endpoint", "UPDATE_FAILED", "of the deployment before")
    aws.say(
        "DescribeStackEvents",
        stack_events_answer(before),
        stack_events_answer(
            ("5", "Config", "CREATE_FAILED", "Resource creation cancelled"),
            ("4", "Model", "DELETE_FAILED", "in use"),
            ("3", "Endpoint", "CREATE_FAILED", "model_fn raised"),
            ("2", "Model", "CREATE_COMPLETE", "fine"),
            before,
        ),
    )
    monkeypatch.setenv("STATUS", "1")
    deployable.state.endpoint_logs.mkdir(parents=True)
    log = deployable.state.endpoint_logs / "e.log"
    log.write_text("ModuleNotFoundError: No module named 'texpret'\n")
    with pytest.raises(LocalAwsError, match="TextClassification-dev was not deployed") as caught:
        deployment.deploy(deployable, Stage.DEV, aws.session)
    assert caught.value.log == (
        "Endpoint (AWS::SageMaker::Endpoint): model_fn raised",
        "Model (AWS::SageMaker::Model): in use",
        f"The end of {log}:",
        "ModuleNotFoundError: No module named 'texpret'",
    )


def test_a_failed_synthesis_shows_no_reasons_of_cloudformation(
    deployable: Project, aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.fail_in_xml("DescribeStackEvents", "ValidationError", "Stack [x] does not exist")
    monkeypatch.setenv("STATUS", "1")
    with pytest.raises(LocalAwsError, match="see the CDK's output above") as caught:
        deployment.deploy(deployable, Stage.DEV, aws.session)
    assert caught.value.log == ()


def test_the_stacks_are_listed_with_what_they_put_out(aws: Aws) -> None:
    aws.say("DescribeStacks", stack_answer("S", "UPDATE_ROLLBACK_COMPLETE", ApiUrl="https://x/"))
    (stack,) = deployment.stacks(aws.session)
    assert (stack.name, stack.status, stack.outputs) == ("S", "UPDATE_ROLLBACK_COMPLETE", {"ApiUrl": "https://x/"})


def test_an_endpoints_status_has_the_reason_of_its_failure(aws: Aws) -> None:
    aws.say("DescribeEndpoint", {"EndpointStatus": "InService"}, {"EndpointStatus": "Failed", "FailureReason": "no"})
    assert deployment.endpoint_status("e", aws.session) == "InService"
    assert deployment.endpoint_status("e", aws.session) == "Failed (no)"


def test_the_log_of_a_function_is_printed_once_and_followed(aws: Aws) -> None:
    def event(stream: str, message: str) -> dict[str, object]:
        return {"logStreamName": stream, "timestamp": 1, "message": f"{message}\n"}

    aws.say("GetFunctionConfiguration", {"LoggingConfig": {"LogGroup": "group"}})
    first = [event("one", "a"), event("two", "b")]
    aws.say("FilterLogEvents", {"events": first}, {"events": [event("one", "a"), event("one", "a"), *first[1:]]})
    polls = iter([True, False])
    assert list(logs.function_lines("f", aws.session, follow=lambda: next(polls))) == ["a", "b", "a"]


def test_a_function_that_was_never_called_has_an_empty_log(aws: Aws) -> None:
    aws.say("GetFunctionConfiguration", {})
    aws.fail("FilterLogEvents", "ResourceNotFoundException")
    assert list(logs.function_lines("f", aws.session)) == []


def test_a_log_file_is_followed_as_long_as_asked(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_text("first\n")

    def grow_once() -> bool:
        if "second" in log.read_text():
            return False
        log.write_text("first\nsecond\n")
        return True

    assert list(logs.file_lines(log, follow=grow_once)) == ["first", "second"]


def test_a_log_that_is_not_there_yet_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(LocalAwsError, match="There is no log"):
        list(logs.file_lines(tmp_path / "none.log"))


def _seen(project: Project) -> dict[str, Any]:
    seen: dict[str, Any] = json.loads((project.root / "spy.json").read_text())
    return seen
