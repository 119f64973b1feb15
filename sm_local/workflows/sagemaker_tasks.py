"""Step Functions' own integrations of SageMaker: ``arn:aws:states:::sagemaker:…`` and ``aws-sdk:…``.

https://docs.aws.amazon.com/step-functions/latest/dg/connect-sagemaker.html
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from sm_local.patches import step_functions
from sm_local.sagemaker.jobs.job import ENDED
from sm_local.workflows import sdk

_LOOK_SECONDS = 0.5
# https://github.com/aws/aws-cdk/pull/27264
_MANAGED = {"Key": "MANAGED_BY_AWS", "Value": "STARTED_BY_STEP_FUNCTIONS"}
_JOBS = ("Training", "Processing", "Transform")
_OTHERS = ("createModel", "createEndpointConfig", "createEndpoint", "updateEndpoint")

Handler = Callable[[str, Any], Any]


def handlers() -> Mapping[str, Handler]:
    """Return what runs the tasks whose resources begin so."""
    return {
        "arn:aws:states:::sagemaker:": _optimized,
        **{f"arn:aws:states:::aws-sdk:{name}:": _generic for name in sdk.SERVICES},
    }


def _optimized(resource: str, arguments: Any) -> Any:
    name, _, pattern = resource.rpartition("sagemaker:")[2].partition(".")
    kind = name.removeprefix("create").removesuffix("Job")
    if kind not in _JOBS and name not in _OTHERS:
        raise step_functions.task_error("States.Runtime", f"Step Functions has no integration sagemaker:{name}")
    if pattern and (pattern != "sync" or kind not in _JOBS):
        raise step_functions.task_error(
            "States.Runtime", f"Step Functions has no integration sagemaker:{name}.{pattern}"
        )
    execution = step_functions.current_execution()
    client = sdk.session(execution).client("sagemaker")
    tags = {"Tags": [*arguments.get("Tags", ()), _MANAGED]} if pattern else {}
    answer = _call(client, name[0].upper() + name[1:], {**arguments, **tags})
    return _until_ended(client, kind, arguments[f"{kind}JobName"], execution) if pattern else answer


def _generic(resource: str, arguments: Any) -> Any:
    service, operation = resource.partition(".waitForTaskToken")[0].split(":")[-2:]
    name, prefix = sdk.SERVICES[service]
    client = sdk.session(step_functions.current_execution()).client(name)
    if isinstance((arguments or {}).get("Body"), dict | list):
        arguments = {**arguments, "Body": json.dumps(arguments["Body"])}
    return sdk.call(
        client,
        operation[0].upper() + operation[1:],
        arguments or {},
        prefix=prefix,
        generic=f"{prefix}Exception",
        moment=sdk.iso_8601,
    )


def _call(client: Any, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    return sdk.call(
        client, operation, arguments, prefix="SageMaker", generic="AmazonSageMakerException", moment=sdk.milliseconds
    )


def _until_ended(client: Any, kind: str, name: str, execution: step_functions.Execution) -> dict[str, Any]:
    """Return how a job has ended, which is stopped when its task is.

    Raises:
        Exception: The task's failure, whose cause is what ``Describe…Job`` says, when the job has failed.
    """
    named = {f"{kind}JobName": name}
    while True:
        described = _call(client, f"Describe{kind}Job", named)
        status = described[f"{kind}JobStatus"]
        if status in ENDED:
            if status == "Completed":
                return described
            raise step_functions.task_error("States.TaskFailed", json.dumps(described))
        if not execution.wants_task():
            if status != "Stopping":
                _call(client, f"Stop{kind}Job", named)
            raise step_functions.task_error("States.TaskFailed", f"{kind.lower()} job {name} was stopped with its task")
        time.sleep(_LOOK_SECONDS)
