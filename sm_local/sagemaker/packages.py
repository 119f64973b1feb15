"""The model registry: groups of model packages, their versions, and who may serve them.

https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry.html
"""

from __future__ import annotations

import threading
import time

from sm_local.sagemaker import events
from sm_local.sagemaker.errors import SageMakerError, invalid
from sm_local.sagemaker.registry import Parameters, Registry

_UPDATED = (
    "ApprovalDescription",
    "InferenceSpecification",
    "ModelApprovalStatus",
    "ModelCard",
    "ModelLifeCycle",
    "SourceUri",
)
_GROUP_SUMMARY = (
    "ModelPackageGroupName",
    "ModelPackageGroupArn",
    "ModelPackageGroupDescription",
    "CreationTime",
    "ModelPackageGroupStatus",
)
_SUMMARY = (
    "ModelPackageName",
    "ModelPackageGroupName",
    "ModelPackageVersion",
    "ModelPackageArn",
    "ModelPackageDescription",
    "CreationTime",
    "ModelPackageStatus",
    "ModelApprovalStatus",
    "ModelLifeCycle",
)


class ModelPackages:
    """All model packages of the local AWS, in groups and alone."""

    def __init__(self) -> None:
        self._groups: Registry[Parameters] = Registry("model-package-group", "model package group")
        self._packages: Registry[Parameters] = Registry("model-package", "model package")
        self._versions: dict[str, int] = {}  # by the group's ARN; a number is not used again
        self._lock = threading.Lock()

    def create_group(self, parameters: Parameters) -> Parameters:
        """Make an empty group."""
        name = parameters["ModelPackageGroupName"]
        made = {
            **_untagged(parameters),
            "ModelPackageGroupArn": self._groups.arn(name),
            "ModelPackageGroupStatus": "Completed",
            "CreationTime": time.time(),
            "CreatedBy": {},
        }
        self._groups.add(name, made)
        return {"ModelPackageGroupArn": made["ModelPackageGroupArn"]}

    def describe_group(self, parameters: Parameters) -> Parameters:
        """Return what was created."""
        return dict(self._group(parameters["ModelPackageGroupName"]))

    def list_groups(self, parameters: Parameters) -> Parameters:
        """Return the groups whose names contain ``NameContains``."""
        groups = [group for name, group in self._groups.items() if _contains(name, parameters)]
        return _page("ModelPackageGroupSummaryList", groups, _GROUP_SUMMARY, "ModelPackageGroupName", parameters)

    def delete_group(self, parameters: Parameters) -> Parameters:
        """Forget a group that has no packages."""
        group = self._group(parameters["ModelPackageGroupName"])
        name = group["ModelPackageGroupName"]
        if any(package.get("ModelPackageGroupName") == name for _, package in self._packages.items()):
            raise SageMakerError(
                "ConflictException",
                f"Model Package Group {group['ModelPackageGroupArn']} cannot be deleted because it still contains "
                "model packages",
            )
        self._groups.remove(name)
        return {}

    def create(self, parameters: Parameters) -> Parameters:
        """Make a package: the next version of a group, or one by a name of its own."""
        group_name, name = parameters.get("ModelPackageGroupName"), parameters.get("ModelPackageName")
        if bool(group_name) == bool(name):
            raise invalid("Exactly one of ModelPackageName and ModelPackageGroupName must be given.")
        made = {
            **_untagged(parameters),
            "CreationTime": time.time(),
            "CreatedBy": {},
            "ModelPackageStatus": "Completed",
            "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
        }
        if group_name:
            group = self._group(group_name)
            with self._lock:
                version = self._versions.get(group["ModelPackageGroupArn"], 0) + 1
                self._versions[group["ModelPackageGroupArn"]] = version
            made |= {
                "ModelPackageGroupName": group["ModelPackageGroupName"],
                "ModelPackageVersion": version,
                "ModelApprovalStatus": parameters.get("ModelApprovalStatus", "PendingManualApproval"),
            }
            name = f"{group['ModelPackageGroupName']}/{version}"
        made |= {"ModelPackageName": name, "ModelPackageArn": self._packages.arn(str(name))}
        self._packages.add(str(name), made)
        _tell(made, [])
        return {"ModelPackageArn": made["ModelPackageArn"]}

    def describe(self, parameters: Parameters) -> Parameters:
        """Return what is known of a package, named by name or ARN."""
        return dict(self._package(parameters["ModelPackageName"]))

    def update(self, parameters: Parameters) -> Parameters:
        """Approve or reject a package, and change what may be changed of it."""
        package = self._package(parameters["ModelPackageArn"])
        with self._lock:
            changed = {name: parameters[name] for name in _UPDATED if name in parameters}
            removed = parameters.get("CustomerMetadataPropertiesToRemove", ())
            metadata = {
                **package.get("CustomerMetadataProperties", {}),
                **parameters.get("CustomerMetadataProperties", {}),
            }
            fields = sorted(changed)
            if "CustomerMetadataProperties" in parameters or removed:
                changed["CustomerMetadataProperties"] = {
                    name: value for name, value in metadata.items() if name not in removed
                }
                fields.append("CustomerMetadataProperties")
            package |= {**changed, "LastModifiedTime": time.time(), "LastModifiedBy": {}}
        _tell(package, fields)
        return {"ModelPackageArn": package["ModelPackageArn"]}

    def list(self, parameters: Parameters) -> Parameters:
        """Return the packages of a group, or those without one."""
        group, status = parameters.get("ModelPackageGroupName"), parameters.get("ModelApprovalStatus")
        kind = parameters.get("ModelPackageType", "Versioned" if group else "Unversioned")
        of_group = self._group(group)["ModelPackageGroupName"] if group else None
        found = [
            package
            for name, package in self._packages.items()
            if (group is None or package.get("ModelPackageGroupName") == of_group)
            and (kind == "Both" or (kind == "Versioned") == ("ModelPackageVersion" in package))
            and status in (None, package.get("ModelApprovalStatus"))
            and _contains(name, parameters)
        ]
        return _page("ModelPackageSummaryList", found, _SUMMARY, "ModelPackageName", parameters)

    def delete(self, parameters: Parameters) -> Parameters:
        """Forget a package; what serves it goes on."""
        self._packages.remove(self._package(parameters["ModelPackageName"])["ModelPackageName"])
        return {}

    def _group(self, name_or_arn: str) -> Parameters:
        return self._groups.get(_name(self._groups, "ModelPackageGroupArn", name_or_arn))

    def _package(self, name_or_arn: str) -> Parameters:
        return self._packages.get(_name(self._packages, "ModelPackageArn", name_or_arn))


