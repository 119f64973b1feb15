"""SageMaker's jobs in the local AWS, and the state machines that run them."""

from __future__ import annotations

import io
import json
import os
import signal
import tarfile
import time
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.local_aws import ROOT, LocalAws, running_local_aws
from tests.sagemaker_account import IMAGE, LOG, PULL, READ, Account, archive, eventually
from tests.tiny_model import EXAMPLES

pytestmark = pytest.mark.e2e

WRITE = {"Action": ["s3:PutObject"]}
RULES = {"Action": ["events:PutTargets", "events:PutRule", "events:DescribeRule"]}
TRAIN = {"Action": [f"sagemaker:{action}TrainingJob" for action in ("Create", "Describe", "Stop")]}
TAG, PASS = {"Action": "sagemaker:AddTags"}, {"Action": "iam:PassRole"}
MIME = ["application/json"]
ENDED = ("Completed", "Failed", "Stopped")

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


class Jobs(Account):
    """Starts jobs with names that no other test uses."""

    def put(self, key: str, body: str | bytes) -> str:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)
        return f"s3://{self.bucket}/{key}"

    def training(self, script: str | Mapping[str, str] = FAILING, **changes: Any) -> dict[str, Any]:
        """Return the request of a training job; the script's code comes in a channel of its own."""
        name = f"training-{uuid4().hex[:12]}"
        files = {"train.py": script} if isinstance(script, str) else script
        code = self.put(f"{name}/code/sourcedir.tar.gz", archive(files))
        request = {
            "TrainingJobName": name,
            "AlgorithmSpecification": {
                "TrainingImage": IMAGE,
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": "validation:macro_f1", "Regex": "validation:macro_f1=([0-9.]+)"}],
            },
            "RoleArn": self.role(READ, WRITE, PULL, LOG),
            "HyperParameters": {
                "sagemaker_program": "train.py",
                "sagemaker_submit_directory": "/opt/ml/input/data/code/sourcedir.tar.gz",
            },
            "InputDataConfig": [channel("code", code)],
            "OutputDataConfig": {"S3OutputPath": f"s3://{self.bucket}/{name}"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 120},
        }
        return request | changes

    def train(self, request: Mapping[str, Any]) -> str:
        self.sagemaker.create_training_job(**request)
        return str(request["TrainingJobName"])

    def trained(self, name: str, seconds: float = 60) -> dict[str, Any]:
        return eventually(lambda: self._ended(name), seconds)

    def _ended(self, name: str) -> dict[str, Any] | None:
        described: dict[str, Any] = self.sagemaker.describe_training_job(TrainingJobName=name)
        return described if described["TrainingJobStatus"] in ENDED else None

    def files(self, uri: str) -> dict[str, bytes]:
        """Return what is in an archive in S3."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        body = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        with tarfile.open(fileobj=io.BytesIO(body)) as tar:
            return {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]

    def run(self, states: Mapping[str, Any], *allowed: dict[str, Any], **options: Any) -> dict[str, Any]:
        """Run a state machine to its end, with what its role is allowed, and return its description."""
        arn = self.start(states, *allowed, **options)
        client = self.session.client("stepfunctions")

        def ended() -> dict[str, Any] | None:
            described: dict[str, Any] = client.describe_execution(executionArn=arn)
            return described if described["status"] != "RUNNING" else None

        return eventually(ended, 90)

    def start(self, states: Mapping[str, Any], *allowed: dict[str, Any], **options: Any) -> str:
        client = self.session.client("stepfunctions")
        first = next(iter(states))
        machine = client.create_state_machine(
            name=f"machine-{uuid4().hex[:12]}",
            definition=json.dumps({"StartAt": first, "States": states, "QueryLanguage": "JSONata"}),
            roleArn=self.role(*allowed, service="states.amazonaws.com"),
        )["stateMachineArn"]
        return str(client.start_execution(stateMachineArn=machine, **options)["executionArn"])


def channel(name: str, uri: str, distribution: str = "FullyReplicated") -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": distribution}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}


def task(resource: str, arguments: Any, **others: Any) -> dict[str, Any]:
    return {"Type": "Task", "Resource": f"arn:aws:states:::{resource}", "Arguments": arguments, "End": True, **others}


@pytest.fixture(scope="module")
def account(session: boto3.Session) -> Jobs:
    return Jobs(session)


def test_a_state_machine_trains_the_librarys_own_model(account: Jobs) -> None:
    code = {path.relative_to(ROOT / "model_src").as_posix(): path.read_text()
            for path in (ROOT / "model_src").rglob("*.py")}  # fmt: skip
    request = account.training(code)
    rows = [json.dumps({"text": text, "label": label}) for text, label in EXAMPLES]
    data = account.put(f"{request['TrainingJobName']}/train/shard-00000.jsonl", "\n".join(rows)).rpartition("/")[0]
    request["InputDataConfig"].append(channel("train", data))
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


@pytest.mark.parametrize(
    ("left", "missing"),
    [
        ((TAG, PASS, RULES), "sagemaker:CreateTrainingJob"),
        ((TRAIN, PASS, RULES), "sagemaker:AddTags"),
        ((TRAIN, TAG, RULES), "iam:PassRole"),
        ((TRAIN, TAG, PASS), "not authorized to create managed-rule"),
        (({"Action": "sagemaker:CreateTrainingJob"}, TAG, PASS, RULES), "sagemaker:DescribeTrainingJob"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_task_fails_for_what_the_state_machines_role_may_not(account: Jobs, left: Any, missing: str) -> None:
    execution = account.run({"Train": task("sagemaker:createTrainingJob.sync", account.training())}, *left)

    assert execution["status"] == "FAILED"
    assert missing in execution["cause"]


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


def test_a_job_is_stopped_with_its_execution(account: Jobs) -> None:
    request = account.training("import time\ntime.sleep(60)")
    arn = account.start({"Train": task("sagemaker:createTrainingJob.sync", request)}, TRAIN, TAG, PASS, RULES)
    named = {"TrainingJobName": request["TrainingJobName"]}

    def trains() -> bool:
        try:
            return bool(account.sagemaker.describe_training_job(**named)["SecondaryStatus"] == "Training")
        except ClientError:
            return False

    eventually(trains)
    account.session.client("stepfunctions").stop_execution(executionArn=arn, cause="changed my mind")

    assert account.trained(request["TrainingJobName"])["SecondaryStatus"] == "Stopped"
    execution = account.session.client("stepfunctions").describe_execution(executionArn=arn)
    assert (execution["status"], execution["cause"]) == ("ABORTED", "changed my mind")


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
        caller.create_training_job(**account.training())


# Counts the letters of the input, in code that is unpacked where other jobs unpack theirs.
COUNT_LETTERS = """
import os, pathlib, sys
base = pathlib.Path(os.environ["PROCESSING_DIR"])
text = (base / "input" / "text" / "a.txt").read_text()
print("counting", flush=True)
if "broken" in text:
    (base.parent / "output").mkdir(exist_ok=True)
    (base.parent / "output" / "message").write_text("the text is broken")
    sys.exit(3)
