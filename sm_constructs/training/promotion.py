"""The state machine that puts a model into service, or takes it out again."""

from __future__ import annotations

import math
from collections.abc import Iterator

import jsii
from aws_cdk import Duration, IStableStringProducer, Lazy, RemovalPolicy, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from aws_cdk import aws_stepfunctions as stepfunctions
from constructs import Construct

from sm_constructs._function_settings import FunctionSettings
from sm_constructs._job_store import job_topic
from sm_constructs._log_groups import log_group
from sm_constructs._names import named
from sm_constructs._states import (
    State,
    allow,
    allow_volume_key,
    catch,
    event_attribute,
    invoke,
    jsonata,
    passing_lambda_errors,
    retry,
    state_machine,
    task,
)
from sm_constructs._validation import Problems
from sm_constructs.endpoint import Endpoint
from sm_constructs.lambda_platform import LambdaPlatform
from sm_constructs.training.promoted_model import PromotedModel, allow_removal

_TIMEOUT = Duration.minutes(1)
_LONGEST_TIMEOUT_SECONDS = 365 * 86_400 // 6  # with waits before and after, and once more: an execution takes a year
_AVERAGE_WAIT_SECONDS = 150  # with full jitter, of five minutes at the most
_BUSY = "in-progress"
"""What SageMaker says of an endpoint that moves, in an error that has the name of others."""
_MADE = "already existing"
"""What it says of a model or a configuration that there is: of this promotion, whose name no other has."""
# Step Functions ends an execution of 25,000 events, without a word: nine for each look, and some for what is repeated.
# https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
_FEW_LOOKS, _MANY_LOOKS = 200, 1_800

# Of a function, the words of its exception: https://docs.aws.amazon.com/lambda/latest/dg/python-exceptions.html
_NOT_PLANNED = (
    "{'Error': $states.errorOutput.Error, 'Cause': $contains($states.errorOutput.Cause, /^\\{\"errorMessage\"/) "
    "? $parse($states.errorOutput.Cause).errorMessage : $states.errorOutput.Cause}"
)
TOO_LATE = "PromotionTimeout"
NOT_REMEMBERED = "ModelNotRemembered"
_NOT_REMEMBERED = (
    f"{{'Error': '{NOT_REMEMBERED}', "
    f"'Cause': '{NOT_REMEMBERED}: the model is in service, but that could not be written to '"
    " & $plan.remember.Name & ', so that the next deployment would take it out: start the promotion again. ' & "
    "$states.errorOutput.Cause}"
)
_NOT_FORGOTTEN = (
    "{'Error': $failure.Error, 'Cause': $failure.Cause & '. The model is remembered in ' & $forget.Name & "
    "' all the same, and the next deployment puts it into service: ' & $states.errorOutput.Cause}"
)


