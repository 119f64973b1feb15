"""Deploy the project's stack to its local AWS, and say how it fares."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import ClientError

from sm_local.cdk import run_cdk
from sm_local.errors import LocalAwsError, log_tail
from sm_local.project import Project, Stage
from sm_local.state import ACCOUNT, REGION

BOOTSTRAP_PARAMETER = "/cdk-bootstrap/hnb659fds/version"


@dataclass(frozen=True, kw_only=True, slots=True)
class StackStatus:
    """A stack as CloudFormation has it.

    Args:
        name: Its name.
        status: Such as ``"CREATE_COMPLETE"``.
        outputs: By logical id.
    """

    name: str
    status: str
    outputs: Mapping[str, str]


def deploy(
    project: Project,
    stage: Stage,
    session: boto3.Session,
    *,
    on_step: Callable[[str], None] = lambda _step: None,
) -> None:
    """Bootstrap where that is still to do, build the Lambda bundles for this machine, synthesize and deploy.

    Args:
        project: What is deployed.
        stage: Which stage of it.
        session: Of the local AWS: from :func:`sm_local.connection.connect`, so that this process's environment
            is right for the CDK CLI, too.
        on_step: Called with the name of each step as it begins.

    Raises:
        LocalAwsError: There is no model, or bootstrap or deployment failed: with the reasons that
            CloudFormation gives, and the log of an endpoint that did not start.
    """
    if not (project.model / "metadata.json").is_file():
        raise LocalAwsError(f"There is no trained model in {project.model}: run `make model`.")
    if not is_bootstrapped(session):
        on_step("Bootstrapping the CDK")
        arguments = ["bootstrap", f"aws://{ACCOUNT}/{REGION}"]
        # Elsewhere than in the app's directory, so that it is not synthesized for this.
        if run_cdk(project, arguments, os.environ, directory=project.state.root):
            raise LocalAwsError("The CDK's bootstrap failed: see its output above.")
    on_step(f"Deploying {stage.stack_name}")
    before = _event_ids(stage.stack_name, session)
    # Built-in validation takes two of four seconds; `make synth`, `make deploy` and the tests have it on.
    if run_cdk(project, _deploy_arguments(project, stage), {**os.environ, "CDK_VALIDATION": "false"}):
        reasons = failure_reasons(stage.stack_name, session, ignore=before)
        raise LocalAwsError(
            f"{stage.stack_name} was not deployed"
            + (". CloudFormation says:" if reasons else ": see the CDK's output above."),
            [*reasons, *_endpoint_logs(project, reasons)],
        )


def _deploy_arguments(project: Project, stage: Stage) -> list[str]:
    return [
        "deploy",
        stage.stack_name,
        "--require-approval=never",
        f"--build={shlex.quote(sys.executable)} -m sm_constructs bundle --platform local",
        "--context=lambda_platform=local",
        f"--context=stage={stage}",
        f"--output={project.state.root / 'cdk.out'}",
    ]


def is_bootstrapped(session: boto3.Session) -> bool:
    try:
        session.client("ssm").get_parameter(Name=BOOTSTRAP_PARAMETER)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ParameterNotFound":
            return False
        raise
    return True


def failure_reasons(stack_name: str, session: boto3.Session, *, ignore: set[str] | None = None) -> list[str]:
    """Return why resources of a stack failed, the first failure first.

    Args:
        stack_name: The stack.
        session: Where it is.
        ignore: Ids of events that are older than the deployment in question.
    """
    return [
        f"{event['LogicalResourceId']} ({event.get('ResourceType', '?')}): {event['ResourceStatusReason']}"
        for event in reversed(_events(stack_name, session))
        if event["ResourceStatus"].endswith("_FAILED")
        and event.get("ResourceStatusReason")
        and "cancelled" not in event["ResourceStatusReason"]
        and event["EventId"] not in (ignore or set())
    ]


def stacks(session: boto3.Session) -> list[StackStatus]:
    """Return what is deployed, in the order of the names."""
    pages = session.client("cloudformation").get_paginator("describe_stacks").paginate()
    return sorted(
        (
            StackStatus(
                name=stack["StackName"],
                status=stack["StackStatus"],
                outputs={o["OutputKey"]: o["OutputValue"] for o in stack.get("Outputs", [])},
            )
            for page in pages
            for stack in page["Stacks"]
            if stack["StackStatus"] != "DELETE_COMPLETE"
        ),
        key=lambda stack: stack.name,
    )


def endpoint_status(endpoint_name: str, session: boto3.Session) -> str:
    """Return an endpoint's status, such as ``"InService"``, with its FailureReason where it has one."""
    endpoint = session.client("sagemaker").describe_endpoint(EndpointName=endpoint_name)
    reason = endpoint.get("FailureReason")
    return f"{endpoint['EndpointStatus']} ({reason})" if reason else str(endpoint["EndpointStatus"])


def _event_ids(stack_name: str, session: boto3.Session) -> set[str]:
    return {event["EventId"] for event in _events(stack_name, session)}


def _events(stack_name: str, session: boto3.Session) -> list[dict[str, Any]]:
    paginator = session.client("cloudformation").get_paginator("describe_stack_events")
    try:
        return [event for page in paginator.paginate(StackName=stack_name) for event in page["StackEvents"]]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":  # no such stack
            return []
        raise


def _endpoint_logs(project: Project, reasons: list[str]) -> list[str]:
    if not any("(AWS::SageMaker::Endpoint)" in reason for reason in reasons):
        return []
    logs = sorted(project.state.endpoint_logs.glob("*.log"), key=lambda log: log.stat().st_mtime)
    if not logs:
        return []
    return [f"The end of {logs[-1]}:", *log_tail(logs[-1].read_text(errors="replace"))]
