"""A cold start behind the whole stack, in a local AWS whose time passes sixty times as fast as usual."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import boto3
import psutil
import pytest
from manifest import write_manifest

from sm_client.client import stack_outputs
from tests.local_aws import Answer, LocalAws, Stack, running_local_aws
from tests.sagemaker_account import eventually
from tests.tiny_model import train_tiny_model

pytestmark = pytest.mark.e2e

SCALE = 60
# The first start is the deployment's; later ones are slow.
SLOW_LATER = """
import pathlib, time
_started = pathlib.Path(__file__).parents[2] / "started"
if _started.exists():
    time.sleep(15)
_started.touch()
"""
BODY = json.dumps({"texts": ["Click here to win free money"], "language": "en"}).encode()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, LocalAws]]:
    model = tmp_path_factory.mktemp("model")
    version = train_tiny_model(model)
    inference = model / "code" / "inference.py"
    inference.write_text(inference.read_text() + SLOW_LATER)
    write_manifest(model)
    with running_local_aws(tmp_path_factory.mktemp("fast-local-aws"), time_scale=SCALE) as aws:
        deployment = aws.deploy(model)
        assert deployment.returncode == 0, deployment.stdout
        yield Stack("TextClassification-dev", stack_outputs("TextClassification-dev"), version), aws


def test_callers_are_told_to_come_back_while_the_model_starts(stack: tuple[Stack, LocalAws]) -> None:
    deployed, aws = stack
    endpoint = deployed.outputs["EndpointName"]

    def post() -> Answer:
        return deployed.post(BODY, {"Content-Type": "application/json"})

    # The rest of the deployment may have taken longer than those ten minutes.
    eventually(lambda: post().status == 200)
    _wait_until_idle(aws, endpoint)

    told = post()

    assert told.status == 503, told.body
    assert told.headers["Content-Type"] == "application/problem+json"
    assert int(told.headers["Retry-After"]) > 0
    answer = eventually(lambda: found if (found := post()).status == 200 else None)
    assert answer.json["results"][0]["label"] == "spam"
    assert boto3.client("sagemaker").describe_endpoint(EndpointName=endpoint)["EndpointStatus"] == "InService"


def _wait_until_idle(aws: LocalAws, endpoint: str) -> None:
    """Wait until no process of the endpoint runs, which takes ten of the local AWS's minutes."""
    directory = str(aws.state.endpoints / endpoint)

    def idle() -> bool:
        return not [one for one in psutil.process_iter(["cwd"]) if (one.info["cwd"] or "").startswith(directory)]

    eventually(idle)
    time.sleep(0.5)