class ModelPromotion(Construct):
    """Define a state machine that moves an endpoint to another model, and can take that back.

    It is started with ``{"model_data": "s3://…/model.tar.gz"}``, to which ``model_version``, ``training_id`` and
    ``model_package_arn`` may be added, or with ``{"rollback": true}``, or with ``{"initial": true}`` for the
    stack's own model. With ``replaces``, the URL of an archive, it fails unless that one is in service. The new
    model and its endpoint configuration are like those in service, but for the archive. The endpoint moves as a
    deployment of the stack would: with its guardrails, which take it back when an alarm goes off; the number of
    instances and their weights stay as they are.

    When the endpoint has moved, the model's place is written to the parameter that deployments read. A deployment
    of the endpoint's stack that runs by then is waited for, and if it has put an older model back, the endpoint
    moves again. Then the models and configurations that earlier promotions made are deleted, unless they are in
    use. When the endpoint has not moved, the execution fails with the reason, which ``topic`` hears, too, and what
    it made is deleted.

    Args:
        scope: The parent construct.
        construct_id: The id within the parent.
        promoted_model: What remembers the model in service, and what the endpoint's model is made of.
        endpoint: The endpoint.
        poll_interval: How often the endpoint is looked at while it moves, 1 second or more; after 200 looks less often,
            for Step Functions limits them: every 36 seconds with a ``timeout`` of 18 hours. When omitted: 15 seconds.
        timeout: How long the endpoint may take to move; then it fails, and says so. As long it waits for its turn, and
            in the end for a deployment of the stack, but 16 hours at the most. When omitted: 18 hours, more than two
            deployments.
        topic: Hears of promotions and rollbacks that have failed, with the attribute ``event``, ``promotion_failed``.
            When omitted: one is made.
        log_retention: How long logs are kept. When omitted: one month.
        removal_policy: What happens to the logs when the stack is deleted. When omitted: they are kept.
        vpc: The VPC that the functions run in, in its private subnets. When omitted: Lambda's own network.
        encryption_key: The KMS key for environment variables, logs and the topic. When omitted: keys that AWS manages.
        lambda_platform: Python version and architecture of the functions. When omitted: Python 3.13 on arm64.

    Attributes:
        state_machine: The state machine.
        topic: The topic.
        functions: What it calls, by the names of their constructs: ``Plan`` and ``CleanUp``.
        in_service_function: Tells which model is in service, for who compares with it.

    Raises:
        InvalidPropsError: Anything that is wrong with the arguments, all at once.

    Example: ``docs/examples/training_workflow.py``.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        promoted_model: PromotedModel,
        endpoint: Endpoint,
        poll_interval: Duration | None = None,
        timeout: Duration | None = None,
        topic: sns.ITopic | None = None,
        log_retention: logs.RetentionDays = logs.RetentionDays.ONE_MONTH,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
        vpc: ec2.IVpc | None = None,
        encryption_key: kms.IKey | None = None,
        lambda_platform: LambdaPlatform | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        platform = lambda_platform or LambdaPlatform()
        poll_interval = poll_interval or Duration.seconds(15)
        problems = Problems()
        problems.extend(promotion_problems(promoted_model, endpoint))
        timeout = timeout or Duration.hours(18)
        problems.at_least("poll_interval", poll_interval.to_seconds(integral=False), 1, "seconds")
        problems.whole_seconds("timeout", timeout.to_seconds(integral=False), 1, _LONGEST_TIMEOUT_SECONDS)
        problems.extend(f"lambda_platform: {problem}" for problem in platform.problems())
        problems.raise_for(self)

        promoted_model.endpoint = endpoint
        self._promoted = promoted_model
        self._endpoint = endpoint
        self.topic: sns.ITopic = topic or job_topic(self, encryption_key=encryption_key)
        self._settings = FunctionSettings(
            memory_size_mb=256,
            log_retention=log_retention,
            removal_policy=removal_policy,
            vpc=vpc,
            encryption_key=encryption_key,
            lambda_platform=platform,
        )
        plan = self._function("Plan", "promote.plan", PARAMETER_NAME=promoted_model.parameter_name)
        plan.add_environment("INITIAL_MODEL_DATA", promoted_model.initial_location.url)
        plan.add_environment("UPDATE_ENDPOINT", Lazy.string(_UpdateRequest(endpoint)))
        allow(plan, ["ssm:GetParameter"], [promoted_model.parameter_arn])
        clean_up = self._function("CleanUp", "promote.clean_up")
        allow_removal(clean_up, promoted_model.name_prefix)
        self.functions: dict[str, lambda_.Function] = {"Plan": plan, "CleanUp": clean_up}
        self.in_service_function: lambda_.Function = self._function("InService", "promote.in_service")
        allow(self.in_service_function, ["cloudformation:DescribeStacks"], [_root(endpoint).stack_id])

        self.state_machine: stepfunctions.StateMachine = state_machine(
            self,
            "StateMachine",
            {
                "StartAt": "Begin",
                # Whoever is stopped by this tells nobody: it is for what gets stuck beside the looks at the endpoint.
                "TimeoutSeconds": 6 * timeout.to_seconds(),
                "States": self._states(plan, clean_up, poll_interval, timeout),
            },
            log_group=log_group(
                self,
                "StateMachineLogs",
                retention=log_retention,
                removal_policy=removal_policy,
                encryption_key=encryption_key,
            ),
        )
        # A policy of its own, because the state machine needs the function.
        turn = iam.PolicyStatement(actions=["states:ListExecutions"], resources=[self.state_machine.state_machine_arn])
        assert plan.role is not None  # noqa: S101 - a function of our own has one
        iam.Policy(self, "TurnPolicy", statements=[turn], roles=[plan.role])
        self._allow_state_machine(encryption_key)

    def grant_start_execution(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow to promote a model and to roll back."""
        return self.state_machine.grant_start_execution(grantee)

    def _function(self, construct_id: str, handler: str, **environment: str) -> lambda_.Function:
        function = self._settings.function(
            self,
            construct_id,
            handler=handler,
            environment={
                "ENDPOINT_NAME": self._endpoint.endpoint_name,
                "NAME_PREFIX": self._promoted.name_prefix,
                **environment,
            },
            timeout=_TIMEOUT,
        )
        self._allow_describing(function, describes_model=construct_id != "CleanUp")
        return function

    def _allow_describing(self, function: lambda_.IFunction, *, describes_model: bool) -> None:
        stack, prefix = Stack.of(self), self._promoted.name_prefix
        model = self._endpoint.model
        assert model is not None  # noqa: S101 - promotion_problems
        allow(function, ["sagemaker:DescribeEndpoint"], [self._endpoint.endpoint_arn])
        allow(
            function,
            ["sagemaker:DescribeEndpointConfig"],
            [self._endpoint.configuration_arn, named(stack, "endpoint-config", prefix)],
        )
        if describes_model:
            allow(function, ["sagemaker:DescribeModel"], [model.model_arn, named(stack, "model", prefix)])

    def _states(
        self, plan: lambda_.IFunction, clean_up: lambda_.IFunction, poll_interval: Duration, timeout: Duration
    ) -> State:
        def look(name: str, output: str, then: str, **fields: object) -> State:
            described = task(
                "aws-sdk:sagemaker:describeEndpoint",
                {"EndpointName": self._endpoint.endpoint_name},
                Output=jsonata(output),
                **fields,
                Retry=retry(attempts=30),
            )
            return {**described, "Catch": catch(name, "RemoveHalfMade"), "Next": then}

        def failed_with(words: str, then: str) -> State:
            return _choice(f"$contains($failure.Cause, '{words}')", then, "RemoveHalfMade")

        name = jsonata("$plan.name")
        waits = min(400, math.ceil(timeout.to_seconds() / _AVERAGE_WAIT_SECONDS))
        often = poll_interval.to_seconds()
        seldom = max(math.ceil(timeout.to_seconds() / _MANY_LOOKS), 15)
        pause = often if often >= seldom else jsonata(f"$looks < {_FEW_LOOKS} ? {often} : {seldom}")
        moved = "$states.input.EndpointStatus = 'InService' and $states.input.EndpointConfigName = $plan.name"
        moved_elsewhere = (
            "$states.input.EndpointStatus = 'InService' "
            "and $not($states.input.EndpointConfigName in [$plan.name, $plan.replaces])"
        )
        over = "$states.input.EndpointStatus in ['InService', 'Failed', 'OutOfService']"
        torn = "$states.input.EndpointStatus = 'UpdateRollbackFailed'"
        not_moved_back = (
            "{'Error': 'EndpointNotMovedBack', 'Cause': 'the endpoint could not be moved back, and may serve both: ' & "
            "$states.input.FailureReason}"
        )
        not_moved = (
            "{'Error': 'EndpointNotMoved', 'Cause': 'the endpoint is ' & $states.input.EndpointStatus & "
            "' with its old configuration: ' & ($exists($states.input.FailureReason) ? $states.input.FailureReason : "
            "'an alarm of its deployment went off, or the new instances failed')}"
        )
        late = f"$millis() - $begun > {timeout.to_milliseconds()}"
        too_late = (
            f"{{'Error': '{TOO_LATE}', 'Cause': '{TOO_LATE}: the endpoint is ' & $states.input.EndpointStatus & "
            f"' after {timeout.to_human_string()}: if it comes to serve the model yet, start the promotion again, or "
            "the next deployment takes the model out'}"
        )
        return {
            "Begin": {
                "Type": "Pass",
                "Assign": {"request": jsonata("$states.context.Execution.Input"), "forget": False},
                "Next": "PlanPromotion",
            },
            "PlanPromotion": {
                **invoke(
                    plan,
                    {
                        "execution": jsonata("$states.context.Execution.Name"),
                        "state_machine": jsonata("$states.context.StateMachine.Id"),
                        "request": jsonata("$request"),
                    },
                    Assign={"plan": jsonata("$states.result.Payload"), "looks": 0, "begun": jsonata("$millis()")},
                    Retry=[*_waiting("EndpointBusyError", waits), *passing_lambda_errors()],
                ),
                # Nothing is made yet.
                "Catch": [
                    {
                        "ErrorEquals": ["States.ALL"],
                        "Assign": {"failure": jsonata(_NOT_PLANNED)},
                        "Next": "IsRemembered",
                    }
                ],
                "Next": "CreateModel",
            },
            # Each is tried again also when SageMaker has done it and its answer got lost.
            "CreateModel": {
                **task("sagemaker:createModel", jsonata("$plan.create_model"), Retry=retry()),
                "Catch": catch("CreateModel", "IsModelMade"),
                "Next": "CreateEndpointConfig",
            },
            "IsModelMade": failed_with(_MADE, "CreateEndpointConfig"),
            "CreateEndpointConfig": {
                **task("sagemaker:createEndpointConfig", jsonata("$plan.create_endpoint_config"), Retry=retry()),
                "Catch": catch("CreateEndpointConfig", "IsEndpointConfigMade"),
                "Next": "UpdateEndpoint",
            },
            "IsEndpointConfigMade": failed_with(_MADE, "UpdateEndpoint"),
            "UpdateEndpoint": {
                **task("aws-sdk:sagemaker:updateEndpoint", jsonata("$plan.update_endpoint"), Retry=retry()),
                "Catch": catch("UpdateEndpoint", "FindMove"),
                "Next": "WaitForEndpoint",
            },
            "FindMove": look(
                "FindMove",
                "{'moving_to': $exists($states.result.PendingDeploymentSummary) "
                "? $states.result.PendingDeploymentSummary.EndpointConfigName "
                ": $states.result.EndpointConfigName}",
                "IsOwnMove",
            ),
            "IsOwnMove": _choice("$states.input.moving_to = $plan.name", "WaitForEndpoint", "IsEndpointBusy"),
            "IsEndpointBusy": failed_with(_BUSY, "GiveWay"),
            # Somebody else was faster, and may have put another model into service: plan anew, when that is over.
            "GiveWay": {
                **invoke(clean_up, {"name": name}, Retry=retry()),
                "Catch": catch("GiveWay", "IsRemembered"),
                "Next": "PlanPromotion",
            },
            "WaitForEndpoint": {"Type": "Wait", "Seconds": pause, "Next": "DescribeEndpoint"},
            "DescribeEndpoint": look(
                "DescribeEndpoint",
                "$merge([{'EndpointStatus': $states.result.EndpointStatus, "
                "'EndpointConfigName': $states.result.EndpointConfigName}, "
                "$exists($states.result.FailureReason) "
                "? {'FailureReason': $states.result.FailureReason} : {}])",
                "HasMoved",
                Assign={"looks": jsonata("$looks + 1")},
            ),
            "HasMoved": {
                "Type": "Choice",
                "Choices": [
                    {"Condition": jsonata(moved), "Next": "RememberModel"},
                    {"Condition": jsonata(moved_elsewhere), "Next": "GiveWay"},
                    {
                        "Condition": jsonata(torn),
                        "Assign": {"failure": jsonata(not_moved_back)},
                        "Next": "IsRemembered",
                    },
                    {"Condition": jsonata(over), "Assign": {"failure": jsonata(not_moved)}, "Next": "RemoveHalfMade"},
                    {"Condition": jsonata(late), "Assign": {"failure": jsonata(too_late)}, "Next": "RemoveHalfMade"},
                ],
                "Default": "WaitForEndpoint",
            },
            # The model is in service: what fails from here on takes nothing back.
            "RememberModel": {
                **task("aws-sdk:ssm:putParameter", jsonata("$plan.remember"), Retry=retry(attempts=8)),
                "Catch": [
                    {
                        "ErrorEquals": ["States.ALL"],
                        "Assign": {"failure": jsonata(_NOT_REMEMBERED)},
                        "Next": "TellFailure",
                    }
                ],
                "Next": "AwaitDeployments",
            },
            # A deployment that began before goes by what was remembered then, and may put an older model back.
            "AwaitDeployments": {
                **invoke(
                    self.in_service_function,
                    {"after_deployments_of": _root(self._endpoint).stack_id},
                    Retry=[*_waiting("DeploymentRunningError", waits), *passing_lambda_errors()],
                ),
                "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "DeleteOldModels"}],
                "Next": "IsStillInService",
            },
            "IsStillInService": {
                **_choice(
                    "$states.input.model_data = $plan.create_model.PrimaryContainer.ModelDataUrl",
                    "DeleteOldModels",
                    "GiveWay",
                ),
                # By default: the same version, and what was remembered before, should that fail.
                "Assign": {
                    "request": jsonata("$plan.again"),
                    "forget": jsonata("$forget = false ? $plan.forget : $forget"),
                },
            },
            "DeleteOldModels": {
                **invoke(clean_up, {"made_before": jsonata("$plan.planned_at")}, Retry=retry()),
                "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Promoted"}],  # the next promotion tries it again
                "Next": "Promoted",
            },
            "Promoted": {"Type": "Pass", "Output": jsonata("$plan.version"), "End": True},
            "RemoveHalfMade": {
                **invoke(clean_up, {"name": name}, Retry=retry()),
                "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "IsRemembered"}],
                "Next": "IsRemembered",
            },
            "IsRemembered": _choice("$forget != false", "ForgetModel", "TellFailure"),
            "ForgetModel": {
                **task("aws-sdk:ssm:putParameter", jsonata("$forget"), Retry=retry(attempts=8)),
                "Catch": [
                    {
                        "ErrorEquals": ["States.ALL"],
                        "Assign": {"failure": jsonata(_NOT_FORGOTTEN)},
                        "Next": "TellFailure",
                    }
                ],
                "Next": "TellFailure",
            },
            "TellFailure": {
                **task(
                    "sns:publish",
                    {
                        "TopicArn": self.topic.topic_arn,
                        "Subject": "A promotion failed",
                        "Message": {
                            "promotion": jsonata("$states.context.Execution.Name"),
                            "event": "promotion_failed",
                            "request": jsonata("$states.context.Execution.Input"),
                            "error": jsonata("$failure.Error"),
                            "cause": jsonata("$failure.Cause"),
                        },
                        "MessageAttributes": event_attribute("'promotion_failed'"),
                    },
                ),
                "Retry": retry(),
                "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "NotPromoted"}],
                "Next": "NotPromoted",
            },
            "NotPromoted": {
                "Type": "Fail",
                "Error": jsonata("$failure.Error"),
                "Cause": jsonata("$failure.Cause"),
            },
        }

    def _allow_state_machine(self, topic_key: kms.IKey | None) -> None:
        stack, machine, prefix = Stack.of(self), self.state_machine, self._promoted.name_prefix
        model = self._endpoint.model
        assert model is not None  # noqa: S101 - promotion_problems
        for function in (*self.functions.values(), self.in_service_function):
            allow(machine, ["lambda:InvokeFunction"], [function.function_arn])
        allow(machine, ["sagemaker:CreateModel"], [named(stack, "model", prefix)])
        allow(machine, ["sagemaker:CreateEndpointConfig"], [named(stack, "endpoint-config", prefix)])
        # Step Functions tags what it makes with the execution.
        allow(
            machine,
            ["sagemaker:AddTags"],
            [named(stack, "model", prefix), named(stack, "endpoint-config", prefix)],
        )
        allow(
            machine,
            ["sagemaker:UpdateEndpoint"],
            [self._endpoint.endpoint_arn, named(stack, "endpoint-config", prefix)],
        )
        allow(machine, ["sagemaker:DescribeEndpoint"], [self._endpoint.endpoint_arn])
        allow(
            machine,
            ["iam:PassRole"],
            [model.role.role_arn],
            StringEquals={"iam:PassedToService": "sagemaker.amazonaws.com"},
        )
        allow(machine, ["ssm:PutParameter"], [self._promoted.parameter_arn])
        allow(machine, ["sns:Publish"], [self.topic.topic_arn])
        if topic_key:
            allow(machine, ["kms:Decrypt", "kms:GenerateDataKey*"], [topic_key.key_arn])
        if key := self._endpoint.encryption_key:
            allow_volume_key(machine, key)


