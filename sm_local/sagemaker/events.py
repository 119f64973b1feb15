"""What SageMaker tells EventBridge.

https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html
"""

from __future__ import annotations

from functools import partial
from typing import Any

from sm_local.patches import eventbridge
from sm_local.sagemaker import background
from sm_local.sagemaker.registry import Parameters


def tell(what: str, detail: Parameters, arn: str) -> None:
    """Send an event in a thread of its own, as its targets may take their time.

    Args:
        what: What has changed, such as ``Training Job``.
        detail: A description, with times in seconds.
        arn: Of what has changed.
    """
    put = partial(
        eventbridge.put_event, "aws.sagemaker", f"SageMaker {what} State Change", in_milliseconds(detail), [arn]
    )
    background.start(put, "sagemaker-event")


def in_milliseconds(description: Parameters) -> Parameters:
    """Return a description with times as events have them: milliseconds since the epoch.

    >>> in_milliseconds({"CreationTime": 1.5, "Weight": 0.5, "Transitions": [{"StartTime": 2.0}]})
    {'CreationTime': 1500, 'Weight': 0.5, 'Transitions': [{'StartTime': 2000}]}
    """
    return {name: _in_milliseconds(name, value) for name, value in description.items()}


def _in_milliseconds(name: str, value: Any) -> Any:
    if isinstance(value, dict):
        return in_milliseconds(value)
    if isinstance(value, list):
        return [_in_milliseconds("", one) for one in value]
    return int(value * 1000) if isinstance(value, float) and name.endswith(("Time", "Timestamp")) else value