(base / "output" / "counts").mkdir(parents=True, exist_ok=True)
(base / "output" / "counts" / "letters").write_text(f"{len(text)} {os.environ['UNIT']} {__file__}")
"""
COMMAND = (
    "mkdir -p /tmp/code && tar -xzf /opt/ml/processing/input/code/*.gz -C /tmp/code && exec python3 /tmp/code/count.py"
)


def processing(account: Jobs, text: str = "four") -> dict[str, Any]:
    name = f"processing-{uuid4().hex[:12]}"
    code = account.put(f"{name}/code/sourcedir.tar.gz", archive({"count.py": COUNT_LETTERS}))
    inputs = {"code": code, "text": account.put(f"{name}/text/a.txt", text).rpartition("/")[0]}
    return {
        "ProcessingJobName": name,
        "RoleArn": account.role(READ, WRITE, PULL, LOG),
        "AppSpecification": {"ImageUri": IMAGE, "ContainerEntrypoint": ["/bin/sh", "-c", COMMAND]},
        "Environment": {"UNIT": "letters"},
        "ProcessingResources": {
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
        },
        "ProcessingInputs": [
            {
                "InputName": key,
                "S3Input": {
                    "S3Uri": uri,
                    "LocalPath": f"/opt/ml/processing/input/{key}",
                    "S3DataType": "S3Prefix",
                    "S3InputMode": "File",
                },
            }
            for key, uri in inputs.items()
        ],
        "ProcessingOutputConfig": {
            "Outputs": [
                {
                    "OutputName": "counts",
                    "S3Output": {
                        "S3Uri": f"s3://{account.bucket}/{name}/counts",
                        "LocalPath": "/opt/ml/processing/output/counts",
                        "S3UploadMode": "EndOfJob",
                    },
                }
            ]
        },
    }


PROCESS = {"Action": [f"sagemaker:{action}ProcessingJob" for action in ("Create", "Describe", "Stop")]}


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


TRANSFORM = {"Action": [f"sagemaker:{action}TransformJob" for action in ("Create", "Describe", "Stop")]}
LABELLING = """
import json, os, time
def model_fn(directory): return os.getpid()
def input_fn(body, content_type): return json.loads(body)
def predict_fn(data, model):
    time.sleep(data.get("sleep", 0))
    if data["text"] == "broken": raise ValueError("broken")
    return {"label": data["text"].upper()}
