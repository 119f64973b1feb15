"""Calls of AWS that a state machine makes, with the permissions of its role."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from botocore.model import ListShape, MapShape, Shape, StructureShape

from sm_local import sessions
from sm_local.patches import iam, step_functions

SERVICE = "states.amazonaws.com"
# By the name in ``aws-sdk:<name>:…``: boto3's name, and the prefix of the names of errors.
SERVICES: Mapping[str, tuple[str, str]] = {
    "s3": ("s3", "S3"),
    "sagemaker": ("sagemaker", "SageMaker"),
    "ssm": ("ssm", "Ssm"),
}


def session(execution: step_functions.Execution) -> boto3.Session:
    """Return a session of the state machine's role.

    Raises:
        Exception: The task's failure, when Step Functions may not assume it.
    """
    try:
        credentials = iam.service_session(execution.role_arn, SERVICE, execution.name)
    except PermissionError as error:
        raise step_functions.task_error("States.TaskFailed", str(error)) from error
    return sessions.session(credentials)


def call(
    client: Any,
    operation: str,
    arguments: Mapping[str, Any],
    *,
    prefix: str,
    generic: str,
    moment: Callable[[datetime.datetime], Any],
) -> dict[str, Any]:
    """Make a call and return its answer as Step Functions has it.

    Args:
        client: A boto3 client of the state machine's role.
        operation: Such as ``CreateModel``.
        arguments: Of the operation, named as Step Functions names them.
        prefix: Of the names of the service's errors.
        generic: The error that stands for those that the service's model does not have.
        moment: Makes JSON of a time in the answer.

    Raises:
        Exception: The task's failure.
    """
    try:
        method = next(name for name, of in client.meta.method_to_api_mapping.items() if of == operation)
    except StopIteration:
        raise step_functions.task_error("States.Runtime", f"{prefix} has no {operation}") from None
    model = client.meta.service_model.operation_model(operation)
    wanted = step_functions.api_members(dict(arguments), model.input_shape)
    try:
        answer: dict[str, Any] = getattr(client, method)(**wanted)
    except ClientError as error:
        code, status = error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
        known = {shape.name for shape in model.error_shapes}
        name = code if code.endswith("Exception") or code not in known else f"{code}Exception"
        cause = (
            f"{error.response['Error'].get('Message', '')} (Service: {prefix}, Status Code: {status}, "
            f"Request ID: {error.response['ResponseMetadata'].get('RequestId', '')})"
        )
        raise step_functions.task_error(f"{prefix}.{name if code in known else generic}", cause) from error
    except BotoCoreError as error:
        raise step_functions.task_error("States.Runtime", str(error)) from error
    answer.pop("ResponseMetadata", None)
    shown: dict[str, Any] = plain(answer, model.output_shape, moment)
    return shown


def iso_8601(moment: datetime.datetime) -> str:
    """Return a time as ``aws-sdk`` integrations have it."""
    return moment.astimezone(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def milliseconds(moment: datetime.datetime) -> int:
    """Return a time as optimized integrations have it: since the epoch."""
    return int(moment.timestamp() * 1000)


def plain(value: Any, shape: Shape | None, moment: Callable[[datetime.datetime], Any]) -> Any:
    """Return an answer as JSON: bodies are texts."""
    match shape:
        case StructureShape() if isinstance(value, dict):
            return {name: plain(one, shape.members.get(name), moment) for name, one in value.items()}
        case ListShape() if isinstance(value, list):
            return [plain(one, shape.member, moment) for one in value]
        case MapShape() if isinstance(value, dict):
            return {name: plain(one, shape.value, moment) for name, one in value.items()}
    if isinstance(value, datetime.datetime):
        return moment(value)
    if hasattr(value, "read"):
        value = value.read()
    return value.decode(errors="replace") if isinstance(value, bytes) else value
