"""The CloudFormation resource types of SageMaker hosting.

As on AWS, a stack waits until an endpoint is ``InService``, and rolls back with the reason when it fails.
Model and endpoint configuration are immutable: every change replaces them.
"""

from __future__ import annotations

import secrets
import string
from typing import Any

from sm_local import patches
from sm_local.sagemaker.errors import SageMakerError
from sm_local.sagemaker.service import SageMaker

Properties = dict[str, Any]
Created = tuple[str, dict[str, str]]

_ALPHABET = string.ascii_letters + string.digits


def resource_types(sagemaker: SageMaker) -> patches.ResourceHandlers:
    """Return the handlers of each type, in the form MiniStack's CloudFormation wants."""
    return {
        "AWS::SageMaker::Model": _immutable(sagemaker, "Model"),
        "AWS::SageMaker::EndpointConfig": _immutable(sagemaker, "EndpointConfig"),
        "AWS::SageMaker::Endpoint": _endpoint(sagemaker),
    }


def _immutable(sagemaker: SageMaker, kind: str) -> dict[str, Any]:
    def create(logical_id: str, properties: Properties, _stack: str) -> Created:
        name = properties.get(f"{kind}Name") or _generated_name(logical_id)
        answer = sagemaker.call(f"Create{kind}", {**properties, f"{kind}Name": name})
        return answer[f"{kind}Arn"], {f"{kind}Name": name, f"{kind}Arn": answer[f"{kind}Arn"]}

    def update(arn: str, old: Properties, new: Properties, stack: str, logical_id: str) -> Created:
        if {**old, "Tags": None} == {**new, "Tags": None}:
            return arn, {}
        return create(logical_id, new, stack)

    def delete(arn: str, _properties: Properties) -> None:
        _ignoring_what_is_gone(sagemaker, f"Delete{kind}", {f"{kind}Name": _find_name(sagemaker, kind, arn)})

    return {"create": create, "update": update, "update_with_logical_id": True, "delete": delete}


def _endpoint(sagemaker: SageMaker) -> dict[str, Any]:
    hosting = sagemaker.endpoints

    def create(logical_id: str, properties: Properties, _stack: str) -> Created:
        name = properties.get("EndpointName") or _generated_name(logical_id)
        started = hosting.start_creation({**properties, "EndpointName": name})
        try:
            started.result()
        except Exception:
            _ignoring_what_is_gone(sagemaker, "DeleteEndpoint", {"EndpointName": name})
            raise
        arn = hosting.describe_endpoint({"EndpointName": name})["EndpointArn"]
        return arn, {"EndpointName": name, "EndpointArn": arn}

    def update(arn: str, old: Properties, new: Properties, stack: str, logical_id: str) -> Created:
        if old.get("EndpointName") != new.get("EndpointName"):
            return create(logical_id, new, stack)
        name = _find_name(sagemaker, "Endpoint", arn)
        if old.get("EndpointConfigName") != new.get("EndpointConfigName"):
            hosting.start_update({"EndpointName": name, "EndpointConfigName": new["EndpointConfigName"]}).result()
        return arn, {"EndpointName": name, "EndpointArn": arn}

    def delete(arn: str, _properties: Properties) -> None:
        _ignoring_what_is_gone(sagemaker, "DeleteEndpoint", {"EndpointName": _find_name(sagemaker, "Endpoint", arn)})

    return {"create": create, "update": update, "update_with_logical_id": True, "delete": delete}


def _generated_name(logical_id: str) -> str:
    """Return a name as CloudFormation makes it: the logical id and twelve random characters."""
    return f"{logical_id[:50]}-{''.join(secrets.choice(_ALPHABET) for _ in range(12))}"


def _find_name(sagemaker: SageMaker, kind: str, arn: str) -> str:
    """Return the name behind an ARN, whose letters are all lower case."""
    listed = sagemaker.call(f"List{kind}s", {})[f"{kind}s"]
    return next((str(one[f"{kind}Name"]) for one in listed if one[f"{kind}Arn"] == arn), arn.rsplit("/", 1)[-1])


def _ignoring_what_is_gone(sagemaker: SageMaker, operation: str, parameters: Properties) -> None:
    try:
        sagemaker.call(operation, parameters)
    except SageMakerError as error:
        if "Could not find" not in error.message:
            raise
