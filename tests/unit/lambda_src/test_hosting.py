"""What is remembered of promotions, and what they made, as AWS has it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from moto import mock_aws
from text_classification.gateways.calls import TimeBudget
from text_classification.gateways.errors import MisconfiguredError, UnavailableError
from text_classification.gateways.hosting import Parameter, SageMakerHosting

BUDGET = TimeBudget(total_seconds=20)


@pytest.fixture(autouse=True)
def aws() -> Iterator[None]:
    with mock_aws():
        yield


@pytest.fixture
def parameter() -> Parameter:
    return Parameter(client=boto3.client("ssm", region_name="us-east-1"), name="Stack-model-in-service", budget=BUDGET)


def test_a_parameter_is_made_once_and_then_keeps_what_it_says(parameter: Parameter) -> None:
    with pytest.raises(MisconfiguredError):
        parameter.value()
    assert parameter.value_or("nothing") == "nothing"
    parameter.client.put_parameter(Name=parameter.name, Value="a model", Overwrite=True)
    assert parameter.value_or("nothing") == "a model"


def test_a_parameter_is_deleted_if_it_is_there(parameter: Parameter) -> None:
    parameter.value_or("nothing")
    for _ in range(2):
        parameter.delete()
    assert parameter.client.describe_parameters()["Parameters"] == []


def test_models_are_found_by_their_names_and_age() -> None:
    client = boto3.client("sagemaker", region_name="us-east-1")
    for name in ("mine-1", "mine-2", "yours-mine-"):
        client.create_model(ModelName=name, ExecutionRoleArn="arn:aws:iam::123456789012:role/model")
    hosting = SageMakerHosting(client=client, endpoint_name="any", budget=BUDGET)

    assert sorted(hosting.models("mine-")) == ["mine-1", "mine-2"]
    now = datetime.now(UTC)
    assert hosting.models("mine-", now - timedelta(hours=1)) == []
    assert len(hosting.models("mine-", now + timedelta(hours=1))) == 2


def test_whether_there_is_a_model_is_told_from_whether_one_can_know() -> None:
    client = boto3.client("sagemaker", region_name="us-east-1")
    client.create_model(ModelName="mine-1", ExecutionRoleArn="arn:aws:iam::123456789012:role/model")
    hosting = SageMakerHosting(client=client, endpoint_name="any", budget=BUDGET)

    assert (hosting.has_model("mine-1"), hosting.has_model("mine-2")) == (True, False)
    budget = TimeBudget(total_seconds=1)
    nowhere = boto3.client(
        "sagemaker", region_name="us-east-1", endpoint_url="http://127.0.0.1:9", config=budget.client_config()
    )
    with pytest.raises(UnavailableError):
        SageMakerHosting(client=nowhere, endpoint_name="any", budget=budget).has_model("mine-1")
