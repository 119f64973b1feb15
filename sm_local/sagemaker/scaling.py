"""Application Auto Scaling: CloudFormation resource types that are kept and not acted on."""

from __future__ import annotations

import uuid
from typing import Any

from sm_local.patches import cloudformation, core

Properties = dict[str, Any]
Created = tuple[str, dict[str, str]]


def recorded_types() -> cloudformation.ResourceHandlers:
    """Return handlers that only make what ``Ref`` and ``GetAtt`` give."""
    return {
        "AWS::ApplicationAutoScaling::ScalableTarget": _recorded(_target),
        "AWS::ApplicationAutoScaling::ScalingPolicy": _recorded(_policy),
    }


def _recorded(identify: Any) -> dict[str, Any]:
    def create(_logical_id: str, properties: Properties, _stack: str) -> Created:
        created: Created = identify(properties)
        return created

    def update(physical_id: str, old: Properties, new: Properties, _stack: str) -> Created:
        identity = ("PolicyName", "ResourceId", "ScalableDimension", "ScalingTargetId", "ServiceNamespace")
        if any(old.get(name) != new.get(name) for name in identity):
            return create("", new, "")
        return physical_id, {"Id": physical_id, "Arn": physical_id}

    def delete(_physical_id: str, _properties: Properties) -> None:
        """There is nothing to undo."""

    return {"create": create, "update": update, "delete": delete}


def _target(properties: Properties) -> Created:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-applicationautoscaling-scalabletarget.html."""
    identity = "|".join(str(properties[name]) for name in ("ResourceId", "ScalableDimension", "ServiceNamespace"))
    return identity, {"Id": identity}


def _policy(properties: Properties) -> Created:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-applicationautoscaling-scalingpolicy.html."""
    account, region = core.scope()
    target = str(properties.get("ScalingTargetId", "")).split("|")
    resource = properties.get("ResourceId") or target[0]
    service = properties.get("ServiceNamespace") or target[-1]
    arn = (
        f"arn:aws:autoscaling:{region}:{account}:scalingPolicy:{uuid.uuid4()}:resource/{service}/{resource}:"
        f"policyName/{properties['PolicyName']}"
    )
    return arn, {"Arn": arn}
