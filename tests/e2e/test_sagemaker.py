"""SageMaker's hosting in the local AWS, through boto3 as on AWS."""

import json
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.local_aws import LocalAws
from tests.sagemaker_account import ECHO, LOG, PULL, READ, Account

pytestmark = pytest.mark.e2e


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

    new, newer = [account.config(account.model(GREETING=greeting)) for greeting in ("new", "newer")]
    account.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=new)
    with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
        account.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=newer)
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


PULLING = (
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:GetDownloadUrlForLayer",
    "ecr:GetAuthorizationToken",
)


def _all_but(action: str) -> dict[str, Any]:
    return {"Action": [each for each in PULLING if each != action]}


@pytest.mark.parametrize(
    ("statements", "service", "words"),
    [
        ([PULL, LOG], "sagemaker.amazonaws.com", 's3:GetObject" permissions'),
        *(([READ, LOG, _all_but(action)], "sagemaker.amazonaws.com", f"lacks {action}") for action in PULLING),
        ([READ, PULL, LOG], "lambda.amazonaws.com", "Could not assume role"),
    ],
    ids=["reading", *PULLING, "trust"],
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
