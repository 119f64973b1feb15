"""Patches of IAM."""

import json
from typing import Any
from unittest import mock

import pytest
from ministack import app
from ministack.core import iam_actions
from ministack.services import (
    iam,
    sts,
)

from sm_local import patches

_ROLE = "arn:aws:iam::000000000000:role/model"


def _create_role(service: str) -> None:
    trust = {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": service}}]}
    reading = {"Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}]}
    iam._roles["model"] = {
        "AssumeRolePolicyDocument": json.dumps(trust),
        "InlinePolicies": {"p": json.dumps(reading)},
    }


def test_a_service_assumes_only_roles_that_trust_it() -> None:
    _create_role("sagemaker.amazonaws.com")
    credentials = patches.iam.service_session(_ROLE, "sagemaker.amazonaws.com", "SageMaker")

    assert sts._sessions[credentials["aws_access_key_id"]]["Arn"].endswith(":assumed-role/model/SageMaker")
    assert credentials == patches.iam.service_session(_ROLE, "sagemaker.amazonaws.com", "SageMaker")
    with pytest.raises(PermissionError, match=r"allows principal 'lambda\.amazonaws\.com' to assume"):
        patches.iam.service_session(_ROLE, "lambda.amazonaws.com", "SageMaker")
    with pytest.raises(PermissionError, match="Could not assume role"):
        patches.iam.service_session("arn:aws:iam::000000000000:role/none", "sagemaker.amazonaws.com", "SageMaker")


def test_what_a_role_allows_is_read_from_its_policies() -> None:
    _create_role("sagemaker.amazonaws.com")
    assert patches.iam.role_allows(_ROLE, "s3:GetObject", "arn:aws:s3:::b/key", "us-east-1")
    assert not patches.iam.role_allows(_ROLE, "s3:PutObject", "arn:aws:s3:::b/key", "us-east-1")
    assert not patches.iam.role_allows(_ROLE, "s3:GetObject", "arn:aws:s3:::other/key", "us-east-1")


@pytest.mark.parametrize(
    ("service", "batch", "single"),
    [
        ("sqs", "AmazonSQS.SendMessageBatch", "sqs:SendMessage"),
        ("sqs", "AmazonSQS.DeleteMessageBatch", "sqs:DeleteMessage"),
        ("sqs", "AmazonSQS.ChangeMessageVisibilityBatch", "sqs:ChangeMessageVisibility"),
        ("sns", "AmazonSNS.PublishBatch", "sns:Publish"),
        ("sqs", "AmazonSQS.ReceiveMessage", "sqs:ReceiveMessage"),
    ],
)
def test_a_batch_needs_the_permission_of_its_single_call(service: str, batch: str, single: str) -> None:
    call: tuple[Any, ...] = (service, "POST", "/", {"x-amz-target": batch}, b"{}", {})
    named = f"{service}:{batch.partition('.')[2]}"
    assert iam_actions.extract_iam_action(*call) == named

    patches.iam.authorize_batches_as_their_single_calls()

    assert iam_actions.extract_iam_action(*call) == single


def test_a_role_is_passed_only_by_those_who_may_pass_it() -> None:
    _create_role("states.amazonaws.com")
    condition = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    allowed = {"Effect": "Allow", "Action": "iam:PassRole", "Resource": "*", "Condition": condition}
    session = patches.iam.service_session(_ROLE, "states.amazonaws.com", "execution")
    scope = f"{session['aws_access_key_id']}/20260101/us-east-1/sagemaker/aws4_request"
    headers = {
        "authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=x",
        "x-amz-security-token": session["aws_session_token"],
    }

    def refusal(service: str) -> patches.core.Response | None:
        job = "arn:aws:iam::000000000000:role/job"
        context = {"iam:PassedToService": f"{service}.amazonaws.com"}
        return patches.iam.refusal_beside("iam:PassRole", job, headers, {}, context)

    with mock.patch.object(app, "AUTH", True):
        refused = refusal("sagemaker")
        assert refused is not None
        assert b"not authorized to perform: iam:PassRole on resource: arn:aws:iam::000000000000:role/job" in refused[2]

        iam._roles["model"]["InlinePolicies"]["pass"] = json.dumps({"Statement": [allowed]})
        assert refusal("sagemaker") is None
        assert refusal("lambda") is not None
