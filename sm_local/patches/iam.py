"""IAM: sessions of roles, and permissions that MiniStack does not ask for."""

from __future__ import annotations

import hmac
import json
import secrets
import uuid
from collections.abc import Mapping
from typing import Any

from sm_local.patches.core import Response

_SINGLE_CALLS = {
    "sns:PublishBatch": "sns:Publish",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:SendMessageBatch": "sqs:SendMessage",
}

_SESSION_KEY = secrets.token_bytes(32)


def service_session(role_arn: str, service: str, session_name: str) -> dict[str, str]:
    """Return credentials, as boto3 names them, for a role that an AWS service assumes.

    The same role and session name give the same credentials as long as this process lives.

    Raises:
        PermissionError: The role does not exist, or its trust policy does not name the service.
    """
    from ministack.services import iam, sts

    account, role_name = role_arn.split(":")[4], role_arn.rsplit("/", 1)[-1]
    role = iam._roles.get(role_name)
    if role is None or not _trusts(role["AssumeRolePolicyDocument"], service):
        raise PermissionError(
            f"Could not assume role {role_arn}. Please ensure that the role exists and allows principal "
            f"'{service}' to assume the role."
        )

    def derive(purpose: str) -> str:
        return hmac.new(_SESSION_KEY, f"{purpose}:{role_arn}:{session_name}".encode(), "sha256").hexdigest()

    access_key = "ASIA" + derive("access key")[:16].upper()
    session = {
        "Arn": f"arn:aws:sts::{account}:assumed-role/{role_name}/{session_name}",
        "UserId": f"{role_name}:{session_name}",
        "SecretAccessKey": derive("secret"),
        "SessionToken": derive("token"),
    }
    sts.register_session(access_key, session)
    return {
        "aws_access_key_id": access_key,
        "aws_secret_access_key": session["SecretAccessKey"],
        "aws_session_token": session["SessionToken"],
    }


def _trusts(trust_policy: str | dict[str, Any], service: str) -> bool:
    from ministack.core import iam_evaluator

    document = json.loads(trust_policy) if isinstance(trust_policy, str) else trust_policy
    return any(
        statement.get("Effect") == "Allow"
        and "sts:AssumeRole" in statement.get("Action", [])
        and iam_evaluator._service_principal_matches(statement.get("Principal"), service)
        for statement in document.get("Statement", [])
    )


def role_allows(
    role_arn: str, action: str, resource: str, region: str, context: Mapping[str, str] | None = None
) -> bool:
    """Return whether the identity policies of a role allow an action that no local service would check.

    `context` has the condition keys of the call, in lower case.
    """
    from ministack.core import iam_evaluator

    account, role_name = role_arn.split(":")[4], role_arn.rsplit("/", 1)[-1]
    evaluated = iam_evaluator.EvalContext(
        principal_arn=role_arn,
        principal_type="AssumedRole",
        principal_account=account,
        action=action,
        resource_arn=resource,
        region=region,
        service_context=dict(context or {}),
    )
    policies = iam_evaluator._gather_role_policies(role_name, account)
    return bool(iam_evaluator.evaluate(evaluated, policies).decision == "Allow")


def refusal_beside(
    action: str, resource: str, headers: Mapping[str, str], query: Any, context: Mapping[str, str] | None = None
) -> Response | None:
    """MiniStack asks for the permission of a SageMaker call alone: return the refusal for another that it takes.

    `context` has the condition keys of the call.
    """
    from ministack import app

    refusal: Response | None = app._enforce_data_plane(
        "sagemaker",
        action,
        headers,
        query,
        str(uuid.uuid4()),
        resource_arn=resource,
        service_context=dict(context or {}),
        named_resource=resource,
    )
    return refusal


def authorize_batches_as_their_single_calls() -> None:
    """MiniStack asks for ``sqs:SendMessageBatch`` and such: AWS has no such permissions, but those of one message.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-api-permissions-reference.html
    https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-language-api-permissions-reference.html
    """
    from ministack.core import iam_actions

    extract = iam_actions.extract_iam_action

    def extract_iam_action(*arguments: Any) -> str | None:
        action = extract(*arguments)
        return None if action is None else _SINGLE_CALLS.get(action, action)

    iam_actions.extract_iam_action = extract_iam_action
