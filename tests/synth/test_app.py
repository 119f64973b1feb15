"""app.py and cdk.json: what `cdk synth` runs in a checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest

from app import build
from sm_constructs import InvalidPropsError, LambdaPlatform
from sm_constructs.bundling import LAYERS, bundles_directory, layer_hash
from sm_local.server import RECORDED_ONLY
from tests.synth.templates import all_of, resources_of

pytestmark = pytest.mark.usefixtures("bundles")

ROOT = Path(__file__).resolve().parents[2]
UNWANTED = {
    "boto3",
    "botocore",
    "sagemaker",
    "sklearn",
    "uv",
    "pydantic",
    "text_classification",
    "textprep",
    "sm_local",
}
CDK_JSON = json.loads((ROOT / "cdk.json").read_text())


def built(cdk_context: dict[str, object], model: Path, **context: object) -> cdk.Stack:
    """The stack that app.py defines with a model and this context."""
    app = cdk.App(
        analytics_reporting=False,
        builtin_cloud_formation_validation=False,
        context={**cdk_context, "model": str(model), **context},
    )
    build(app)
    (stack,) = (child for child in app.node.children if isinstance(child, cdk.Stack))
    return stack


def run_app(directory: Path, code: str | None = None, **context: str) -> subprocess.CompletedProcess[str]:
    """Run app.py, or other code, in a directory, as the CDK CLI would."""
    return subprocess.run(
        [sys.executable, *(["-c", code] if code else [str(ROOT / "app.py")])],
        cwd=directory,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "CDK_VALIDATION": "false",
            "CDK_OUTDIR": str(directory / "cdk.out"),
            "CDK_CONTEXT_JSON": json.dumps({**CDK_JSON["context"], **context}),
        },
        capture_output=True,
        text=True,
        check=False,
    )


def runtimes(stack: cdk.Stack) -> set[tuple[str, str]]:
    functions = [each["Properties"] for each in all_of(stack, "AWS::Lambda::Function")]
    return {(function["Runtime"], *function["Architectures"]) for function in functions}


def test_cdk_json_has_every_flag_as_the_installed_library_recommends_it() -> None:
    (library,) = (Path(cdk.__file__).parent / "_jsii").glob("aws-cdk-lib@*.jsii.tgz")
    with tarfile.open(library) as archive:
        flags = archive.extractfile("package/recommended-feature-flags.json")
        assert flags is not None
        recommended = json.load(flags)

    assert CDK_JSON["context"] == recommended
    assert CDK_JSON["context"]["@aws-cdk/core:validateAgainstDefaultRules"] is True


def test_cdk_json_bundles_before_it_synthesizes_and_reports_nothing_to_aws() -> None:
    assert CDK_JSON["build"] == "python3 -m sm_constructs bundle"
    assert CDK_JSON["app"] == "python3 app.py"
    assert CDK_JSON["versionReporting"] is False


def test_the_app_is_short() -> None:
    assert len((ROOT / "app.py").read_text().splitlines()) <= 40


def test_without_a_stage_it_is_dev(cdk_context: dict[str, object], model_directory: Path) -> None:
    stack = built(cdk_context, model_directory)

    assert (stack.node.id, stack.stack_name) == ("TextClassification-dev", "TextClassification-dev")
    assert not stack.termination_protection


def test_the_context_picks_the_stage(cdk_context: dict[str, object], model_directory: Path) -> None:
    stack = built(cdk_context, model_directory, stage="prod")

    assert stack.node.id == "TextClassification-prod"
    assert stack.termination_protection


def test_functions_run_on_lambda_by_default(cdk_context: dict[str, object], model_directory: Path) -> None:
    assert runtimes(built(cdk_context, model_directory)) == {("python3.13", "arm64")}


def test_the_context_picks_python_and_architecture(cdk_context: dict[str, object], model_directory: Path) -> None:
    stack = built(cdk_context, model_directory, lambda_python="3.12", lambda_architecture="x86_64")

    assert runtimes(stack) == {("python3.12", "x86_64")}


def test_a_local_platform_is_this_interpreters(cdk_context: dict[str, object], model_directory: Path) -> None:
    local = LambdaPlatform.local()
    for layer in LAYERS:
        bundle = bundles_directory() / f"{layer}-{local.key}-{layer_hash(layer, local)[:16]}.zip"
        bundle.write_bytes(b"PK\x05\x06" + bytes(18))

    stack = built(cdk_context, model_directory, lambda_platform="local")

    assert runtimes(stack) == {(f"python{sys.version_info.major}.{sys.version_info.minor}", local.architecture)}


def test_the_model_is_taken_from_the_build_directory_by_default(tmp_path: Path, model_directory: Path) -> None:
    (tmp_path / ".build").mkdir()
    model_directory.rename(tmp_path / ".build" / "model")

    done = run_app(tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "cdk.out" / "TextClassification-dev.template.json").is_file()


@pytest.mark.parametrize(
    ("context", "said"),
    [
        (
            {},
            "error: .build/model is missing: run `make model`, or name another directory with -c model=DIRECTORY\n",
        ),
        (
            {"model": "elsewhere"},
            "error: elsewhere is missing: run `make model`, or name another directory with -c model=DIRECTORY\n",
        ),
        (
            {"stage": "test"},
            "error: StageConfig:\n  - stage is 'test': must be one of 'dev', 'prod'\n",
        ),
    ],
)
def test_a_wrong_context_is_a_clear_error_without_a_traceback(
    tmp_path: Path, context: dict[str, str], said: str
) -> None:
    done = run_app(tmp_path, **context)

    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)


def test_missing_bundles_are_a_clear_error_that_names_the_command(
    tmp_path: Path, model_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SM_CONSTRUCTS_BUNDLES", str(tmp_path / "none"))

    done = run_app(tmp_path, model=str(model_directory))

    assert done.returncode == 1
    assert done.stderr.startswith("error: Lambda layer 'core':")
    assert "run `python -m sm_constructs bundle --python 3.13 --architecture arm64` before synth" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_platform_that_lambda_does_not_have_is_refused(cdk_context: dict[str, object], model_directory: Path) -> None:
    with pytest.raises(InvalidPropsError, match=r"lambda_platform: python is '2\.7'"):
        built(cdk_context, model_directory, lambda_python="2.7")


def test_synth_loads_nothing_of_run_time_and_opens_no_connection(tmp_path: Path, model_directory: Path) -> None:
    watched = f"""