def output_fn(prediction, accept): return json.dumps(prediction)
"""


def transform(account: Jobs, files: Mapping[str, str], **changes: Any) -> dict[str, Any]:
    name = f"transform-{uuid4().hex[:12]}"
    for file, text in files.items():
        account.put(f"{name}/in/{file}", text)
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{account.bucket}/{name}/in/"}}
    request = {
        "TransformJobName": name,
        "ModelName": account.model(LABELLING, role=account.role(READ, WRITE, PULL, LOG)),
        "BatchStrategy": "SingleRecord",
        "TransformInput": {"DataSource": source, "ContentType": "application/json", "SplitType": "Line"},
        "TransformOutput": {
            "S3OutputPath": f"s3://{account.bucket}/{name}/out",
            "Accept": "application/json",
            "AssembleWith": "Line",
        },
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 2},
        "DataProcessing": {"JoinSource": "Input", "InputFilter": "$", "OutputFilter": "$['id','SageMakerOutput']"},
    }
    return request | changes


def outputs(account: Jobs, name: str) -> dict[str, list[Any]]:
    found = account.s3.list_objects_v2(Bucket=account.bucket, Prefix=f"{name}/out/").get("Contents", ())
    return {
        entry["Key"].rpartition("/")[2]: [
            json.loads(line)
            for line in account.s3.get_object(Bucket=account.bucket, Key=entry["Key"])["Body"].read().splitlines()
        ]
        for entry in found
    }


def lines(*texts: str, **others: Any) -> str:
    return "".join(f"{json.dumps({'id': index, 'text': text, **others})}\n" for index, text in enumerate(texts))


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


def test_a_transform_job_goes_on_after_its_models_processes_are_killed(account: Jobs, local_aws: LocalAws) -> None:
    request = transform(account, {"a.jsonl": lines(*"abcdefghij", sleep=0.3)})
    account.sagemaker.create_transform_job(**request)
    directory = local_aws.state.jobs / "transform" / request["TransformJobName"]
    eventually(lambda: sum(1 for _ in pids_of(directory)) >= 4)
    time.sleep(1)
    for pid in pids_of(directory):
        os.kill(pid, signal.SIGKILL)

    def ended() -> dict[str, Any] | None:
        found: dict[str, Any] = account.sagemaker.describe_transform_job(TransformJobName=request["TransformJobName"])
        return found if found["TransformJobStatus"] in ENDED else None

    described = eventually(ended, 60)
    assert described["TransformJobStatus"] == "Completed", described.get("FailureReason")
    (found,) = outputs(account, request["TransformJobName"]).values()
    assert [one["SageMakerOutput"]["label"] for one in found] == list("ABCDEFGHIJ")


def pids_of(directory: Path) -> Iterator[int]:
    """Yield the processes that run in a directory."""
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and (entry / "cwd").readlink().is_relative_to(directory):
                yield int(entry.name)
        except OSError:
            continue


def test_a_state_machine_calls_aws_with_its_role(account: Jobs) -> None:
    group, key = f"group-{uuid4().hex[:12]}", f"parameters/{uuid4().hex[:12]}"
    account.sagemaker.create_model_package_group(ModelPackageGroupName=group)
    package = {"Containers": [{"Image": IMAGE}], "SupportedContentTypes": MIME, "SupportedResponseMIMETypes": MIME}
    states = {
        "Register": task(
            "aws-sdk:sagemaker:createModelPackage",
            {
                "ModelPackageGroupName": group,
                "InferenceSpecification": package,
                "CustomerMetadataProperties": {"data_set": "abc"},
            },
            Next="Describe",
        ),
        "Describe": task(
            "aws-sdk:sagemaker:describeModelPackage",
            {"ModelPackageName": "{% $states.input.ModelPackageArn %}"},
            Assign={"package": "{% $states.result %}"},
            Next="Remember",
        ),
        "Remember": task(
            "aws-sdk:ssm:putParameter",
            {"Name": f"/{key}", "Value": "{% $package.ModelPackageArn %}", "Type": "String", "Overwrite": True},
            Next="Recall",
        ),
        "Recall": task("aws-sdk:ssm:getParameter", {"Name": f"/{key}"}, Next="Write"),
        "Write": task(
            "aws-sdk:s3:putObject",
            {"Bucket": account.bucket, "Key": key, "Body": {"value": "{% $states.input.Parameter.Value %}"}},
            Next="Read",
        ),
        "Read": task(
            "aws-sdk:s3:getObject",
            {"Bucket": account.bucket, "Key": key},
            Output="{% {'body': $parse($states.result.Body), 'package': $package} %}",
        ),
    }
    for name in list(states)[:-1]:
        del states[name]["End"]
    register = {"Action": ["sagemaker:CreateModelPackage", "sagemaker:DescribeModelPackage"]}
    remember = {
        "Action": ["ssm:PutParameter", "ssm:GetParameter"],
        "Resource": f"arn:aws:ssm:us-east-1:000000000000:parameter/{key}",
    }

    execution = account.run(states, register, remember, READ, WRITE)

    assert execution["status"] == "SUCCEEDED", execution.get("cause")
    output = json.loads(execution["output"])
    assert output["body"]["value"] == output["package"]["ModelPackageArn"]
    assert output["package"]["ModelPackageVersion"] == 1
    assert output["package"]["CustomerMetadataProperties"] == {"data_set": "abc"}
    assert output["package"]["CreationTime"].endswith("Z")
    for allowed, error, missing in (
        ((remember, READ, WRITE), "SageMaker.SageMakerException", "sagemaker:CreateModelPackage"),
        ((register, READ, WRITE), "Ssm.SsmException", "ssm:PutParameter"),
        ((register, remember, READ), "S3.S3Exception", "s3:PutObject"),
    ):
        refused = account.run(states, *allowed)
        assert (refused["status"], refused["error"]) == ("FAILED", error)
        assert missing in refused["cause"]


def test_a_state_machine_makes_an_endpoint(account: Jobs) -> None:
    name = f"made-{uuid4().hex[:12]}"
    container = account.container(GREETING="made by a state machine")
    variant = account.variant(name)
    states = {
        "Model": task(
            "sagemaker:createModel",
            {
                "ModelName": name,
                "PrimaryContainer": container,
                "ExecutionRoleArn": account.role(READ, PULL, LOG),
            },
            Next="Config",
        ),
        "Config": task(
            "sagemaker:createEndpointConfig",
            {"EndpointConfigName": name, "ProductionVariants": [variant]},
            Next="Endpoint",
        ),
        "Endpoint": task("sagemaker:createEndpoint", {"EndpointName": name, "EndpointConfigName": name}),
    }
    for state in ("Model", "Config"):
        del states[state]["End"]
    create = {"Action": ["sagemaker:CreateModel", "sagemaker:CreateEndpointConfig", "sagemaker:CreateEndpoint"]}

    execution = account.run(states, create, PASS)

    assert execution["status"] == "SUCCEEDED", execution.get("cause")
    assert json.loads(execution["output"])["EndpointArn"].endswith(f":endpoint/{name}")
    account.wait(name)
    assert account.invoke(name)["greeting"] == "made by a state machine"
    again = account.run(states, create, PASS)
    assert (again["status"], again["error"]) == ("FAILED", "SageMaker.AmazonSageMakerException")
    assert "Cannot create already existing model" in again["cause"]
    refused = account.run({"Endpoint": states["Endpoint"]}, {"Action": "sagemaker:CreateModel"})
    assert "sagemaker:CreateEndpoint" in refused["cause"]


def test_a_transform_job_whose_retries_are_used_up_fails(account: Jobs, local_aws: LocalAws) -> None:
    request = transform(
        account, {"a.jsonl": lines(*"abc", sleep=3)}, ModelClientConfig={"InvocationsMaxRetries": 0}
    )  # fmt: skip
    account.sagemaker.create_transform_job(**request)
    directory = local_aws.state.jobs / "transform" / request["TransformJobName"]
    eventually(lambda: sum(1 for _ in pids_of(directory)) >= 4)
    time.sleep(1)
    for pid in pids_of(directory):
        os.kill(pid, signal.SIGKILL)

    def ended() -> dict[str, Any] | None:
        found: dict[str, Any] = account.sagemaker.describe_transform_job(TransformJobName=request["TransformJobName"])
        return found if found["TransformJobStatus"] in ENDED else None

    assert eventually(ended, 60)["TransformJobStatus"] == "Failed"
    assert outputs(account, request["TransformJobName"]) == {}


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


def invoked(function: str, **others: Any) -> dict[str, Any]:
    return task("lambda:invoke", {"FunctionName": function, "Payload": "{% $states.input %}"}, **others)


@pytest.fixture(scope="module")
def function(account: Jobs) -> str:
    """Return the ARN of a function that checks a row, and refuses one without a label by an exception of its own."""
    code = """
