"""Training jobs in the local AWS."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.local_aws import ROOT, LocalAws, running_local_aws
from tests.sagemaker_account import PULL, READ, eventually
from tests.sagemaker_jobs import (
    PASS,
    RULES,
    TAG,
    TRAIN,
    WRITE,
    Jobs,
    channel,
    lines,
    pids_of,
    task,
    transform,
)
from tests.tiny_model import EXAMPLES

pytestmark = pytest.mark.e2e

FAILING = """
import sys
print("validation:macro_f1=0.5")
raise ValueError("there are no labels in the data")
"""
# Counts its own steps, and goes on from the last that was kept.
COUNTING = """
import os, pathlib, time
steps = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"], "checkpoints", "steps")
begun = int(steps.read_text()) if steps.exists() else 0
print(f"begun={begun}", flush=True)
for step in range(begun, 200):
    steps.write_text(str(step))
    time.sleep(.1)
    if begun and step > begun + 3:
        break
pathlib.Path(os.environ["SM_MODEL_DIR"], "begun").write_text(str(begun))
"""
# Ten models are found in all, so that there is time to take the instances away.
A_SECOND_EACH = """
import time
_at_once = _solve
def _solve(*arguments):
    time.sleep(1)
    return _at_once(*arguments)
"""
# Two hosts find each other by name, and each sees its own part of the data.
MEETING = """
import json, os, pathlib, socket
hosts, me = json.loads(os.environ["SM_HOSTS"]), os.environ["SM_CURRENT_HOST"]
files = sorted(path.name for path in pathlib.Path(os.environ["SM_CHANNEL_TRAIN"]).iterdir())
if me == hosts[0]:
    with socket.create_server((me, 42173)) as server:
        connection, _ = server.accept()
        with connection:
            (pathlib.Path(os.environ["SM_MODEL_DIR"]) / "heard").write_bytes(connection.recv(100))
else:
    import time
    for _ in range(200):
        try:
            with socket.create_connection((hosts[0], 42173)) as connection:
                connection.send(f"{me} has {files}".encode())
            break
        except OSError:
            time.sleep(.1)
(pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"]) / me).write_text(str(files))
"""


@pytest.fixture(scope="module")
def account(session: boto3.Session) -> Jobs:
    return Jobs(session)


def librarys_own(account: Jobs, additions: Mapping[str, str], **changes: Any) -> dict[str, Any]:
    """Return the request of a job that runs the library's own ``train.py``, with what is added to some files."""
    sources = ROOT / "model_src"
    paths = [*sources.rglob("*.py"), *sources.glob("*.json")]
    code = {path.relative_to(sources).as_posix(): path.read_text() for path in paths}
    request = account.training({name: text + additions.get(name, "") for name, text in code.items()}, **changes)
    rows = [json.dumps({"text": text, "label": label}) for text, label in EXAMPLES]
    data = account.put(f"{request['TrainingJobName']}/train/shard-00000.jsonl", "\n".join(rows)).rpartition("/")[0]
    request["InputDataConfig"].append(channel("train", data))
    return request


def test_a_state_machine_trains_the_librarys_own_model(account: Jobs) -> None:
    request = librarys_own(account, {})
    request["HyperParameters"]["seed"] = "7"
    request["AlgorithmSpecification"]["MetricDefinitions"] = [
        {"Name": "version", "Regex": "model_version=[a-f]*([0-9]+)"}
    ]

    execution = account.run(
        {"Train": task("sagemaker:createTrainingJob.sync", "{% $states.input %}")},
        TRAIN, TAG, PASS, RULES, input=json.dumps(request),
    )  # fmt: skip

    assert execution["status"] == "SUCCEEDED", execution.get("cause")
    output = json.loads(execution["output"])
    assert output["TrainingJobStatus"] == "Completed"
    assert output["HyperParameters"] == request["HyperParameters"]
    assert output["FinalMetricDataList"][0]["MetricName"] == "version"
    files = account.files(output["ModelArtifacts"]["S3ModelArtifacts"])
    assert sorted(json.loads(files["metadata.json"])["labels"]) == ["bad", "good", "not spam", "spam"]
    described = account.sagemaker.describe_training_job(TrainingJobName=request["TrainingJobName"])
    statuses = [one["Status"] for one in described["SecondaryStatusTransitions"]]
    assert statuses == ["Starting", "Downloading", "Training", "Uploading", "Completed"]


def test_two_hosts_find_each_other_and_share_the_objects(account: Jobs) -> None:
    request = account.training(MEETING)
    for number in range(4):
        data = account.put(f"{request['TrainingJobName']}/train/shard-{number}", "x").rpartition("/")[0]
    request["InputDataConfig"].append(channel("train", data, "ShardedByS3Key"))
    request["ResourceConfig"]["InstanceCount"] = 2

    described = account.trained(account.train(request))

    assert described["TrainingJobStatus"] == "Completed", described.get("FailureReason")
    model = described["ModelArtifacts"]["S3ModelArtifacts"]
    assert account.files(model) == {"heard": b"127.0.0.2 has ['shard-1', 'shard-3']"}
    assert account.files(model.replace("model.tar.gz", "output.tar.gz")) == {
        "127.0.0.1": b"['shard-0', 'shard-2']",
        "127.0.0.2": b"['shard-1', 'shard-3']",
    }


def test_the_cause_of_a_failed_task_is_what_the_job_says(account: Jobs) -> None:
    request = account.training(FAILING)

    execution = account.run(
        {"Train": task("sagemaker:createTrainingJob.sync", request)}, TRAIN, TAG, PASS, RULES
    )  # fmt: skip

    assert (execution["status"], execution["error"]) == ("FAILED", "States.TaskFailed")
    cause = json.loads(execution["cause"])
    assert cause["FailureReason"].startswith("AlgorithmError: ExecuteUserScriptError:\nExitCode 1\n")
    assert "ValueError: there are no labels in the data" in cause["FailureReason"]
    assert cause["FinalMetricDataList"][0]["Value"] == 0.5
    events = account.logs.filter_log_events(
        logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{request['TrainingJobName']}/"
    )["events"]
    assert "validation:macro_f1=0.5" in [event["message"] for event in events]


@pytest.mark.parametrize(
    ("allowed", "missing"),
    [
        ((WRITE, PULL), "s3:ListBucket"),
        ((READ, WRITE), "ecr:BatchGetImage"),
        ((READ, PULL), "s3:PutObject"),
    ],
    ids=["read", "pull", "write"],
)
def test_a_job_fails_for_what_its_role_may_not(account: Jobs, allowed: Any, missing: str) -> None:
    script = "import os; open(os.environ['SM_MODEL_DIR'] + '/model', 'w').write('x')"
    described = account.trained(account.train(account.training(script, RoleArn=account.role(*allowed))))

    assert described["TrainingJobStatus"] == "Failed"
    assert described["FailureReason"].startswith("ClientError: ")
    assert missing in described["FailureReason"]


def test_a_spot_job_goes_on_from_its_checkpoints(account: Jobs, local_aws: LocalAws) -> None:
    request = account.training(COUNTING, EnableManagedSpotTraining=True)
    request["StoppingCondition"]["MaxWaitTimeInSeconds"] = 240
    request["CheckpointConfig"] = {"S3Uri": f"s3://{account.bucket}/{request['TrainingJobName']}/checkpoints"}
    name = account.train(request)
    kept = {"Bucket": account.bucket, "Key": f"{name}/checkpoints/steps"}
    eventually(lambda: account.s3.list_objects_v2(Bucket=account.bucket, Prefix=kept["Key"])["KeyCount"])

    (pid,) = pids_of(local_aws.state.jobs / "training" / name)
    os.kill(pid, signal.SIGKILL)
    described = account.trained(name)

    assert described["TrainingJobStatus"] == "Completed", described.get("FailureReason")
    statuses = [one["Status"] for one in described["SecondaryStatusTransitions"]]
    assert statuses[2:6] == ["Training", "Interrupted", "Restarting", "Downloading"]
    assert int(account.files(described["ModelArtifacts"]["S3ModelArtifacts"])["begun"]) > 10


def test_the_librarys_own_training_goes_on_when_spot_instances_are_taken_away(
    account: Jobs, local_aws: LocalAws
) -> None:
    request = librarys_own(account, {"fitting.py": A_SECOND_EACH}, EnableManagedSpotTraining=True)
    request["StoppingCondition"]["MaxWaitTimeInSeconds"] = 240
    request["CheckpointConfig"] = {"S3Uri": f"s3://{account.bucket}/{request['TrainingJobName']}/checkpoints"}
    name = account.train(request)
    kept = {"Bucket": account.bucket, "Prefix": f"{name}/checkpoints/"}
    eventually(lambda: account.s3.list_objects_v2(**kept)["KeyCount"])

    (pid,) = pids_of(local_aws.state.jobs / "training" / name)
    os.kill(pid, signal.SIGKILL)
    described = account.trained(name, 180)

    assert described["TrainingJobStatus"] == "Completed", described.get("FailureReason")
    statuses = [one["Status"] for one in described["SecondaryStatusTransitions"]]
    assert "Interrupted" in statuses
    log = {"logGroupName": "/aws/sagemaker/TrainingJobs", "logStreamNamePrefix": name}
    lines_of_log = boto3.client("logs").filter_log_events(**log)["events"]
    assert [line for line in lines_of_log if line["message"].startswith("resumed with the scores of regularization")]


def test_a_caller_that_may_not_pass_the_role_is_refused(account: Jobs) -> None:
    role = account.role(TRAIN, service="sagemaker.amazonaws.com")
    trust = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::000000000000:root"}, "Action": "sts:AssumeRole"}
    account.iam.update_assume_role_policy(
        RoleName=role.rpartition("/")[2], PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )
    found = boto3.client("sts").assume_role(RoleArn=role, RoleSessionName="caller")["Credentials"]
    caller = boto3.client(
        "sagemaker",
        aws_access_key_id=found["AccessKeyId"],
        aws_secret_access_key=found["SecretAccessKey"],
        aws_session_token=found["SessionToken"],
    )

    with pytest.raises(ClientError, match=r"not authorized to perform: iam:PassRole"):
        caller.create_training_job(**account.training(FAILING))


def test_jobs_that_take_too_long_and_are_stopped_keep_what_they_made(account: Jobs) -> None:
    script = """
import os, pathlib, signal, sys, time
def end(*_): pathlib.Path(os.environ["SM_MODEL_DIR"], "best").touch(); sys.exit(1)
signal.signal(signal.SIGTERM, end)
time.sleep(60)
"""
    request = account.training(script, StoppingCondition={"MaxRuntimeInSeconds": 2})
    described = account.trained(account.train(request))

    assert (described["TrainingJobStatus"], described["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert list(account.files(described["ModelArtifacts"]["S3ModelArtifacts"])) == ["best"]
    statuses = [one["Status"] for one in described["SecondaryStatusTransitions"]]
    assert statuses == ["Starting", "Downloading", "Training", "Stopping", "Uploading", "MaxRuntimeExceeded"]


def test_a_killed_process_fails_a_job_that_is_not_on_spot_instances(account: Jobs, local_aws: LocalAws) -> None:
    name = account.train(account.training("import time; time.sleep(60)"))
    directory = local_aws.state.jobs / "training" / name
    eventually(lambda: next(pids_of(directory), None))
    for pid in pids_of(directory):
        os.kill(pid, signal.SIGKILL)

    described = account.trained(name)
    assert described["TrainingJobStatus"] == "Failed"
    assert described["FailureReason"].endswith("exit code: 137")


def test_an_isolated_job_has_no_credentials_and_code_from_its_channel(account: Jobs) -> None:
    script = """
import os
assert "AWS_ACCESS_KEY_ID" not in os.environ
print("validation:macro_f1=0.75")
"""
    described = account.trained(account.train(account.training(script, EnableNetworkIsolation=True)))
    assert described["TrainingJobStatus"] == "Completed", described.get("FailureReason")
    assert described["FinalMetricDataList"][0]["Value"] == 0.75


def test_a_change_of_a_jobs_status_is_an_event(account: Jobs) -> None:
    events, sqs = account.session.client("events"), account.session.client("sqs")
    name = f"status-{uuid4().hex[:12]}"
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    request = account.training("")
    pattern = {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Training Job State Change"],
        "detail": {"TrainingJobName": [request["TrainingJobName"]], "TrainingJobStatus": ["Completed"]},
    }
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])

    account.train(request)

    (message,) = eventually(lambda: sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1).get("Messages"))
    detail = json.loads(message["Body"])["detail"]
    assert detail["SecondaryStatus"] == "Completed"
    assert detail["TrainingEndTime"] > 1_700_000_000_000


def test_nothing_of_a_job_is_left_when_the_local_aws_ends(tmp_path: Path) -> None:
    with running_local_aws(tmp_path, bootstrapped=False) as aws:
        account = Jobs(boto3.Session())
        training = aws.state.jobs / "training" / account.train(account.training("import time; time.sleep(600)"))
        request = transform(account, {"a.jsonl": lines("a", sleep=600)})
        account.sagemaker.create_transform_job(**request)
        labelling = aws.state.jobs / "transform" / request["TransformJobName"]
        eventually(lambda: [*pids_of(training)] and [*pids_of(labelling)])

    eventually(lambda: not [*pids_of(training), *pids_of(labelling)])
