"""SageMaker's jobs, and the state machines that run them, in the local AWS."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.sagemaker_account import IMAGE, LOG, PULL, READ, Account, archive, eventually

WRITE = {"Action": ["s3:PutObject"]}
RULES = {"Action": ["events:PutTargets", "events:PutRule", "events:DescribeRule"]}
TRAIN = {"Action": [f"sagemaker:{action}TrainingJob" for action in ("Create", "Describe", "Stop")]}
PROCESS = {"Action": [f"sagemaker:{action}ProcessingJob" for action in ("Create", "Describe", "Stop")]}
TRANSFORM = {"Action": [f"sagemaker:{action}TransformJob" for action in ("Create", "Describe", "Stop")]}
TAG, PASS = {"Action": "sagemaker:AddTags"}, {"Action": "iam:PassRole"}
ENDED = ("Completed", "Failed", "Stopped")
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
LABELLING = """
import json, os, time
def model_fn(directory): return os.getpid()
def input_fn(body, content_type): return json.loads(body)
def predict_fn(data, model):
    print("labelling", data["text"], flush=True)
    time.sleep(data.get("sleep", 0))
    if data["text"] == "broken": raise ValueError("broken")
    return {"label": data["text"].upper()}
def output_fn(prediction, accept): return json.dumps(prediction)
"""


class Jobs(Account):
    """Starts jobs with names that no other test uses."""

    def put(self, key: str, body: str | bytes) -> str:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)
        return f"s3://{self.bucket}/{key}"

    def training(self, script: str | Mapping[str, str], **changes: Any) -> dict[str, Any]:
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


def ended_job(account: Jobs, kind: str, name: str) -> dict[str, Any] | None:
    """Return the description of a job that has ended."""
    describe = getattr(account.sagemaker, f"describe_{kind}_job")
    found: dict[str, Any] = describe(**{f"{kind.title()}JobName": name})
    return found if found[f"{kind.title()}JobStatus"] in ENDED else None


def pids_of(directory: Path) -> Iterator[int]:
    """Yield the processes that run in a directory."""
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and (entry / "cwd").readlink().is_relative_to(directory):
                yield int(entry.name)
        except OSError:
            continue


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
