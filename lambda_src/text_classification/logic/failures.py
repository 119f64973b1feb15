"""Why a training ended early, in words: what Step Functions hands on of an error is made for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_MAX_CAUSE = 4_000
_MAX_SUBJECT = 100  # https://docs.aws.amazon.com/sns/latest/api/API_Publish.html

_WORDS = {
    "States.Timeout": "it took longer than it may",
    "States.HeartbeatTimeout": "it gave no sign of life for longer than it may",
    "States.TaskFailed": "a task failed without saying why",
    "States.Permissions": "the state machine has no permission for it",
    "States.DataLimitExceeded": "what a state handed on is too large",
    "States.ExceedToleratedFailureThreshold": "too many parts failed",
}


_ENDS = {"TIMED_OUT": "it took longer than it may", "ABORTED": "somebody stopped it"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """Why something failed.

    Args:
        error: The name of the error, such as ``DatasetError`` or ``States.Timeout``.
        cause: Why, for people.
    """

    error: str
    cause: str


def explain(error: str | None, cause: str | None) -> Failure:
    r"""Return a failure of a state in words.

    Args:
        error: Step Functions' name for it.
        cause: Text, or JSON: of a Lambda function its ``errorMessage``, of a job of SageMaker's its description.

    >>> explain("DatasetError", '{"errorMessage": "no column label", "errorType": "DatasetError"}')
    Failure(error='DatasetError', cause='no column label')
    >>> explain("States.TaskFailed", '{"TrainingJobName": "t-1", "FailureReason": "boom"}')
    Failure(error='States.TaskFailed', cause='training job t-1 failed: boom')
    >>> explain("States.Timeout", None)
    Failure(error='States.Timeout', cause='it took longer than it may')
    """
    name = error or "Error"
    words = _words(cause) if cause else None
    return Failure(error=name, cause=(words or _WORDS.get(name, "for no reason that AWS told"))[:_MAX_CAUSE])


def message_of(training_id: str, state: str | None, failure: Failure) -> dict[str, str]:
    """Return the ``subject`` and the ``message`` that say by mail that a training failed."""
    place = f" in {state}" if state else ""
    return {
        "subject": f"Training {training_id} failed{place}"[:_MAX_SUBJECT],
        "message": f"Training {training_id} failed{place}.\n\n{failure.error}: {failure.cause}\n",
    }


def _words(cause: str) -> str | None:  # noqa: PLR0911 - a line for each kind of cause
    try:
        document = json.loads(cause)
    except ValueError:
        return cause.strip()
    match document:
        case {"errorMessage": str() as message} if message.strip():
            return message.strip()
        case {"errorType": str() as kind}:
            return f"{kind}, without a message"
        case {"Error": _, "Cause": str() as inner}:
            return _words(inner)
        case {"ExecutionArn": _, "Status": str() as status} if status in _ENDS:
            return _ENDS[status]
        case dict():
            return _job(document) or cause.strip()
        case _:
            return document.strip() if isinstance(document, str) else cause.strip()


def _job(description: Mapping[str, Any]) -> str | None:
    """Say how a job of SageMaker's ended, by its description."""
    for kind, words in (("Training", "training job"), ("Processing", "processing job"), ("Transform", "transform job")):
        name = description.get(f"{kind}JobName")
        if name is None:
            continue
        status = str(description.get(f"{kind}JobStatus", "Failed")).lower()
        reason = description.get("FailureReason") or description.get("ExitMessage")
        secondary = description.get("SecondaryStatus")
        if not reason and secondary and str(secondary).lower() != status:
            reason = secondary
        return f"{words} {name} {status}: {reason}" if reason else f"{words} {name} {status}"
    reason = description.get("FailureReason")
    return str(reason) if reason else None
