"""The CloudFormation resource types of SageMaker hosting.

As on AWS, a stack waits until an endpoint is ``InService``, and rolls back with the reason when it fails.
Model and endpoint configuration are immutable: every change replaces them.
"""

from __future__ import annotations

import secrets
import string
from typing import Any

from sm_local.patches import cloudformation
from sm_local.sagemaker.errors import SageMakerError
from sm_local.sagemaker.scaling import recorded_types
from sm_local.sagemaker.service import SageMaker
from sm_local.sagemaker.validation import check, typed

Properties = dict[str, Any]
Created = tuple[str, dict[str, str]]

_ALPHABET = string.ascii_letters + string.digits


def resource_types(sagemaker: SageMaker) -> cloudformation.ResourceHandlers:
    """Return the handlers of each type, in the form MiniStack's CloudFormation wants."""
    return {
        "AWS::SageMaker::Model": _immutable(sagemaker, "Model"),
        "AWS::SageMaker::EndpointConfig": _immutable(sagemaker, "EndpointConfig"),
        "AWS::SageMaker::Endpoint": _endpoint(sagemaker),
        "AWS::SageMaker::InferenceComponent": _component(sagemaker),
        "AWS::SageMaker::ModelPackageGroup": _model_package_group(sagemaker),
        **recorded_types(),
    }


def _immutable(sagemaker: SageMaker, kind: str) -> dict[str, Any]:
    def create(logical_id: str, properties: Properties, _stack: str) -> Created:
        name = properties.get(f"{kind}Name") or generated_name(logical_id)
        parameters = typed(f"Create{kind}", {**properties, f"{kind}Name": name})
        arn = sagemaker.call(f"Create{kind}", parameters)[f"{kind}Arn"]
        return arn, {f"{kind}Name": name, f"{kind}Arn": arn}

    def update(arn: str, old: Properties, new: Properties, stack: str, logical_id: str) -> Created:
        if {**old, "Tags": None} == {**new, "Tags": None}:
            return arn, {}
        return create(logical_id, new, stack)

    def delete(arn: str, _properties: Properties) -> None:
        ignoring_what_is_gone(sagemaker, f"Delete{kind}", {f"{kind}Name": find_name(sagemaker, kind, arn)})

    return {"create": create, "update": update, "update_with_logical_id": True, "delete": delete}


def _endpoint(sagemaker: SageMaker) -> dict[str, Any]:
    hosting = sagemaker.endpoints

    def create(logical_id: str, properties: Properties, _stack: str) -> Created:
        name = properties.get("EndpointName") or generated_name(logical_id)
        parameters = typed("CreateEndpoint", {**properties, "EndpointName": name})
        check("CreateEndpoint", parameters)
        started = hosting.start_creation(parameters)
        try:
            started.result()
        except Exception:
            ignoring_what_is_gone(sagemaker, "DeleteEndpoint", {"EndpointName": name})
            raise
        arn = hosting.get(name).arn
        return arn, {"EndpointName": name, "EndpointArn": arn}

    def update(arn: str, old: Properties, new: Properties, stack: str, logical_id: str) -> Created:
        if old.get("EndpointName") != new.get("EndpointName"):
            return create(logical_id, new, stack)
        name = find_name(sagemaker, "Endpoint", arn)
        if old.get("EndpointConfigName") != new.get("EndpointConfigName"):
            parameters = typed("UpdateEndpoint", {**new, "EndpointName": name})
            check("UpdateEndpoint", parameters)
            hosting.start_update(parameters).result()
        return arn, {"EndpointName": name, "EndpointArn": arn}

    def delete(arn: str, _properties: Properties) -> None:
        ignoring_what_is_gone(sagemaker, "DeleteEndpoint", {"EndpointName": find_name(sagemaker, "Endpoint", arn)})

    return {"create": create, "update": update, "update_with_logical_id": True, "delete": delete}


