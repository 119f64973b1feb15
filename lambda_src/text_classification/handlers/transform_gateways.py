"""What the functions of transforms need, made from their environment."""

from __future__ import annotations

from collections.abc import Mapping

import boto3

from text_classification.gateways.calls import TimeBudget
from text_classification.gateways.executions import StepFunctionsExecutions
from text_classification.gateways.served_model import ServedModel
from text_classification.gateways.transform_objects import TransformObjects

BUDGET = TimeBudget(total_seconds=60)
"""How long a call may take where nobody waits for the answer."""

API_BUDGET = TimeBudget(total_seconds=10)
"""How long a call may take where somebody does."""


def transform_objects(environment: Mapping[str, str], budget: TimeBudget = BUDGET) -> TransformObjects:
    """Return the objects in the bucket that ``BUCKET_NAME`` names."""
    client = boto3.client("s3", config=budget.client_config())
    return TransformObjects(client=client, bucket=environment["BUCKET_NAME"], budget=budget)


def served_model(environment: Mapping[str, str]) -> ServedModel:
    """Return the model that the endpoint serves that ``ENDPOINT_NAME`` names."""
    client = boto3.client("sagemaker", config=BUDGET.client_config())
    return ServedModel(client=client, endpoint_name=environment["ENDPOINT_NAME"], budget=BUDGET)


def transforms(environment: Mapping[str, str]) -> StepFunctionsExecutions:
    """Return the executions of the state machine that ``STATE_MACHINE_ARN`` names."""
    client = boto3.client("stepfunctions", config=API_BUDGET.client_config())
    return StepFunctionsExecutions(client=client, state_machine_arn=environment["STATE_MACHINE_ARN"], budget=API_BUDGET)
