"""What the functions of transforms need, made from their environment."""

from __future__ import annotations

from collections.abc import Mapping

import boto3

from text_classification.gateways.calls import TimeBudget
from text_classification.gateways.hosting import SageMakerHosting
from text_classification.gateways.served_model import ServedModel
from text_classification.gateways.transform_objects import TransformObjects
from text_classification.handlers.execution_gateways import BUDGET


def transform_objects(environment: Mapping[str, str], budget: TimeBudget = BUDGET) -> TransformObjects:
    """Return the objects in the bucket that ``BUCKET_NAME`` names."""
    client = boto3.client("s3", config=budget.client_config())
    return TransformObjects(client=client, bucket=environment["BUCKET_NAME"], budget=budget)


def served_model(environment: Mapping[str, str]) -> ServedModel:
    """Return the model that the endpoint serves that ``ENDPOINT_NAME`` names."""
    client = boto3.client("sagemaker", config=BUDGET.client_config())
    hosting = SageMakerHosting(client=client, endpoint_name=environment["ENDPOINT_NAME"], budget=BUDGET)
    return ServedModel(hosting=hosting)