def _name(records: Registry[Parameters], member: str, name_or_arn: str) -> str:
    """Return the name behind an ARN, whose letters are all lower case."""
    if not name_or_arn.startswith("arn:"):
        return name_or_arn
    found = (name for name, record in records.items() if record[member] == name_or_arn.lower())
    return next(found, name_or_arn.partition("/")[2])


def _untagged(parameters: Parameters) -> Parameters:
    return {name: value for name, value in parameters.items() if name not in ("Tags", "ClientToken")}


def _contains(name: str, parameters: Parameters) -> bool:
    return parameters.get("NameContains", "").lower() in name.lower()


def _page(
    member: str, found: list[Parameters], shown: tuple[str, ...], by_name: str, parameters: Parameters
) -> Parameters:
    within = [
        one
        for one in found
        if parameters.get("CreationTimeAfter", 0) <= one["CreationTime"]
        and one["CreationTime"] <= parameters.get("CreationTimeBefore", one["CreationTime"])
    ]
    key = by_name if parameters.get("SortBy") == "Name" else "CreationTime"
    ordered = sorted(within, key=lambda one: one[key], reverse=parameters.get("SortOrder") == "Descending")
    first = int(parameters.get("NextToken") or 0)
    after = first + int(parameters.get("MaxResults", 10))
    page = [{name: one[name] for name in shown if name in one} for one in ordered[first:after]]
    return {member: page, **({"NextToken": str(after)} if after < len(ordered) else {})}


def _tell(package: Parameters, updated: list[str]) -> None:
    members = (*_SUMMARY, "CustomerMetadataProperties", "InferenceSpecification", "ModelMetrics", "ApprovalDescription")
    detail = {name: package[name] for name in members if name in package}
    events.tell("Model Package", {**detail, "UpdatedModelPackageFields": updated}, package["ModelPackageArn"])
