"""Processing and batch transform jobs in the local AWS."""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.local_aws import LocalAws
from tests.sagemaker_account import eventually
from tests.sagemaker_jobs import (
    PASS,
    PROCESS,
    RULES,
    TAG,
    TRANSFORM,
    Jobs,
    ended_job,
    lines,
    outputs,
    pids_of,
    processing,
    task,
    transform,
)

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def account(session: boto3.Session) -> Jobs:
    return Jobs(session)


def test_a_state_machine_processes_files(account: Jobs) -> None:
    request = processing(account)
    execution = account.run(
        {"Process": task("sagemaker:createProcessingJob.sync", request)}, PROCESS, TAG, PASS, RULES
    )  # fmt: skip

    assert execution["status"] == "SUCCEEDED", execution.get("cause")
    assert json.loads(execution["output"])["ProcessingJobStatus"] == "Completed"
    made = account.s3.get_object(Bucket=account.bucket, Key=f"{request['ProcessingJobName']}/counts/letters")
    letters, unit, file = made["Body"].read().decode().split()
    assert (letters, unit) == ("4", "letters")
    assert file.endswith("/tmp/code/count.py")  # noqa: S108
    assert file != "/tmp/code/count.py", "jobs would share it"  # noqa: S108


def test_a_failed_processing_job_says_what_its_program_wrote(account: Jobs) -> None:
    request = processing(account, "broken")
    execution = account.run(
        {"Process": task("sagemaker:createProcessingJob.sync", request)}, PROCESS, TAG, PASS, RULES
    )  # fmt: skip

    cause = json.loads(execution["cause"])
    assert cause["ExitMessage"] == "the text is broken"
    assert cause["FailureReason"] == "AlgorithmError: the text is broken, exit code: 3"


def test_a_state_machine_transforms_files_and_one_that_cannot_be_has_no_output(account: Jobs) -> None:
    request = transform(account, {"a.jsonl": lines("a", "b"), "b.jsonl": lines("c", "broken"), "c.jsonl": lines("d")})
    execution = account.run(
        {"Label": task("sagemaker:createTransformJob.sync", request)}, TRANSFORM, TAG, RULES
    )  # fmt: skip

    assert execution["status"] == "FAILED"
    assert "b.jsonl: the model answered 500" in json.loads(execution["cause"])["FailureReason"]
    assert outputs(account, request["TransformJobName"]) == {
        "a.jsonl.out": [
            {"id": 0, "SageMakerOutput": {"label": "A"}},
            {"id": 1, "SageMakerOutput": {"label": "B"}},
        ],
        "c.jsonl.out": [{"id": 0, "SageMakerOutput": {"label": "D"}}],
    }


def kill_at_work(directory: Path) -> None:
    """Kill what runs in a directory, and not what is started instead meanwhile: parents first, as they do that."""
    log = directory / "instance-1" / "log"
    eventually(lambda: log.is_file() and "labelling" in log.read_text())
    for pid in sorted(pids_of(directory)):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_a_transform_job_goes_on_after_its_models_processes_are_killed(account: Jobs, local_aws: LocalAws) -> None:
    request = transform(account, {"a.jsonl": lines(*"abcdefghij", sleep=0.3)})
    account.sagemaker.create_transform_job(**request)
    directory = local_aws.state.jobs / "transform" / request["TransformJobName"]
    kill_at_work(directory)

    described = eventually(lambda: ended_job(account, "transform", request["TransformJobName"]))
    assert described["TransformJobStatus"] == "Completed", described.get("FailureReason")
    (found,) = outputs(account, request["TransformJobName"]).values()
    assert [one["SageMakerOutput"]["label"] for one in found] == list("ABCDEFGHIJ")


def test_a_transform_job_whose_retries_are_used_up_fails(account: Jobs, local_aws: LocalAws) -> None:
    request = transform(
        account, {"a.jsonl": lines(*"abc", sleep=3)}, ModelClientConfig={"InvocationsMaxRetries": 0}
    )  # fmt: skip
    account.sagemaker.create_transform_job(**request)
    directory = local_aws.state.jobs / "transform" / request["TransformJobName"]
    kill_at_work(directory)

    assert (
        eventually(lambda: ended_job(account, "transform", request["TransformJobName"]))["TransformJobStatus"]
        == "Failed"
    )
    assert outputs(account, request["TransformJobName"]) == {}


def test_a_manifest_names_objects_and_outputs_are_written_as_they_are_made(account: Jobs) -> None:
    request = processing(account)
    name = request["ProcessingJobName"]
    account.put(f"{name}/others/b/c.txt", "five!")
    manifest = [{"prefix": f"s3://{account.bucket}/{name}/others/"}, "b/c.txt"]
    (_, text) = request["ProcessingInputs"]
    text["S3Input"] |= {"S3Uri": account.put(f"{name}/manifest", json.dumps(manifest)), "S3DataType": "ManifestFile"}
    command = (
        "cd /opt/ml/processing && cp input/text/b/c.txt output/counts/first && sleep 5 && "
        "test -f output/counts/first && echo done > output/counts/last"
    )
    request["AppSpecification"]["ContainerEntrypoint"] = ["/bin/sh", "-c", command]
    request["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3UploadMode"] = "Continuous"

    def written() -> list[str]:
        found = account.s3.list_objects_v2(Bucket=account.bucket, Prefix=f"{name}/counts/").get("Contents", ())
        return [entry["Key"].rpartition("/")[2] for entry in found]

    account.sagemaker.create_processing_job(**request)
    assert eventually(written) == ["first"]
    described = eventually(lambda: ended_job(account, "processing", name))
    assert described["ProcessingJobStatus"] == "Completed", described.get("FailureReason")
    assert written() == ["first", "last"]


@pytest.mark.parametrize("kind", ["processing", "transform"])
def test_a_job_is_stopped(account: Jobs, local_aws: LocalAws, kind: str) -> None:
    if kind == "processing":
        request = processing(account)
        request["AppSpecification"]["ContainerEntrypoint"] = ["sleep", "60"]
    else:
        request = transform(account, {"a.jsonl": lines(*"abcdefgh", sleep=1)})
    name = request[f"{kind.title()}JobName"]
    getattr(account.sagemaker, f"create_{kind}_job")(**request)
    eventually(lambda: list(pids_of(local_aws.state.jobs / kind / name)))

    getattr(account.sagemaker, f"stop_{kind}_job")(**{f"{kind.title()}JobName": name})

    assert eventually(lambda: ended_job(account, kind, name))[f"{kind.title()}JobStatus"] == "Stopped"
    listed = getattr(account.sagemaker, f"list_{kind}_jobs")(StatusEquals="Stopped", NameContains=name)
    assert [one[f"{kind.title()}JobName"] for one in listed[f"{kind.title()}JobSummaries"]] == [name]
    with pytest.raises(ClientError, match="is in status Stopped"):
        getattr(account.sagemaker, f"stop_{kind}_job")(**{f"{kind.title()}JobName": name})
