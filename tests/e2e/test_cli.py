"""The demo and the command line as a person uses them, in a project of their own."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sm_local import demo_model, process
from sm_local.project import Project

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"│ .+ │ (good|bad|spam|not spam) +│ (good|bad|spam|not spam) +│ [01]\.\d\d +│ \d+\.\d{3} s +│")

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A copy of this project with its trained model and what it has installed."""
    model = demo_model.build(ROOT)
    root = tmp_path_factory.mktemp("project")
    for name in ("app.py", "cdk.json", "package.json"):
        shutil.copy(ROOT / name, root)
    (root / "node_modules").symlink_to(ROOT / "node_modules")
    (root / ".build").mkdir()
    for name in ("data", "bundles"):
        (root / ".build" / name).symlink_to(ROOT / ".build" / name)
    shutil.copy(ROOT / ".build" / "demo-model.inputs", root / ".build")
    shutil.copytree(model, root / ".build" / "model")
    project = Project(root)
    yield project
    process.stop(project.state)


@pytest.fixture(scope="module")
def demo(project: Project) -> subprocess.CompletedProcess[str]:
    return _run(project, "sm_local.demo")


def test_the_demo_succeeds_and_shows_ten_texts_of_each_language(demo: subprocess.CompletedProcess[str]) -> None:
    assert demo.returncode == 0, demo.stdout + demo.stderr
    truths = [match[1] for match in ROW.finditer(demo.stdout)]
    assert sum(truth in ("good", "bad") for truth in truths) >= 10
    assert sum(truth in ("spam", "not spam") for truth in truths) >= 10


def test_the_demo_says_how_well_the_model_does_and_how_to_go_on(demo: subprocess.CompletedProcess[str]) -> None:
    for language in ("zh", "en"):
        numbers = re.search(rf"│ {language} +│ +500 │ +(\d\.\d+) │ +\d+ │ +(\d\.\d+) │ +(\d\.\d+) │", demo.stdout)
        assert numbers, demo.stdout
        assert all(float(number) >= 0.8 for number in numbers.groups())
    assert "execute-api.us-east-1.amazonaws.com/dev/v1/classifications" in demo.stdout
    assert "sm_local down" in demo.stdout


def test_the_second_demo_uses_what_is_there(project: Project, demo: subprocess.CompletedProcess[str]) -> None:
    assert "Bootstrapping environment" in _output(demo)
    server = process.find_server(project.state)
    again = _run(project, "sm_local.demo")
    assert again.returncode == 0, again.stderr
    assert "Training one model" not in _output(again)
    assert "Bootstrapping" not in _output(again)
    assert "(no changes)" in _output(again)
    assert process.find_server(project.state) == server


def _output(run: subprocess.CompletedProcess[str]) -> str:
    """Return both streams: with CI=true the CDK CLI writes to the other one."""
    return run.stdout + run.stderr


@pytest.mark.usefixtures("demo")
def test_status_shows_the_stack_its_endpoint_and_its_url(project: Project) -> None:
    status = _cli(project, "status")
    assert re.search(r"^TextClassification-dev: (CREATE|UPDATE)_COMPLETE$", status, re.MULTILINE)
    assert re.search(r"^  endpoint \S+: InService$", status, re.MULTILINE)
    assert re.search(r"^  api +https://\S+/dev/$", status, re.MULTILINE)


@pytest.mark.usefixtures("demo")
def test_classify_prints_labels_or_json(project: Project) -> None:
    texts = ["质量太差，要求退货，非常失望", "You have won a free prize, click here now"]
    printed = _cli(project, "classify", *texts)
    assert re.search(rf"^{texts[0]} +bad +0\.\d+ +zh", printed, re.MULTILINE)
    assert re.search(rf"^{texts[1]} +spam +0\.\d+ +en", printed, re.MULTILINE)
    answer = json.loads(_cli(project, "classify", "--json", "--annotations", *texts))
    metadata = json.loads((project.model / "metadata.json").read_text())
    assert answer["model_version"] == metadata["model_version"]
    assert [result["label"] for result in answer["results"]] == ["bad", "spam"]
    assert [token["text"] for token in answer["results"][1]["annotations"]["tokens"]][:3] == ["You", "have", "won"]


@pytest.mark.usefixtures("demo")
def test_what_the_api_refuses_is_one_line_on_stderr(project: Project) -> None:
    refused = _run(project, "sm_local", "classify", "")
    assert refused.returncode == 1
    assert re.fullmatch(r"Error: 400 Bad Request: .+\n", refused.stderr)


@pytest.mark.usefixtures("demo")
def test_the_stage_that_is_not_deployed_is_told_how_to_be(project: Project) -> None:
    refused = _run(project, "sm_local", "classify", "--stage", "prod", "a")
    assert refused.returncode == 1
    assert "run `python -m sm_local deploy --stage prod`. Deployed: TextClassification-dev." in refused.stderr


@pytest.mark.usefixtures("demo")
def test_the_classify_functions_log_names_the_requests(project: Project) -> None:
    request_id = json.loads(_cli(project, "classify", "--json", "a text"))["request_id"]
    assert request_id in _cli(project, "logs", "classify")


@pytest.mark.usefixtures("demo")
def test_a_model_that_does_not_load_shows_its_own_log_and_leaves_the_old_one_serving(project: Project) -> None:
    inference = project.model / "code" / "inference.py"
    source = inference.read_text()
    inference.write_text("raise RuntimeError('no such vocabulary')\n")
    try:
        deployment = _run(project, "sm_local", "deploy")
    finally:
        inference.write_text(source)
    assert deployment.returncode == 1
    assert "TextClassification-dev was not deployed. CloudFormation says:" in deployment.stderr
    error = deployment.stderr[deployment.stderr.index("was not deployed") :]
    assert "(AWS::SageMaker::Endpoint): " in error
    assert "no such vocabulary" in error
    assert "spam" in _cli(project, "classify", "You have won a free prize, click here now")


@pytest.mark.usefixtures("demo")
def test_down_leaves_nothing_running(project: Project) -> None:
    assert process.owned_processes(project.state)
    assert re.search(r"Stopped \d+ processes", _cli(project, "down"))
    assert process.owned_processes(project.state) == []
    assert _run(project, "sm_local", "status").returncode == 1


def _cli(project: Project, *arguments: str) -> str:
    done = _run(project, "sm_local", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _run(project: Project, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, cwd=project.root, capture_output=True, text=True, check=False)
