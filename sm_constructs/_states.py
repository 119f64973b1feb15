"""States of Step Functions in the Amazon States Language, in JSONata, as the documentation writes them.

Plain dictionaries: the CDK's own classes lack fields of SageMaker's jobs, and grant more than is needed.
https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import Aws, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as stepfunctions
from constructs import Construct

from sm_constructs._names import named

State = dict[str, Any]

# What may pass by itself: services that are busy, functions that are throttled or were killed.
# https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
_PASSING_LAMBDA_ERRORS = [
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
    "Sandbox.Timedout",
    # What our own functions raise where a service that they call is busy.
    "TimedOutError",
    "UnavailableError",
]
# An account's limit of instances: no job was made, and there may be room when others have ended.
_LIMITS = ("SageMaker.ResourceLimitExceededException", "SageMaker.ResourceLimitExceeded")
# Throttling and errors of the service; what is wrong with a request has the same names, so they end soon.
_SAGEMAKER_ERRORS = (
    "SageMaker.AmazonSageMakerException",
    "SageMaker.SageMakerException",
    "SageMaker.ThrottlingException",
)

_FAILURE = "{% {'Error': $states.errorOutput.Error, 'Cause': $states.errorOutput.Cause} %}"


def jsonata(expression: str) -> str:
    """Return a JSONata expression as a state's field has it.

    >>> jsonata("$plan.margin")
    '{% $plan.margin %}'
    """
    return f"{{% {expression} %}}"


def retry(
    errors: Sequence[str] = ("States.ALL",), *, attempts: int = 3, interval: int = 2, longest: int = 60
) -> list[State]:
    """Return a retrier: exponential, with full jitter, and with an end.

    Args:
        errors: The names of the errors. When omitted: all.
        attempts: How often it is tried again.
        interval: Seconds before the first time, 0 to that with jitter.
        longest: The longest pause in seconds.
    """
    return [
        {
            "ErrorEquals": list(errors),
            "IntervalSeconds": interval,
            "MaxAttempts": attempts,
            "BackoffRate": 2,
            "MaxDelaySeconds": longest,
            "JitterStrategy": "FULL",
        }
    ]


def catch(state: str, then: str) -> list[State]:
    """Return a catcher of everything, which assigns ``failure`` and ``failed_state``, and goes on at ``then``."""
    return [{"ErrorEquals": ["States.ALL"], "Assign": {"failure": _FAILURE, "failed_state": state}, "Next": then}]


def invoke(function: lambda_.IFunction, payload: Mapping[str, object], **fields: object) -> State:
    """Return a task that calls a Lambda function, whose answer is the state's result: ``$states.result.Payload``."""
    arguments = {"FunctionName": function.function_arn, "Payload": dict(payload)}
    return task("lambda:invoke", arguments, Output=fields.pop("Output", jsonata("$states.result.Payload")), **fields)


def task(integration: str, arguments: Mapping[str, object] | str, **fields: object) -> State:
    """Return a task of a service integration, such as ``"sagemaker:createModel"``, with further fields of the state."""
    return {
        "Type": "Task",
        "Resource": f"arn:{Aws.PARTITION}:states:::{integration}",
        "Arguments": arguments if isinstance(arguments, str) else dict(arguments),
        **fields,
    }


def event_attribute(event: str) -> State:
    """Return the attribute of a message by which subscribers filter, of a JSONata expression."""
    return {"event": {"DataType": "String", "StringValue": jsonata(event)}}


def passing_lambda_errors() -> list[State]:
    """Return the retrier for a function whose own errors would come again."""
    return retry(_PASSING_LAMBDA_ERRORS, attempts=5)


def passing_job_limits() -> list[State]:
    """Return the retrier for a state that makes a job of SageMaker's: it waits about twenty minutes for instances."""
    return retry(_LIMITS, attempts=6, interval=60, longest=900)


def passing_job_errors() -> list[State]:
    """Return the retriers for a state that makes a job of SageMaker's, and is not tried again in another way."""
    return [*passing_job_limits(), *retry(_SAGEMAKER_ERRORS, attempts=5, interval=5)]


def state_machine(
    scope: Construct,
    construct_id: str,
    definition: State,
    *,
    log_group: logs.ILogGroup,
) -> stepfunctions.StateMachine:
    """Define a standard state machine that logs and traces all that it does.

    Args:
        scope: The parent construct.
        construct_id: The id within the parent.
        definition: ``StartAt`` and ``States``.
        log_group: Where it logs.
    """
    text = Stack.of(scope).to_json_string({"QueryLanguage": "JSONata", **definition})
    return stepfunctions.StateMachine(
        scope,
        construct_id,
        definition_body=stepfunctions.DefinitionBody.from_string(text),
        logs=stepfunctions.LogOptions(destination=log_group, level=stepfunctions.LogLevel.ALL),
        tracing_enabled=True,
    )


def allow(
    grantee: iam.IGrantable, actions: Sequence[str], resources: Sequence[str], **conditions: Mapping[str, object]
) -> iam.Grant:
    """Allow actions on resources, under conditions such as ``StringEquals={…}``."""
    return iam.Grant.add_to_principal(
        grantee=grantee, actions=list(actions), resource_arns=list(resources), conditions=dict(conditions) or None
    )


def allow_jobs(machine: stepfunctions.StateMachine, kind: str, name_prefix: str) -> None:
    """Allow to run SageMaker's jobs of a kind, such as ``"Training"``, and to wait for them (``.sync``).

    https://docs.aws.amazon.com/step-functions/latest/dg/sagemaker-iam.html
    """
    # Step Functions tags the jobs that it makes.
    actions = [f"sagemaker:{verb}{kind}Job" for verb in ("Create", "Describe", "Stop")]
    allow(
        machine,
        ["sagemaker:AddTags", "sagemaker:ListTags", *actions],
        [named(Stack.of(machine), f"{kind.lower()}-job", name_prefix)],
    )
    allow_waiting(machine, f"SageMaker{kind}Jobs")


def allow_waiting(machine: stepfunctions.StateMachine, subject: str) -> None:
    """Allow to wait for the end of something by the rule that Step Functions manages for it."""
    rule = f"StepFunctionsGetEventsFor{subject}Rule"
    allow(
        machine,
        ["events:DescribeRule", "events:PutRule", "events:PutTargets"],
        [Stack.of(machine).format_arn(service="events", resource="rule", resource_name=rule)],
    )


def allow_volume_key(machine: stepfunctions.StateMachine, key: kms.IKey) -> None:
    """Allow what SageMaker asks of who makes it encrypt instances' volumes: it attaches them in that one's name."""
    allow(machine, ["kms:DescribeKey"], [key.key_arn])
    allow(machine, ["kms:CreateGrant"], [key.key_arn], Bool={"kms:GrantIsForAWSResource": "true"})
