"""The model registry."""

from __future__ import annotations

from typing import Any

import pytest

from sm_local.sagemaker import events
from sm_local.sagemaker.errors import SageMakerError
from sm_local.sagemaker.packages import ModelPackages

Told = list[tuple[str, dict[str, Any], str]]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    """Keep what EventBridge would be told."""
    kept: Told = []
    monkeypatch.setattr(events, "tell", lambda *event: kept.append(event))
    return kept


@pytest.fixture
def packages(told: Told) -> ModelPackages:  # noqa: ARG001 - which keeps events away
    made = ModelPackages()
    made.create_group({"ModelPackageGroupName": "Reviews", "Tags": [{"Key": "k", "Value": "v"}]})
    return made


def version(packages: ModelPackages, **others: Any) -> str:
    return str(packages.create({"ModelPackageGroupName": "Reviews", **others})["ModelPackageArn"])


def test_packages_of_a_group_are_numbered_and_a_number_is_never_used_again(packages: ModelPackages) -> None:
    first, second = version(packages), version(packages)
    assert first.endswith(":model-package/reviews/1")
    packages.delete({"ModelPackageName": second})
    assert version(packages).endswith("/3")
    with pytest.raises(SageMakerError, match="Could not find model package"):
        packages.describe({"ModelPackageName": second})


def test_a_package_keeps_what_it_is_given_and_waits_for_approval(packages: ModelPackages) -> None:
    given = {
        "CustomerMetadataProperties": {"dataset": "abc"},
        "ModelMetrics": {"ModelQuality": {"Statistics": {"ContentType": "application/json", "S3Uri": "s3://b/e"}}},
        "ModelCard": {"ModelCardContent": "{}", "ModelCardStatus": "Draft"},
        "InferenceSpecification": {"Containers": [{"Image": "i"}]},
    }
    described = packages.describe({"ModelPackageName": version(packages, **given)})
    assert {name: described[name] for name in given} == given
    assert described["ModelApprovalStatus"] == "PendingManualApproval"
    assert described["ModelPackageStatus"] == "Completed"


def test_an_approval_is_kept_and_told(packages: ModelPackages, told: Told) -> None:
    arn = version(packages, CustomerMetadataProperties={"a": "1", "b": "2"})
    packages.update(
        {
            "ModelPackageArn": arn,
            "ModelApprovalStatus": "Approved",
            "CustomerMetadataProperties": {"c": "3"},
            "CustomerMetadataPropertiesToRemove": ["a"],
        }
    )

    described = packages.describe({"ModelPackageName": arn})
    assert described["ModelApprovalStatus"] == "Approved"
    assert described["CustomerMetadataProperties"] == {"b": "2", "c": "3"}
    what, detail, of = told[-1]
    assert (what, of, detail["ModelApprovalStatus"]) == ("Model Package", arn, "Approved")
    assert detail["UpdatedModelPackageFields"] == ["ModelApprovalStatus", "CustomerMetadataProperties"]


def test_packages_are_listed_by_group_and_approval(packages: ModelPackages) -> None:
    version(packages, ModelApprovalStatus="Approved")
    version(packages)
    packages.create({"ModelPackageName": "alone"})

    def listed(**filters: Any) -> list[str]:
        return [one["ModelPackageArn"].rpartition("/")[2] for one in packages.list(filters)["ModelPackageSummaryList"]]

    assert listed(ModelPackageGroupName="Reviews", SortBy="CreationTime", SortOrder="Descending") == ["2", "1"]
    assert listed(ModelPackageGroupName="Reviews", ModelApprovalStatus="Approved") == ["1"]
    assert listed() == ["alone"]
    assert listed(ModelPackageType="Both", MaxResults=1) == ["1"]
    assert packages.list({"ModelPackageType": "Both", "MaxResults": 2})["NextToken"] == "2"


def test_a_group_with_packages_stays(packages: ModelPackages) -> None:
    arn = version(packages)
    group = packages.describe_group({"ModelPackageGroupName": "Reviews"})
    assert "Tags" not in group
    with pytest.raises(SageMakerError, match="still contains model packages"):
        packages.delete_group({"ModelPackageGroupName": group["ModelPackageGroupArn"]})
    packages.delete({"ModelPackageName": arn})
    packages.delete_group({"ModelPackageGroupName": group["ModelPackageGroupArn"]})
    assert packages.list_groups({})["ModelPackageGroupSummaryList"] == []


def test_a_package_is_of_a_group_or_has_a_name(packages: ModelPackages) -> None:
    with pytest.raises(SageMakerError, match="Exactly one of"):
        packages.create({"ModelPackageGroupName": "Reviews", "ModelPackageName": "alone"})