def _component(sagemaker: SageMaker) -> dict[str, Any]:
    components = sagemaker.endpoints.components
    kind = "InferenceComponent"

    def create(logical_id: str, properties: Properties, _stack: str) -> Created:
        name = properties.get(f"{kind}Name") or generated_name(logical_id)
        parameters = typed(f"Create{kind}", {**properties, f"{kind}Name": name})
        check(f"Create{kind}", parameters)
        started = components.start_creation(parameters)
        try:
            started.result()
        except Exception:
            ignoring_what_is_gone(sagemaker, f"Delete{kind}", {f"{kind}Name": name})
            raise
        return _attributes(name)

    def update(arn: str, old: Properties, new: Properties, stack: str, logical_id: str) -> Created:
        if any(old.get(fixed) != new.get(fixed) for fixed in (f"{kind}Name", "EndpointName", "VariantName")):
            return create(logical_id, new, stack)
        name = find_name(sagemaker, kind, arn)
        changed = {key: value for key, value in new.items() if key == "DeploymentConfig" or old.get(key) != value}
        if changed.keys() & {"Specification", "Specifications", "RuntimeConfig"}:
            parameters = typed(f"Update{kind}", {**changed, f"{kind}Name": name})
            check(f"Update{kind}", parameters)
            components.start_update(parameters).result()
        return _attributes(name)

    def delete(arn: str, _properties: Properties) -> None:
        ignoring_what_is_gone(sagemaker, f"Delete{kind}", {f"{kind}Name": find_name(sagemaker, kind, arn)})

    def _attributes(name: str) -> Created:
        described = components.describe({f"{kind}Name": name})
        arn = str(described[f"{kind}Arn"])
        return arn, {f"{kind}Arn": arn, f"{kind}Status": str(described[f"{kind}Status"])}

    return {"create": create, "update": update, "update_with_logical_id": True, "delete": delete}


def _model_package_group(sagemaker: SageMaker) -> dict[str, Any]:
    kind = "ModelPackageGroup"

    def create(logical_id: str, properties: Properties, _stack: str) -> Created:
        name = properties.get(f"{kind}Name") or generated_name(logical_id)
        arn = sagemaker.call(f"Create{kind}", typed(f"Create{kind}", {**properties, f"{kind}Name": name}))[f"{kind}Arn"]
        return arn, _group_attributes(arn)

    def update(arn: str, old: Properties, new: Properties, stack: str, logical_id: str) -> Created:
        kept = ("Tags", f"{kind}Policy")
        if all(old.get(name) == new.get(name) for name in {*old, *new} if name not in kept):
            return arn, _group_attributes(arn)
        return create(logical_id, new, stack)

    def delete(arn: str, _properties: Properties) -> None:
        """As on AWS, a group that has packages stays, and so does its stack."""
        ignoring_what_is_gone(sagemaker, f"Delete{kind}", {f"{kind}Name": arn})

    def _group_attributes(arn: str) -> dict[str, str]:
        described = sagemaker.call(f"Describe{kind}", {f"{kind}Name": arn})
        return {f"{kind}Arn": arn, f"{kind}Status": str(described[f"{kind}Status"]),
                "CreationTime": str(described["CreationTime"])}  # fmt: skip

    return {"create": create, "update": update, "update_with_logical_id": True, "delete": delete}


def generated_name(logical_id: str) -> str:
    """Return a name as CloudFormation makes it: the logical id and twelve random characters."""
    return f"{logical_id[:50]}-{''.join(secrets.choice(_ALPHABET) for _ in range(12))}"


def find_name(sagemaker: SageMaker, kind: str, arn: str) -> str:
    """Return the name behind an ARN, whose letters are all lower case."""
    listed = sagemaker.call(f"List{kind}s", {})[f"{kind}s"]
    return next((str(one[f"{kind}Name"]) for one in listed if one[f"{kind}Arn"] == arn), arn.rsplit("/", 1)[-1])


def ignoring_what_is_gone(sagemaker: SageMaker, operation: str, parameters: Properties) -> None:
    """Carry out an operation of the control plane, which need not find anything."""
    try:
        sagemaker.call(operation, parameters)
    except SageMakerError as error:
        if "Could not find" not in error.message:
            raise
