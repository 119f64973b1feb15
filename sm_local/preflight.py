"""Before a deployment to the real AWS: what would make it fail after minutes, found in seconds.

``python -m sm_local.preflight cdk.out`` reads what was synthesized and asks the account that the environment
names. It changes nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from rich.text import Text

from sm_client.session import default_session
from sm_local.assembly import Requirements
from sm_local.console import console, run
from sm_local.errors import LocalAwsError

SERVERLESS_CONCURRENCY_QUOTA = "L-96300102"
LOG_ROLE = "apigateway-cloudwatch-logs"


class Verdict(Enum):
    """How a check came out, with the mark and colour it is printed with."""

    READY = ("ok", "green")
    MISSING = ("missing", "red")
    LATER = ("later", "yellow")
    UNKNOWN = ("unknown", "yellow")


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What a check found.

    Args:
        subject: What was checked.
        verdict: Whether it is there.
        detail: What was seen.
        remedy: Commands that mend it, one a line.
    """

    subject: str
    verdict: Verdict
    detail: str
    remedy: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """Where the deployment goes.

    Args:
        account: Number of the account.
        region: Such as ``"eu-west-1"``.
        partition: ``"aws"``, ``"aws-cn"`` or another.
    """

    account: str
    region: str
    partition: str


def check(requirements: Requirements, session: boto3.Session) -> Iterator[Finding]:
    """Yield a finding for each thing that the deployment needs; only the first one without credentials.

    What the credentials may not look at is :attr:`Verdict.UNKNOWN`; nothing is raised.
    """
    region = session.region_name
    if not region:
        yield Finding(
            subject="region",
            verdict=Verdict.MISSING,
            detail="no region is configured",
            remedy=["export AWS_REGION=eu-west-1  # for example"],
        )
        return
    try:
        identity = session.client("sts").get_caller_identity()
    except (BotoCoreError, ClientError) as error:
        yield Finding(
            subject="credentials",
            verdict=Verdict.MISSING,
            detail=str(error),
            remedy=["aws configure sso  # or: aws configure", "export AWS_PROFILE=the-profile"],
        )
        return
    yield Finding(
        subject="credentials",
        verdict=Verdict.READY,
        detail=f"{identity['Arn']} in account {identity['Account']}, {region}",
    )
    target = Target(account=identity["Account"], region=region, partition=identity["Arn"].split(":")[1])
    yield _guarded("CDK bootstrap", lambda: _bootstrap(requirements, session, target))
    yield from _quotas(_needs(requirements), session, target)
    if requirements.api_logs:
        yield _guarded("API Gateway's log role", lambda: _log_role(session, target))


def _guarded(subject: str, check_it: Callable[[], Finding]) -> Finding:
    try:
        return check_it()
    except (BotoCoreError, ClientError) as error:
        return Finding(subject=subject, verdict=Verdict.UNKNOWN, detail=str(error))


def _bootstrap(requirements: Requirements, session: boto3.Session, target: Target) -> Finding:
    remedy = [f".venv/bin/python -m sm_local.cdk bootstrap aws://{target.account}/{target.region}"]
    subject, needed = "CDK bootstrap", requirements.bootstrap_version
    try:
        parameter = session.client("ssm").get_parameter(Name=requirements.bootstrap_parameter)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ParameterNotFound":
            raise
        detail = f"account {target.account} is not bootstrapped in {target.region}"
        return Finding(subject=subject, verdict=Verdict.MISSING, detail=detail, remedy=remedy)
    found = int(parameter["Parameter"]["Value"])
    if found < needed:
        detail = f"version {found}, at least {needed} is needed"
        return Finding(subject=subject, verdict=Verdict.MISSING, detail=detail, remedy=remedy)
    return Finding(subject=subject, verdict=Verdict.READY, detail=f"version {found}")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Need:
    name: str
    key: str  # the quota's name or its code
    amount: int
    instances: bool = True
    later: bool = False  # the deployment does without it


def _needs(requirements: Requirements) -> list[_Need]:
    needs = []
    for instance_type, count in sorted(requirements.instances.items()):
        name = f"{instance_type} for endpoint usage"
        needs.append(_Need(name=name, key=name, amount=count))
    if requirements.serverless_concurrency:
        name = "total concurrency across all serverless endpoints"
        amount = requirements.serverless_concurrency
        needs.append(_Need(name=name, key=SERVERLESS_CONCURRENCY_QUOTA, amount=amount, instances=False))
    for name, count in sorted(requirements.jobs.items()):
        needs.append(_Need(name=name, key=name, amount=count, later=True))
    return needs