class DatasetError(ValueError):
    pass
def handler(event, context):
    if "label" not in event["row"]:
        raise DatasetError("row 3: no label")
    return event["row"]["label"]
"""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("check.py", code)
    answer = account.session.client("lambda").create_function(
        FunctionName=f"check-{uuid4().hex[:12]}",
        Runtime="python3.12",
        Handler="check.handler",
        Role=account.role(service="lambda.amazonaws.com"),
        Code={"ZipFile": buffer.getvalue()},
    )
    return str(answer["FunctionArn"])


def test_a_functions_exception_is_caught_by_its_name(account: Jobs, function: str) -> None:
    caught = {"ErrorEquals": ["DatasetError"], "Output": "{% $states.errorOutput %}", "Next": "Explain"}
    states = {"Check": invoked(function, Catch=[caught]), "Explain": {"Type": "Pass", "End": True}}

    execution = account.run(states, {"Action": "lambda:InvokeFunction", "Resource": function}, input='{"row": {}}')

    output = json.loads(execution["output"])
    assert output["Error"] == "DatasetError"
    assert json.loads(output["Cause"])["errorMessage"] == "row 3: no label"


def test_a_state_machine_invokes_only_functions_that_its_role_may(account: Jobs, function: str) -> None:
    execution = account.run({"Check": invoked(function)}, {"Action": "lambda:InvokeFunction", "Resource": "arn:other"})
    assert (execution["status"], execution["error"]) == ("FAILED", "Lambda.AWSLambdaException")
    assert f"lambda:InvokeFunction on resource: {function}" in execution["cause"]


def test_a_distributed_map_reads_its_parts_and_writes_its_results_with_the_role(account: Jobs, function: str) -> None:
    prefix = uuid4().hex
    account.put(f"{prefix}/parts.json", json.dumps([{"label": "good"}, {"label": "bad"}]))
    states = {
        "Parts": {
            "Type": "Map",
            "ItemReader": {
                "Resource": "arn:aws:states:::s3:getObject",
                "ReaderConfig": {"InputType": "JSON"},
                "Arguments": {"Bucket": account.bucket, "Key": "{% $states.input.parts %}"},
            },
            "ItemSelector": {"row": "{% $states.context.Map.Item.Value %}"},
            "ItemProcessor": {
                "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                "StartAt": "Check",
                "States": {"Check": invoked(function, Output="{% $states.result.Payload %}")},
            },
            "End": True,
        }
    }
    written = {"Bucket": account.bucket, "Prefix": f"{prefix}/results"}
    writing = {"Resource": "arn:aws:states:::s3:putObject", "Arguments": written}
    given = {"input": json.dumps({"parts": f"{prefix}/parts.json"})}
    invoke, start = {"Action": "lambda:InvokeFunction"}, {"Action": "states:StartExecution"}

    execution = account.run(states, invoke, start, READ, **given)
    assert execution["status"] == "SUCCEEDED", execution.get("cause")
    assert json.loads(execution["output"]) == ["good", "bad"]

    states["Parts"]["ResultWriter"] = writing
    execution = account.run(states, invoke, start, READ, WRITE, **given)
    assert execution["status"] == "SUCCEEDED", execution.get("cause")
    details = json.loads(execution["output"])["ResultWriterDetails"]
    manifest = json.load(account.s3.get_object(Bucket=details["Bucket"], Key=details["Key"])["Body"])
    (file,) = manifest["ResultFiles"]["SUCCEEDED"]
    rows = json.load(account.s3.get_object(Bucket=details["Bucket"], Key=file["Key"])["Body"])
    assert [json.loads(row["Output"]) for row in rows] == ["good", "bad"]

    for left, missing in (
        ((invoke, READ, WRITE), "states:StartExecution"),
        ((invoke, start, WRITE), "s3:GetObject"),
        ((invoke, start, READ), "s3:PutObject"),
    ):
        refused = account.run(states, *left, **given)
        assert refused["status"] == "FAILED"
        assert missing in refused["cause"]


def test_an_approval_is_asked_for_by_a_topic_and_given_by_its_token(account: Jobs) -> None:
    sns, sqs, states = (account.session.client(name) for name in ("sns", "sqs", "stepfunctions"))
    name = f"approval-{uuid4().hex[:12]}"
    topic = sns.create_topic(Name=name)["TopicArn"]
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    may = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [may]})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    ask = task(
        "sns:publish.waitForTaskToken",
        {"TopicArn": topic, "Message": "{% $string({'token': $states.context.Task.Token}) %}"},
        TimeoutSeconds=60,
    )
    publish = {"Action": "sns:Publish", "Resource": topic}
    inner = states.create_state_machine(
        name=name,
        definition=json.dumps({"QueryLanguage": "JSONata", "StartAt": "Ask", "States": {"Ask": ask}}),
        roleArn=account.role(publish, service="states.amazonaws.com"),
    )["stateMachineArn"]
    executions = inner.replace(":stateMachine:", ":execution:") + ":*"
    start = {
        "Action": [f"states:{action}Execution" for action in ("Start", "Describe", "Stop")],
        "Resource": [inner, executions],
    }
    nested = task("states:startExecution.sync:2", {"StateMachineArn": inner, "Input": {}})
    arn = account.start({"Nested": nested}, start, RULES)

    (message,) = eventually(lambda: sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1).get("Messages"))
    states.send_task_success(taskToken=json.loads(message["Body"])["token"], output='{"approved": true}')

    def ended() -> Any:
        found = states.describe_execution(executionArn=arn)
        return found if found["status"] != "RUNNING" else None

    execution = eventually(ended)
    assert execution["status"] == "SUCCEEDED", execution.get("cause")
    assert json.loads(execution["output"])["Output"] == {"approved": True}
    assert "sns:Publish" in account.run({"Ask": ask}, start)["cause"]


def test_trials_run_in_parallel_and_one_that_is_killed_does_not_fail_the_others(
    account: Jobs, local_aws: LocalAws
) -> None:
    script = """
