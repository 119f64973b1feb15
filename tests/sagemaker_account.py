"""Models and endpoints in the local AWS, made through boto3 as on AWS."""

from __future__ import annotations

import io
import json
import tarfile
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from uuid import uuid4

import boto3

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"
ECHO = """
import json, os, time
def model_fn(directory): return os.environ.get("GREETING", "hello")
def input_fn(body, content_type): return json.loads(body)
def predict_fn(data, model):
    time.sleep(data.get("sleep", 0))
    return {"greeting": model, "data": data}
def output_fn(prediction, accept): return json.dumps(prediction)
"""
BROKEN = """
def model_fn(directory): return None
def input_fn(body, content_type): return body
def predict_fn(data, model): raise OSError("this model always fails")
"""
READ, PULL = {"Action": ["s3:GetObject", "s3:ListBucket"]}, {"Action": "ecr:*"}
LOG = {"Action": ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]}

Found = TypeVar("Found")


def eventually(look: Callable[[], Found | None], seconds: float = 90) -> Found:
    """Return what `look` finds, looking again until it finds something that is true."""
    deadline = time.monotonic() + seconds
    while True:
        if found := look():
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s")
        time.sleep(0.05)


def metric(name: str, dimensions: Mapping[str, str], statistic: Any = "Sum", namespace: str = "AWS/SageMaker") -> float:
    """Return a statistic of what was published so far; the sum if not asked for another."""
    answer = boto3.client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=name,
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        StartTime=time.time() - 3600,
        EndTime=time.time() + 60,
        Period=3600,
        Statistics=[statistic],
    )
    return float(sum(point[statistic] for point in answer["Datapoints"]))


def archive(files: Mapping[str, str]) -> bytes:
    """Return a ``.tar.gz`` of text files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


class Account:
    """Makes roles, archives and endpoints with names that no other test uses."""

    def __init__(self, session: boto3.Session | None = None) -> None:
        session = session or boto3.Session()
        self.session = session
        self.sagemaker = session.client("sagemaker")
        self.runtime = session.client("sagemaker-runtime")
        self.iam = session.client("iam")
        self.s3 = session.client("s3")
        self.logs = session.client("logs")
        self.bucket = f"models-{uuid4().hex[:12]}"
        self.s3.create_bucket(Bucket=self.bucket)

    def archive(self, inference: str) -> str:
        key = f"{uuid4().hex}.tar.gz"
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=archive({"code/inference.py": inference}))
        return f"s3://{self.bucket}/{key}"

    def role(self, *statements: dict[str, Any], service: str = "sagemaker.amazonaws.com") -> str:
        name = f"role-{uuid4().hex[:12]}"
        trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        answer = self.iam.create_role(
            RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        )
        if statements:
            allowed = [{"Effect": "Allow", "Resource": "*", **statement} for statement in statements]
            document = json.dumps({"Version": "2012-10-17", "Statement": allowed})
            self.iam.put_role_policy(RoleName=name, PolicyName="policy", PolicyDocument=document)
        return str(answer["Role"]["Arn"])

    def container(self, inference: str = ECHO, **environment: str) -> dict[str, Any]:
        return {"Image": IMAGE, "ModelDataUrl": self.archive(inference), "Environment": environment}

    def model(self, inference: str = ECHO, role: str | None = None, **environment: str) -> str:
        return self.model_of(role, PrimaryContainer=self.container(inference, **environment))

    def model_of(self, role: str | None = None, **parameters: Any) -> str:
        name = f"Model-{uuid4().hex[:12]}"
        role = role or self.role(READ, PULL, LOG)
        self.sagemaker.create_model(ModelName=name, ExecutionRoleArn=role, **parameters)
        return name

    def variant(self, model: str, name: str = "AllTraffic", **others: Any) -> dict[str, Any]:
        on_instances = {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        if "ServerlessConfig" in others:
            on_instances = {}
        return {"VariantName": name, "ModelName": model, **on_instances, **others}

    def config(self, model: str, **others: Any) -> str:
        return self.config_of(self.variant(model), **others)

    def config_of(self, *variants: dict[str, Any], **others: Any) -> str:
        name = f"Config-{uuid4().hex[:12]}"
        self.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=list(variants), **others)
        return name

    def endpoint(self, model: str, **others: Any) -> str:
        return self.endpoint_of(self.config(model, **others))

    def endpoint_of(self, config: str) -> str:
        name = f"Endpoint-{uuid4().hex[:12]}"
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
        return name

    def wait(self, endpoint: str, seconds: float = 60) -> dict[str, Any]:
        """Return the description of an endpoint once nothing is under way."""

        def settled() -> dict[str, Any] | None:
            description: dict[str, Any] = self.sagemaker.describe_endpoint(EndpointName=endpoint)
            under_way = ("Creating", "Updating", "RollingBack")
            return None if description["EndpointStatus"] in under_way else description

        return eventually(settled, seconds)

    def in_service(self, endpoint: str) -> str:
        """Return the name of an endpoint once it is in service."""
        description = self.wait(endpoint)
        assert description["EndpointStatus"] == "InService", description
        return endpoint

    def invoke(self, endpoint: str, *, also: Mapping[str, str] | None = None, **data: Any) -> Any:
        answer = self.runtime.invoke_endpoint(
            EndpointName=endpoint, Body=json.dumps(data), ContentType="application/json", **(also or {})
        )
        return json.loads(answer["Body"].read())