import runpy, socket, sys

def refuse(*args, **kwargs):
    raise AssertionError("synth opens a connection")

socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
runpy.run_path({str(ROOT / "app.py")!r}, run_name="__main__")
print(sorted({UNWANTED!r} & {{name.split(".")[0] for name in sys.modules}}))
"""

    done = run_app(tmp_path, watched, model=str(model_directory))

    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


def test_synth_starts_no_installer(
    cdk_context: dict[str, object], model_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: Any, **_kwargs: Any) -> None:
        raise AssertionError("synth starts a program")

    monkeypatch.setattr(subprocess, "run", refuse)

    assert all_of(built(cdk_context, model_directory), "AWS::Lambda::LayerVersion")


# What the local AWS really does; a type that is new in a stage goes here or into RECORDED_ONLY, which people are shown.
ACTED_ON = {
    "AWS::ApiGateway::Deployment",
    "AWS::ApiGateway::GatewayResponse",
    "AWS::ApiGateway::Method",
    "AWS::ApiGateway::Model",
    "AWS::ApiGateway::RequestValidator",
    "AWS::ApiGateway::Resource",
    "AWS::ApiGateway::RestApi",
    "AWS::CloudWatch::Alarm",
    "AWS::DynamoDB::Table",
    "AWS::Events::Rule",
    "AWS::IAM::Policy",
    "AWS::IAM::Role",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Lambda::EventSourceMapping",
    "AWS::Lambda::Function",
    "AWS::Lambda::LayerVersion",
    "AWS::Logs::LogGroup",
    "AWS::RDS::DBCluster",
    "AWS::S3::Bucket",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Topic",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::Queue",
    "AWS::SQS::QueuePolicy",
    "AWS::SageMaker::Endpoint",
    "AWS::SageMaker::EndpointConfig",
    "AWS::SageMaker::Model",
    "AWS::SageMaker::ModelPackageGroup",
    "AWS::StepFunctions::StateMachine",
    "Custom::ClosedSecurityGroup",
    "Custom::ModelInService",
    "Custom::ResultDatabaseSchema",
}


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_each_resource_type_is_acted_on_locally_or_said_not_to_be(
    cdk_context: dict[str, object], model_directory: Path, stage: str
) -> None:
    types = {each["Type"] for each in resources_of(built(cdk_context, model_directory, stage=stage)).values()}

    assert types - ACTED_ON - set(RECORDED_ONLY) == set()


def test_no_resource_type_is_both_acted_on_and_said_not_to_be() -> None:
    assert ACTED_ON & set(RECORDED_ONLY) == set()
