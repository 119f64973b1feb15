"""EventBridge: what other services tell it, and the functions that it calls."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def put_event(source: str, detail_type: str, detail: Mapping[str, Any], resources: list[str]) -> None:
    """Tell EventBridge what a service of AWS tells it, in the account and region of the request under way."""
    from ministack.services import eventbridge

    event = {"Source": source, "DetailType": detail_type, "Detail": json.dumps(detail), "Resources": resources}
    eventbridge._put_events({"Entries": [event]}, allow_aws_source=True)


def call_functions_until_they_succeed() -> None:
    """MiniStack calls the function of a rule once: call it again when it fails, and tell its destination at last."""
    from ministack.services import eventbridge, lambda_svc

    def dispatch(arn: str, payload: str) -> None:
        function, configuration, _ = lambda_svc._get_func_record_for_ref(arn)
        if function and configuration:
            record = lambda_svc._execution_record_for_config(function, configuration)
            lambda_svc.invoke_async_with_retry(record, json.loads(payload))

    eventbridge._dispatch_to_lambda = dispatch