@jsii.implements(IStableStringProducer)
class _UpdateRequest:
    """What UpdateEndpoint is told, known when all of the app is defined."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def produce(self) -> str:
        return Stack.of(self._endpoint).to_json_string(self._endpoint.update_request)


def _choice(condition: str, then: str, default: str) -> State:
    return {"Type": "Choice", "Choices": [{"Condition": jsonata(condition), "Next": then}], "Default": default}


def _waiting(error: str, attempts: int) -> list[State]:
    """Return the retrier for what is waited for: as long as the promotion may take, but sixteen hours at the most."""
    return retry([error], attempts=attempts, interval=15, longest=300)


def _root(endpoint: Endpoint) -> Stack:
    """Return the stack that is deployed: a nested one is a part of it."""
    stack = Stack.of(endpoint)
    while stack.nested_stack_parent:
        stack = stack.nested_stack_parent
    return stack


def promotion_problems(promoted_model: PromotedModel, endpoint: Endpoint) -> Iterator[str]:
    """Yield why an endpoint's model cannot be replaced at run time."""
    if promoted_model.endpoint is not None:
        yield (
            f"promoted_model '{promoted_model.node.path}' is promoted already, "
            f"at '{promoted_model.endpoint.node.path}', and each promotion would delete what the other has made: "
            "give this one a PromotedModel of its own"
        )
    if endpoint.model is None:
        yield "endpoint has no model of its own: give it one, of the promoted model's data"
    elif endpoint.model.container_count > 1:
        yield "endpoint serves several containers: a promotion replaces the archive of a single one"
