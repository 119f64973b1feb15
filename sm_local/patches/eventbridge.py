"""EventBridge: what other services tell it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def put_event(source: str, detail_type: str, detail: Mapping[str, Any], resources: list[str]) -> None:
    """Tell EventBridge what a service of AWS tells it, in the account and region of the request under way."""
    from ministack.services import eventbridge

    event = {"Source": source, "DetailType": detail_type, "Detail": json.dumps(detail), "Resources": resources}
    eventbridge._put_events({"Entries": [event]}, allow_aws_source=True)
