"""What a state machine's role must be allowed for a task, where no call with its credentials shows it.

https://docs.aws.amazon.com/step-functions/latest/dg/security-iam.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from sm_local.patches import core, iam, step_functions

_TASK = "arn:aws:states:::"
_MANAGED_RULES = {
    "sagemaker:createTrainingJob": "StepFunctionsGetEventsForSageMakerTrainingJobsRule",
    "sagemaker:createProcessingJob": "StepFunctionsGetEventsForSageMakerProcessingJobsRule",
    "sagemaker:createTransformJob": "StepFunctionsGetEventsForSageMakerTransformJobsRule",
    "states:startExecution": "StepFunctionsGetEventsForStepFunctionsExecutionRule",
}
_RULE_ACTIONS = ("events:PutTargets", "events:PutRule", "events:DescribeRule")
# The error that each integration names when its service refuses a call.
_ERRORS = {
    "events": "EventBridge.AmazonEventBridgeException",
    "s3": "States.ItemReaderFailed",
    "lambda": "Lambda.AWSLambdaException",
    "sns": "SNS.AmazonSNSException",
    "sqs": "SQS.AmazonSQSException",
    "states": "StepFunctions.AWSStepFunctionsException",
}


class Permission(NamedTuple):
    """An action on a resource."""

    action: str
    resource: str


def check(resource: str, arguments: Any, execution: step_functions.Execution) -> None:
    """Raise the task's failure when the role lacks a permission."""
    account, region = core.scope()
    _check(required(resource, arguments if isinstance(arguments, dict) else {}, account, region), execution)


def check_map(reader: Mapping[str, Any], arguments: Mapping[str, Any], execution: step_functions.Execution) -> None:
    """Raise the failure of a distributed map whose role lacks a permission."""
    _check(of_map(reader, arguments, execution.state_machine_arn), execution)


def _check(wanted: Iterable[Permission], execution: step_functions.Execution) -> None:
    account, region = core.scope()
    for action, on in wanted:
        if iam.role_allows(execution.role_arn, action, on, region):
            continue
        role, managed = execution.role_arn.rsplit("/", 1)[-1], on.rsplit("/", 1)[-1]
        if managed in _MANAGED_RULES.values():
            raise step_functions.task_error(
                "States.TaskFailed",
                f"'{execution.role_arn}' is not authorized to create managed-rule '{managed}' ({action} on {on})",
            )
        service = action.partition(":")[0]
        raise step_functions.task_error(
            _ERRORS.get(service, "States.TaskFailed"),
            f"User: arn:aws:sts::{account}:assumed-role/{role}/{execution.name} is not authorized to perform: {action} "
            f"on resource: {on} because no identity-based policy allows the {action} action (Status Code: 403; "
            "Error Code: AccessDeniedException)",
        )


def required(resource: str, arguments: Mapping[str, Any], account: str, region: str) -> Iterator[Permission]:
    """Yield the permissions that a task needs.

    >>> task = "arn:aws:states:::sns:publish.waitForTaskToken"
    >>> list(required(task, {"TopicArn": "arn:aws:sns:us-east-1:1:approvals"}, "1", "us-east-1"))
    [Permission(action='sns:Publish', resource='arn:aws:sns:us-east-1:1:approvals')]
    """
    if not resource.startswith(_TASK):
        if ":function:" in resource:
            yield Permission("lambda:InvokeFunction", resource)
        return
    task, _, pattern = resource.removeprefix(_TASK).partition(".")
    yield from _to_call(task, arguments, account, region)
    if pattern.startswith("sync"):
        yield from _to_wait(task, arguments, account, region)


def _to_call(task: str, arguments: Mapping[str, Any], account: str, region: str) -> Iterator[Permission]:
    match task.split(":"):
        case ["lambda", "invoke"]:
            yield Permission("lambda:InvokeFunction", _function(str(arguments.get("FunctionName")), account, region))
        case ["sns", "publish"]:
            yield Permission("sns:Publish", str(arguments.get("TopicArn")))
        case ["sqs", "sendMessage"]:
            queue = str(arguments.get("QueueUrl")).rsplit("/", 1)[-1]
            yield Permission("sqs:SendMessage", f"arn:aws:sqs:{region}:{account}:{queue}")
        case ["events", "putEvents"]:
            for bus in {str(entry.get("EventBusName", "default")) for entry in arguments.get("Entries", ())}:
                named = bus if bus.startswith("arn:") else f"arn:aws:events:{region}:{account}:event-bus/{bus}"
                yield Permission("events:PutEvents", named)
        case ["dynamodb", operation]:
            table = f"arn:aws:dynamodb:{region}:{account}:table/{arguments.get('TableName')}"
            yield Permission(f"dynamodb:{operation[0].upper()}{operation[1:]}", table)
        case ["states", "startExecution"]:
            yield Permission("states:StartExecution", str(arguments.get("StateMachineArn")))


def _to_wait(task: str, arguments: Mapping[str, Any], account: str, region: str) -> Iterator[Permission]:
    if task == "states:startExecution":
        executions = f"{str(arguments.get('StateMachineArn')).replace(':stateMachine:', ':execution:')}:*"
        yield Permission("states:DescribeExecution", executions)
        yield Permission("states:StopExecution", executions)
    if rule := _MANAGED_RULES.get(task):
        for action in _RULE_ACTIONS:
            yield Permission(action, f"arn:aws:events:{region}:{account}:rule/{rule}")


def of_map(reader: Mapping[str, Any], arguments: Mapping[str, Any], state_machine: str) -> Iterator[Permission]:
    """Yield the permissions that a distributed map needs.

    Args:
        reader: Its ``ItemReader``, empty when it has none.
        arguments: The reader's, evaluated.
        state_machine: The ARN of the state machine that it is in.
    """
    # https://docs.aws.amazon.com/step-functions/latest/dg/iam-policies-eg-dist-map.html
    yield Permission("states:StartExecution", state_machine)
    bucket = f"arn:aws:s3:::{arguments.get('Bucket')}"
    if reader.get("Resource", "").endswith("s3:listObjectsV2"):
        yield Permission("s3:ListBucket", bucket)
    elif reader:
        yield Permission("s3:GetObject", f"{bucket}/{arguments.get('Key')}")


def _function(name: str, account: str, region: str) -> str:
    return name if name.startswith("arn:") else f"arn:aws:lambda:{region}:{account}:function:{name}"
