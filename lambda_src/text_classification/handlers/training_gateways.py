"""What the functions of trainings need, made from their environment."""

from __future__ import annotations

from collections.abc import Mapping

import boto3

from text_classification.gateways.calls import TimeBudget
from text_classification.gateways.datasets import S3Datasets
from text_classification.handlers.execution_gateways import BUDGET
from text_classification.logic.training_requests import TrainingRules


def datasets(environment: Mapping[str, str], budget: TimeBudget = BUDGET) -> S3Datasets:
    """Return the objects in the bucket that ``BUCKET_NAME`` names."""
    client = boto3.client("s3", config=budget.client_config())
    return S3Datasets(client=client, bucket=environment["BUCKET_NAME"], budget=budget)


def training_rules(environment: Mapping[str, str]) -> TrainingRules:
    """Return what ``TRAINING_RULES`` says."""
    return TrainingRules.from_json(environment["TRAINING_RULES"])
