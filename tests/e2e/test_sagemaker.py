"""SageMaker's hosting in the local AWS, through boto3 as on AWS."""

import io
import json
import tarfile
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.local_aws import LocalAws

pytestmark = pytest.mark.e2e

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
READ, PULL = {"Action": "s3:GetObject"}, {"Action": "ecr:*"}
LOG = {"Action": ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]}


class Account:
    """Makes roles, archives and endpoints with names that no other test uses."""

    def __init__(self, session: boto3.Session) -> None:
        self.sagemaker = session.client("sagemaker")
        self.runtime = session.client("sagemaker-runtime")
        self.iam = session.client("iam")
        self.s3 = session.client("s3")
        self.logs = session.client("logs")
        self.bucket = f"models-{uuid4().hex[:12]}"
        self.s3.create_bucket(Bucket=self.bucket)

    def archive(self, inference: str) -> str:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
            member = tarfile.TarInfo("code/inference.py")
            member.size = len(inference.encode())
            tar.addfile(member, io.BytesIO(inference.encode()))
        key = f"{uuid4().hex}.tar.gz"
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=buffer.getvalue())
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

    def model(self, inference: str = ECHO, role: str | None = None, **environment: str) -> str:
        name = f"Model-{uuid4().hex[:12]}"
        container = {"Image": IMAGE, "ModelDataUrl": self.archive(inference), "Environment": environment}
        self.sagemaker.create_model(
            ModelName=name, ExecutionRoleArn=role or self.role(READ, PULL, LOG), PrimaryContainer=container
        )
        return name

    def config(self, model: str) -> str:
        name = f"Config-{uuid4().hex[:12]}"
        variant = {
            "VariantName": "AllTraffic",
            "ModelName": model,
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1,
        }
        self.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
        return name

    def endpoint(self, model: str) -> str:
        name = f"Endpoint-{uuid4().hex[:12]}"
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=self.config(model))
        return name

    def wait(self, endpoint: str) -> dict[str, Any]:
        """Return the description of an endpoint once nothing is under way."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            description: dict[str, Any] = self.sagemaker.describe_endpoint(EndpointName=endpoint)
            if description["EndpointStatus"] not in ("Creating", "Updating"):
                return description
            time.sleep(0.1)
        raise AssertionError(f"{endpoint} is still {description['EndpointStatus']}")

    def invoke(self, endpoint: str, **data: Any) -> Any:
        answer = self.runtime.invoke_endpoint(
            EndpointName=endpoint, Body=json.dumps(data), ContentType="application/json"
        )
        return json.loads(answer["Body"].read())


@pytest.fixture(scope="module")
def account(session: boto3.Session) -> Account:
    return Account(session)


def test_an_endpoint_is_creating_then_in_service_and_serves_its_model(account: Account) -> None:
    endpoint = account.endpoint(account.model(GREETING="good day"))
    assert account.sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointStatus"] == "Creating"

    description = account.wait(endpoint)

    assert description["EndpointStatus"] == "InService"
    assert description["EndpointArn"].endswith(f":endpoint/{endpoint.lower()}")
    assert description["ProductionVariants"][0]["CurrentInstanceCount"] == 1
    assert account.invoke(endpoint, text="你好") == {"greeting": "good day", "data": {"text": "你好"}}


def test_a_model_that_cannot_load_fails_with_its_own_words(account: Account) -> None:
    endpoint = account.endpoint(account.model("def model_fn(directory): raise OSError('no such weights')"))

    description = account.wait(endpoint)

    assert description["EndpointStatus"] == "Failed"
    assert "did not pass the ping health check" in description["FailureReason"]
    assert "no such weights" in description["FailureReason"]
    with pytest.raises(ClientError, match="not in service: Failed"):
        account.invoke(endpoint)


def test_an_update_that_fails_leaves_the_old_model_in_service(account: Account) -> None:
    endpoint = account.endpoint(account.model(GREETING="old"))
    old_config = account.wait(endpoint)["EndpointConfigName"]
    broken = account.config(account.model("import nothing_of_this_name"))

    account.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=broken)
    description = account.wait(endpoint)

    assert description["EndpointStatus"] == "InService"
    assert description["EndpointConfigName"] == old_config
    assert "nothing_of_this_name" in description["FailureReason"]
    assert account.invoke(endpoint)["greeting"] == "old"


def test_an_update_moves_the_endpoint_to_the_new_model(account: Account, local_aws: LocalAws) -> None:
    endpoint = account.endpoint(account.model(GREETING="old"))
    account.wait(endpoint)
    (before,) = (local_aws.state.endpoints / endpoint).iterdir()

    account.sagemaker.update_endpoint(
        EndpointName=endpoint, EndpointConfigName=account.config(account.model(GREETING="new"))
    )
    with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
        account.sagemaker.update_endpoint(
            EndpointName=endpoint, EndpointConfigName=account.config(account.model(GREETING="newer"))
        )
    account.wait(endpoint)

    assert account.invoke(endpoint)["greeting"] == "new"
    deadline = time.monotonic() + 10
    while before.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not before.exists(), "what the old model unpacked is still there"


def test_a_deleted_endpoint_leaves_nothing_behind(account: Account, local_aws: LocalAws) -> None:
    endpoint = account.endpoint(account.model())
    account.wait(endpoint)

    account.sagemaker.delete_endpoint(EndpointName=endpoint)

    with pytest.raises(ClientError, match="Could not find endpoint"):
        account.sagemaker.describe_endpoint(EndpointName=endpoint)
    with pytest.raises(ClientError, match=f"Endpoint {endpoint} of account .* not found"):
        account.invoke(endpoint)
    assert not list((local_aws.state.endpoints / endpoint).iterdir())


def test_an_error_of_the_model_is_a_model_error(account: Account) -> None:
    endpoint = account.endpoint(account.model())
    account.wait(endpoint)

    with pytest.raises(ClientError) as caught:
        account.runtime.invoke_endpoint(EndpointName=endpoint, Body=b"{", ContentType="application/json")

    answer: dict[str, Any] = dict(caught.value.response)
    assert answer["Error"]["Code"] == "ModelError"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert answer["OriginalStatusCode"] == 500
    assert "Expecting property name" in answer["OriginalMessage"]


def test_a_payload_over_the_limit_is_refused(account: Account) -> None:
    endpoint = account.endpoint(account.model())
    account.wait(endpoint)

    with pytest.raises(ClientError, match="exceeds the limit of 6291456 bytes"):
        account.invoke(endpoint, text="x" * 6_291_456)


@pytest.mark.parametrize(
    ("statements", "service", "words"),
    [
        ([PULL, LOG], "sagemaker.amazonaws.com", 's3:GetObject" permissions'),
        ([READ, LOG], "sagemaker.amazonaws.com", "lacks ecr:BatchGetImage"),
        ([READ, PULL, LOG], "lambda.amazonaws.com", "Could not assume role"),
    ],
    ids=["reading", "pulling", "trust"],
)
def test_a_model_needs_its_role_to_read_pull_and_trust(
    account: Account, statements: list[dict[str, Any]], service: str, words: str
) -> None:
    with pytest.raises(ClientError, match=words):
        account.model(role=account.role(*statements, service=service))


def test_what_the_model_prints_is_in_cloudwatch_if_the_role_may_log(account: Account) -> None:
    loud = "print('loading now', flush=True)\n" + ECHO
    endpoint = account.endpoint(account.model(loud))
    silenced = account.endpoint(account.model(loud, role=account.role(READ, PULL)))
    account.wait(endpoint)
    account.wait(silenced)

    group = f"/aws/sagemaker/Endpoints/{endpoint}"
    deadline = time.monotonic() + 10
    messages: list[str] = []
    while not messages and time.monotonic() < deadline:
        time.sleep(0.2)
        if account.logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
            messages = [event["message"] for event in account.logs.filter_log_events(logGroupName=group)["events"]]

    assert messages == ["loading now"]
    assert not account.logs.describe_log_groups(logGroupNamePrefix=f"/aws/sagemaker/Endpoints/{silenced}")["logGroups"]


def test_invoking_an_endpoint_takes_a_permission_for_it(account: Account) -> None:
    endpoint, other = account.endpoint(account.model()), account.endpoint(account.model())
    arn = account.wait(endpoint)["EndpointArn"]
    account.wait(other)
    user = f"user-{uuid4().hex[:12]}"
    account.iam.create_user(UserName=user)
    allowed = {"Effect": "Allow", "Action": "sagemaker:InvokeEndpoint", "Resource": arn}
    account.iam.put_user_policy(
        UserName=user,
        PolicyName="invoke",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}),
    )
    key = account.iam.create_access_key(UserName=user)["AccessKey"]
    runtime = boto3.Session(key["AccessKeyId"], key["SecretAccessKey"]).client("sagemaker-runtime")

    runtime.invoke_endpoint(EndpointName=endpoint, Body=b"{}", ContentType="application/json")
    with pytest.raises(ClientError, match=r"not authorized to perform: sagemaker:InvokeEndpoint"):
        runtime.invoke_endpoint(EndpointName=other, Body=b"{}", ContentType="application/json")


def test_calls_are_answered_while_a_model_is_slow(account: Account) -> None:
    endpoint = account.endpoint(account.model("import time\ntime.sleep(3)\n" + ECHO))
    slowest = 0.0
    while account.sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointStatus"] == "Creating":
        began = time.monotonic()
        account.iam.list_roles(MaxItems=1)
        slowest = max(slowest, time.monotonic() - began)
    assert slowest < 2.5, "a starting model stalls the whole server"


def test_names_are_taken_once(account: Account) -> None:
    model = account.model()
    endpoint = account.endpoint(model)
    account.wait(endpoint)
    with pytest.raises(ClientError, match="Cannot create already existing endpoint "):
        account.sagemaker.create_endpoint(EndpointName=endpoint, EndpointConfigName=account.config(model))


def test_what_is_not_there_is_said_not_to_be(account: Account) -> None:
    with pytest.raises(ClientError, match="Could not find model"):
        account.config("no-such-model")
    with pytest.raises(ClientError, match="Could not find endpoint configuration"):
        account.sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="no-such-config")


def test_an_operation_that_nobody_has_is_refused(account: Account) -> None:
    with pytest.raises(ClientError, match="the local SageMaker does not have"):
        account.sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(HyperParameterTuningJobName="none")


def test_the_state_directory_is_the_only_place_written(local_aws: LocalAws) -> None:
    assert (local_aws.state.private_key.stat().st_mode & 0o777) == 0o600
    assert Path(local_aws.state.server_log).exists()
