"""CloudFormation resource types that are kept and not acted on."""

from __future__ import annotations

import secrets
from typing import Any

Properties = dict[str, Any]
Created = tuple[str, dict[str, str]]


def flow_log() -> dict[str, Any]:
    """Return handlers of AWS::EC2::FlowLog: every change but one of its tags makes another one."""

    def create(_logical_id: str, _properties: Properties, _stack: str) -> Created:
        identifier = f"fl-{secrets.token_hex(8)}"
        return identifier, {"Id": identifier}

    def update(identifier: str, old: Properties, new: Properties, stack: str) -> Created:
        if {**old, "Tags": None} == {**new, "Tags": None}:
            return identifier, {"Id": identifier}
        return create("", new, stack)

    def delete(_identifier: str, _properties: Properties) -> None:
        """There is nothing to undo."""

    return {"create": create, "update": update, "delete": delete}
