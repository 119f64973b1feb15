"""CloudFormation types of the model registry."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sm_local.clock import Clock
from sm_local.sagemaker.errors import SageMakerError
from sm_local.sagemaker.resources import resource_types
from sm_local.sagemaker.service import SageMaker
from sm_local.state import StateDirectory
from tests.unit.sagemaker.recording import AlarmsInState, RecordingSink

TYPE = "AWS::SageMaker::ModelPackageGroup"


@pytest.fixture
def sagemaker(tmp_path: Path) -> Iterator[SageMaker]:
    made = SageMaker(StateDirectory(tmp_path), clock=Clock(), metrics=RecordingSink(), alarms=AlarmsInState())
    yield made
    made.shut_down()


def test_a_group_is_made_kept_replaced_and_deleted(sagemaker: SageMaker) -> None:
    group = resource_types(sagemaker)[TYPE]
    properties: dict[str, Any] = {"ModelPackageGroupName": "Reviews", "Tags": [{"Key": "stage", "Value": "dev"}]}
    arn, attributes = group["create"]("Group", properties, "stack")
    assert attributes["ModelPackageGroupArn"] == arn
    assert sagemaker.call("ListTags", {"ResourceArn": arn})["Tags"] == properties["Tags"]

    same, _ = group["update"](arn, properties, {**properties, "Tags": []}, "stack", "Group")
    other, _ = group["update"](arn, properties, {"ModelPackageGroupName": "Other"}, "stack", "Group")
    assert same == arn != other

    group["delete"](arn, properties)
    with pytest.raises(SageMakerError, match="Could not find model package group"):
        sagemaker.call("DescribeModelPackageGroup", {"ModelPackageGroupName": "Reviews"})
    group["delete"](arn, properties)  # is gone already


def test_a_group_without_a_name_gets_one(sagemaker: SageMaker) -> None:
    arn, _ = resource_types(sagemaker)[TYPE]["create"]("TrainingGroup", {}, "stack")
    (listed,) = sagemaker.call("ListModelPackageGroups", {"NameContains": "traininggroup"})[
        "ModelPackageGroupSummaryList"
    ]
    assert listed["ModelPackageGroupArn"] == arn


def test_tags_are_added_changed_and_taken_away(sagemaker: SageMaker) -> None:
    arn = sagemaker.call("CreateModelPackageGroup", {"ModelPackageGroupName": "Reviews"})["ModelPackageGroupArn"]
    both = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
    sagemaker.call("AddTags", {"ResourceArn": arn, "Tags": both})
    sagemaker.call("AddTags", {"ResourceArn": arn, "Tags": [{"Key": "a", "Value": "3"}]})
    sagemaker.call("DeleteTags", {"ResourceArn": arn, "TagKeys": ["b"]})
    assert sagemaker.call("ListTags", {"ResourceArn": arn})["Tags"] == [{"Key": "a", "Value": "3"}]
