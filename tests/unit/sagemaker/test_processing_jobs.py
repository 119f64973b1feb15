"""Processing jobs: what the local SageMaker refuses, and where the container's paths are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sm_local.sagemaker.errors import SageMakerError
from sm_local.sagemaker.jobs.paths import local
from sm_local.sagemaker.jobs.processing_job import ProcessingJob
from tests.unit.sagemaker.job_requests import ROLE, job_role

__all__ = ["job_role"]
pytestmark = pytest.mark.usefixtures("job_role")

S3 = {"S3Uri": "s3://b/k", "LocalPath": "/opt/ml/processing/input/a", "S3DataType": "S3Prefix", "S3InputMode": "File"}
OUT = {"S3Uri": "s3://b/o", "LocalPath": "/opt/ml/processing/output/a", "S3UploadMode": "EndOfJob"}


def job(**changes: Any) -> ProcessingJob:
    request = {
        "ProcessingJobName": "job",
        "RoleArn": ROLE,
        "AppSpecification": {"ImageUri": "i", "ContainerEntrypoint": ["python3"], "ContainerArguments": ["a.py"]},
        "ProcessingResources": {"ClusterConfig": {"InstanceCount": 1, "InstanceType": "t", "VolumeSizeInGB": 1}},
        "ProcessingInputs": [{"InputName": "in", "S3Input": S3}],
        "ProcessingOutputConfig": {"Outputs": [{"OutputName": "out", "S3Output": OUT}]},
        **changes,
    }
    return ProcessingJob(request, "arn:job")


def test_the_command_is_entry_point_and_arguments() -> None:
    assert job().command == ["python3", "a.py"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"AppSpecification": {"ImageUri": "i"}}, "name the command by AppSpecification.ContainerEntrypoint"),
        ({"ProcessingInputs": [{"InputName": "in", "DatasetDefinition": {}}]}, "only as files from S3"),
        ({"ProcessingInputs": [{"InputName": "in", "S3Input": {**S3, "S3InputMode": "Pipe"}}]}, "only as files"),
        ({"ProcessingInputs": [{"InputName": "in", "S3Input": {**S3, "S3CompressionType": "Gzip"}}]}, "not unpack"),
        ({"ProcessingInputs": [{"InputName": "in", "S3Input": {**S3, "LocalPath": "/data"}}]}, "must be below"),
        ({"ProcessingOutputConfig": {"Outputs": [{"OutputName": "out"}]}}, "writes output out only to S3"),
    ],
)
def test_what_would_not_run_as_on_sagemaker_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(SageMakerError, match=words):
        job(**changes)


def test_an_exit_message_is_told() -> None:
    processed = job()
    assert "ExitMessage" not in processed.description
    processed.exit_message = "20 rows"
    assert processed.description["ExitMessage"] == "20 rows"


@pytest.mark.parametrize(
    ("text", "here"),
    [
        ("ls /opt/ml/processing/input", "ls /tmp/state/processing/input"),
        ("cd /tmp && ls '/tmp/code'", "cd /tmp/state/tmp && ls '/tmp/state/tmp/code'"),
        ("/opt/mlx /var/tmp ./tmp /tmpfile", "/opt/mlx /var/tmp ./tmp /tmpfile"),
        ("A=/tmp:/opt/ml", "A=/tmp/state/tmp:/tmp/state"),
    ],
)
def test_paths_of_a_container_are_found_in_a_command(text: str, here: str) -> None:
    state = Path("/tmp/state")  # noqa: S108 - which must not be replaced again
    assert local(text, {"/opt/ml": state, "/tmp": state / "tmp"}) == here  # noqa: S108