import os, sys, time
time.sleep(60 if sys.argv[2] == "2" else 2)
print(f"validation:macro_f1=0.{sys.argv[2]}")
"""
    requests = [account.training(script) for _ in range(3)]
    for number, request in enumerate(requests, start=1):
        request["HyperParameters"]["trial"] = str(number)
    caught = {
        "ErrorEquals": ["States.ALL"],
        "Output": {"trial": "{% $states.input %}", "error": "{% $states.errorOutput %}"},
        "Next": "Failed",
    }
    train = task(
        "sagemaker:createTrainingJob.sync",
        "{% $states.input %}",
        Output={"trial": "{% $states.input %}", "job": "{% $states.result %}"},
        Catch=[caught],
    )
    iteration = {"Train": train, "Failed": {"Type": "Pass", "End": True}}
    states = {
        "Trials": {
            "Type": "Map",
            "Items": "{% $states.input %}",
            "MaxConcurrency": 3,
            "ItemProcessor": {"StartAt": "Train", "States": iteration},
            "End": True,
        }
    }
    arn = account.start(states, TRAIN, TAG, PASS, RULES, input=json.dumps(requests))
    directory = local_aws.state.jobs / "training" / requests[1]["TrainingJobName"]
    (pid,) = eventually(lambda: list(pids_of(directory)))
    time.sleep(0.5)
    os.kill(pid, signal.SIGKILL)
    client = account.session.client("stepfunctions")

    def ended() -> Any:
        found = client.describe_execution(executionArn=arn)
        return found if found["status"] != "RUNNING" else None

    execution = eventually(ended)
    assert execution["status"] == "SUCCEEDED", execution.get("cause")
    first, second, third = json.loads(execution["output"])
    scores = [trial["job"]["FinalMetricDataList"][0]["Value"] for trial in (first, third)]
    assert scores == [0.1, 0.3]
    assert json.loads(second["error"]["Cause"])["FailureReason"].endswith("exit code: 137")
    began, took = (
        max(trial["job"]["TrainingStartTime"] for trial in (first, third)),
        min(trial["job"]["TrainingEndTime"] for trial in (first, third)),
    )
    assert began < took, "they ran one after the other"


def test_nothing_of_a_job_is_left_when_the_local_aws_ends(tmp_path: Path) -> None:
    with running_local_aws(tmp_path, bootstrapped=False) as aws:
        account = Jobs(boto3.Session())
        training = aws.state.jobs / "training" / account.train(account.training("import time; time.sleep(600)"))
        request = transform(account, {"a.jsonl": lines("a", sleep=600)})
        account.sagemaker.create_transform_job(**request)
        labelling = aws.state.jobs / "transform" / request["TransformJobName"]
        eventually(lambda: [*pids_of(training)] and [*pids_of(labelling)])

    eventually(lambda: not [*pids_of(training), *pids_of(labelling)], 10)
