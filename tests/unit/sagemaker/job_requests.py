"""Requests of jobs, and a role that SageMaker may assume."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
from ministack.services import iam, sts

ROLE = "arn:aws:iam::000000000000:role/job"


@pytest.fixture
def job_role() -> Iterator[str]:
    """Make the role of :data:`ROLE`."""
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "sagemaker.amazonaws.com"}}
    with mock.patch.dict(sts._sessions):
        iam._roles["job"] = {"AssumeRolePolicyDocument": json.dumps({"Statement": [trust]}), "InlinePolicies": {}}
        yield ROLE
        iam._roles.clear()


def training_request(**changes: Any) -> dict[str, Any]:
    """Return a request of ``CreateTrainingJob``."""
    return {
        "TrainingJobName": "job",
        "AlgorithmSpecification": {"TrainingImage": "scikit-learn", "TrainingInputMode": "File"},
        "RoleArn": ROLE,
        "HyperParameters": {"sagemaker_program": "train.py"},
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/jobs"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        **changes,
    }
