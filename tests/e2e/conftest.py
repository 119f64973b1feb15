"""A local AWS for the whole test run, in a directory of its own."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest

from sm_client.client import stack_outputs
from tests.local_aws import LocalAws, Stack, running_local_aws
from tests.tiny_model import train_tiny_model
from tests.trainings.stack import TrainingStack, deploy_trainings
from tests.trainings.states import System


@pytest.fixture(scope="session")
def local_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """Start the local AWS, bootstrap it, and make this process its client."""
    with running_local_aws(tmp_path_factory.mktemp("local-aws")) as aws:
        yield aws


@pytest.fixture(scope="session")
def session(local_aws: LocalAws) -> boto3.Session:  # noqa: ARG001 - which sets the environment
    return boto3.Session()


@pytest.fixture(scope="session")
def dev_stack(local_aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """Deploy the stack of stage dev with a model that was trained just now."""
    model = tmp_path_factory.mktemp("model")
    version = train_tiny_model(model)
    deployment = local_aws.deploy(model)
    assert deployment.returncode == 0, deployment.stdout
    return Stack("TextClassification-dev", stack_outputs("TextClassification-dev"), version)


@pytest.fixture(scope="session")
def deployed_trainings(local_aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> TrainingStack:
    """Deploy what trains and promotes models, once for all files."""
    model = tmp_path_factory.mktemp("own-model")
    train_tiny_model(model)
    return deploy_trainings(local_aws, model)


@pytest.fixture(scope="module")
def trainings(deployed_trainings: TrainingStack) -> TrainingStack:
    """What trains and promotes models, with its own model in service, whatever other files have promoted."""
    deployed_trainings.start_over()
    return deployed_trainings


@pytest.fixture(scope="session")
def system(dev_stack: Stack) -> System:
    """The stack of the stage for development, whose state machines are entered in the middle."""
    return System(dev_stack)
