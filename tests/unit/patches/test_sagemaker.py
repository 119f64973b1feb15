"""SageMaker beside MiniStack."""

from typing import Any
from unittest import mock

import pytest
from ministack import app
from ministack.core import iam_actions, router

from sm_local import patches


def test_sagemaker_is_routed_and_authorized() -> None:
    runtime = {"authorization": "AWS4-HMAC-SHA256 Credential=AKIA/20260101/us-east-1/sagemaker/aws4_request"}
    path = "/endpoints/Reviews/invocations"
    assert router.detect_service("POST", path, runtime, {}) == "sagemaker"
    assert "sagemaker" not in app.SERVICE_HANDLERS
    assert iam_actions.extract_iam_action("sagemaker", "POST", path, {}, b"", {}) is None

    patches.sagemaker.add_sagemaker(mock.Mock())

    assert "sagemaker" in app.SERVICE_HANDLERS
    assert iam_actions.extract_iam_action("sagemaker", "POST", path, {}, b"", {}) == "sagemaker:InvokeEndpoint"
    arguments: tuple[Any, ...] = ("sagemaker", "POST", path, {}, b"", {}, "eu-west-1", "111111111111")
    assert iam_actions.extract_resource_arn(*arguments) == "arn:aws:sagemaker:eu-west-1:111111111111:endpoint/reviews"


@pytest.mark.parametrize(
    ("body", "resource"),
    [
        (b'{"ModelName": "A"}', "model/a"),
        (b'{"EndpointConfigName": "B"}', "endpoint-config/b"),
        (b'{"EndpointName": "C", "EndpointConfigName": "B"}', "endpoint/c"),
    ],
)
def test_a_control_plane_call_is_authorized_on_what_it_names(body: bytes, resource: str) -> None:
    assert patches.sagemaker.resource_arn("/", body, "us-east-1", "1").endswith(f":{resource}")


@pytest.mark.parametrize(
    ("body", "resource"),
    [
        (b'{"TransformJobName": "T", "ModelName": "M"}', ":transform-job/t"),
        (b'{"ModelPackageName": "arn:aws:sagemaker:us-east-1:1:model-package/g/1"}', ":model-package/g/1"),
        (b'{"ResourceArn": "arn:aws:sagemaker:us-east-1:1:model/m", "Tags": []}', ":model/m"),
    ],
)
def test_jobs_and_what_is_named_by_arn_are_authorized_on_it(body: bytes, resource: str) -> None:
    found = patches.sagemaker.resource_arn("/", body, "us-east-1", "1")
    assert found == f"arn:aws:sagemaker:us-east-1:1{resource}"


@pytest.mark.parametrize("body", [b"{}", b"{", b""])
def test_a_control_plane_call_that_names_nothing_is_authorized_on_everything(body: bytes) -> None:
    assert patches.sagemaker.resource_arn("/", body, "us-east-1", "1") == "*"