def _quotas(needs: Sequence[_Need], session: boto3.Session, target: Target) -> Iterator[Finding]:
    if not needs:
        return
    try:
        quotas = _sagemaker_quotas(session)
    except (BotoCoreError, ClientError) as error:
        for need in needs:
            detail = f"{need.amount} needed; {error}"
            yield Finding(subject=f"SageMaker quota: {need.name}", verdict=Verdict.UNKNOWN, detail=detail)
        return
    for need in needs:
        found = [(code, value) for name, code, value in quotas if need.key in (name, code)]
        yield _quota(need, found[0] if found else None, target)


def _quota(need: _Need, found: tuple[str, float] | None, target: Target) -> Finding:
    subject = f"SageMaker quota: {need.name}"
    if found is None:
        detail = f"{need.amount} needed; Service Quotas lists no such quota in {target.region}"
        return Finding(subject=subject, verdict=Verdict.UNKNOWN, detail=detail)
    code, value = found
    if value >= need.amount:
        who = "its jobs need" if need.later else "this deployment needs"
        detail = f"{value:.0f}, of which {who} {need.amount}"
        if need.instances and not need.later and value < 2 * need.amount:
            # https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-blue-green.html
            detail += f"; a later update starts as many beside them, and needs {2 * need.amount} for a while"
        return Finding(subject=subject, verdict=Verdict.READY, detail=detail)
    detail = f"{value:.0f}, {need.amount} needed"
    return Finding(
        subject=subject,
        verdict=Verdict.LATER if need.later else Verdict.MISSING,
        detail=f"{detail} by jobs, which fail without; the deployment does not" if need.later else detail,
        remedy=[
            f"aws service-quotas request-service-quota-increase --region {target.region} "
            f"--service-code sagemaker --quota-code {code} --desired-value {need.amount}"
        ],
    )


def _sagemaker_quotas(session: boto3.Session) -> list[tuple[str, str, float]]:
    """Return name, code and value of each quota; the account's own values before AWS's defaults."""
    client = session.client("service-quotas")
    return [
        (quota["QuotaName"], quota["QuotaCode"], quota["Value"])
        for operation in ("list_service_quotas", "list_aws_default_service_quotas")
        for page in client.get_paginator(operation).paginate(ServiceCode="sagemaker")
        for quota in page["Quotas"]
        if "Value" in quota
    ]


def _log_role(session: boto3.Session, target: Target) -> Finding:
    subject = "API Gateway's log role"
    role = session.client("apigateway").get_account().get("cloudwatchRoleArn")
    if role:
        return Finding(subject=subject, verdict=Verdict.READY, detail=role)
    trust = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",'
        '"Principal":{"Service":"apigateway.amazonaws.com"}}]}'
    )
    policy = f"arn:{target.partition}:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
    arn = f"arn:{target.partition}:iam::{target.account}:role/{LOG_ROLE}"
    return Finding(
        subject=subject,
        verdict=Verdict.MISSING,
        detail=f"account {target.account} lets no API in {target.region} write logs, so deployment would fail",
        remedy=[
            f"aws iam create-role --role-name {LOG_ROLE} --assume-role-policy-document '{trust}'",
            f"aws iam attach-role-policy --role-name {LOG_ROLE} --policy-arn {policy}",
            f"aws apigateway update-account --region {target.region} "
            f"--patch-operations op=replace,path=/cloudwatchRoleArn,value={arn}",
        ],
    )


def _print(finding: Finding) -> None:
    mark, colour = finding.verdict.value
    console.print(Text.assemble((f"{mark:<8}", f"bold {colour}"), f" {finding.subject}: {finding.detail}"))
    for command in finding.remedy:
        console.print(Text(f"           {command}"))


def preflight(assembly: Path) -> None:
    """Print the findings for a synthesized app.

    Raises:
        LocalAwsError: Something is missing, or nothing was synthesized.
    """
    requirements = Requirements.of(assembly)
    missing = []
    try:
        session = default_session()
    except BotoCoreError as error:  # a profile that does not exist
        raise LocalAwsError(f"{error}: set AWS_PROFILE to a profile of yours, or unset it.") from error
    for finding in check(requirements, session):
        _print(finding)
        if finding.verdict is Verdict.MISSING:
            missing.append(finding.subject)
    if missing:
        raise LocalAwsError(f"Not deployed, because of: {', '.join(missing)}. The commands above mend it.")


def main(arguments: Sequence[str]) -> int:
    """Check for the cloud assembly that the first argument names, ``cdk.out`` without one."""
    return run(lambda: preflight(Path(arguments[0] if arguments else "cdk.out")))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
