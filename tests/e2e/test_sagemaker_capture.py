"""Data capture of the local SageMaker, as SageMaker writes it."""

import base64
import json
import re
import time
import uuid
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from scipy.stats import binom

from tests.sagemaker_account import BROKEN, ECHO, LOG, PULL, READ, Account, eventually

pytestmark = pytest.mark.e2e

WRITE = {"Action": "s3:PutObject"}
BOTH = [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}]
PLAIN = {"CsvContentTypes": ["text/csv"], "JsonContentTypes": ["application/json"]}
CSV = """
def model_fn(directory): return None
def transform_fn(model, body, content_type, accept): return "0.9,spam", "text/csv; charset=utf-8"
"""


@pytest.fixture(scope="module")
def account(session: boto3.Session) -> Account:
    return Account(session)


class Captured:
    """An endpoint that captures, and what it captured."""

    def __init__(self, account: Account, inference: str = ECHO, role: str | None = None, **settings: Any) -> None:
        self.account = account
        self.prefix = f"capture-{uuid.uuid4().hex[:12]}"
        capture = {
            "InitialSamplingPercentage": 100,
            "DestinationS3Uri": f"s3://{account.bucket}/{self.prefix}",
            "CaptureOptions": BOTH,
            **settings,
        }
        model = account.model(inference, role or account.role(READ, PULL, LOG, WRITE))
        self.name = account.in_service(account.endpoint(model, DataCaptureConfig=capture))

    def keys(self) -> list[str]:
        pages = self.account.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.account.bucket, Prefix=f"{self.prefix}/"
        )
        return [entry["Key"] for page in pages for entry in page.get("Contents", ())]

    def records(self) -> list[Any]:
        bodies = [self.account.s3.get_object(Bucket=self.account.bucket, Key=key)["Body"].read() for key in self.keys()]
        return [json.loads(line) for body in bodies for line in body.decode().splitlines()]

    def some(self, count: int = 1) -> list[Any]:
        """Return the records once there are so many."""
        look: Callable[[], Any] = lambda: found if len(found := self.records()) >= count else None  # noqa: E731
        found: list[Any] = eventually(look)
        assert len(found) == count
        return found


def test_request_and_answer_are_captured_where_and_as_sagemaker_does(account: Account) -> None:
    captured = Captured(account, CaptureContentTypeHeader=PLAIN)
    account.invoke(captured.name, also={"InferenceId": "mine", "CustomAttributes": "trace=7"}, text="物流很快")

    (record,) = captured.some()
    (key,) = captured.keys()

    assert re.fullmatch(
        rf"{captured.prefix}/{captured.name}/AllTraffic/\d{{4}}/\d\d/\d\d/\d\d/\d\d-\d\d-\d{{3}}-[0-9a-f-]{{36}}\.jsonl",
        key,
    )
    metadata = record["eventMetadata"]
    assert uuid.UUID(metadata.pop("eventId"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", metadata.pop("inferenceTime"))
    assert metadata == {"inferenceId": "mine", "customAttributes": ["trace=7"]}
    assert record["eventVersion"] == "0"
    request, answer = record["captureData"]["endpointInput"], record["captureData"]["endpointOutput"]
    assert json.loads(request.pop("data")) == {"text": "物流很快"}
    assert request == {"observedContentType": "application/json", "mode": "INPUT", "encoding": "JSON"}
    assert json.loads(answer.pop("data"))["data"] == {"text": "物流很快"}
    assert answer == {"observedContentType": "application/json", "mode": "OUTPUT", "encoding": "JSON"}


def test_csv_is_captured_as_it_is_when_asked_for(account: Account) -> None:
    captured = Captured(account, CSV, CaptureContentTypeHeader=PLAIN)
    account.runtime.invoke_endpoint(EndpointName=captured.name, Body=b"win a prize", ContentType="text/csv")
    (record,) = captured.some()
    assert record["captureData"]["endpointOutput"] == {
        "observedContentType": "text/csv; charset=utf-8",
        "mode": "OUTPUT",
        "data": "0.9,spam",
        "encoding": "CSV",
    }


def test_everything_is_in_base_64_unless_content_types_are_named(account: Account) -> None:
    captured = Captured(account, CaptureOptions=[{"CaptureMode": "Input"}])
    account.invoke(captured.name, text="fine")
    (record,) = captured.some()
    assert list(record["captureData"]) == ["endpointInput"]
    assert record["captureData"]["endpointInput"]["encoding"] == "BASE64"
    assert json.loads(base64.b64decode(record["captureData"]["endpointInput"]["data"])) == {"text": "fine"}


def test_a_share_of_the_calls_is_captured(account: Account) -> None:
    captured = Captured(account, InitialSamplingPercentage=30)
    for _ in range(200):
        account.invoke(captured.name)
    time.sleep(4)  # files are written every second
    count = len(captured.records())
    assert min(binom.cdf(count, 200, 0.3), binom.sf(count - 1, 200, 0.3)) > 1e-6


def test_the_capture_configuration_is_described(account: Account) -> None:
    key = "arn:aws:kms:us-east-1:000000000000:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    captured = Captured(account, InitialSamplingPercentage=20, KmsKeyId=key)
    assert account.sagemaker.describe_endpoint(EndpointName=captured.name)["DataCaptureConfig"] == {
        "EnableCapture": True,
        "CaptureStatus": "Started",
        "CurrentSamplingPercentage": 20,
        "DestinationS3Uri": f"s3://{account.bucket}/{captured.prefix}",
        "KmsKeyId": key,
    }


def test_captured_data_is_encrypted_with_the_key_asked_for(account: Account) -> None:
    key = boto3.client("kms").create_key()["KeyMetadata"]["Arn"]
    captured = Captured(account, KmsKeyId=key)
    account.invoke(captured.name)
    captured.some()
    (name,) = captured.keys()
    written = account.s3.head_object(Bucket=account.bucket, Key=name)
    assert (written["ServerSideEncryption"], written["SSEKMSKeyId"]) == ("aws:kms", key)


def test_capture_needs_the_roles_permission_and_never_fails_a_call(account: Account) -> None:
    captured = Captured(account, role=account.role(READ, PULL, LOG))
    assert account.invoke(captured.name)["greeting"] == "hello"
    allowed = Captured(account)
    account.invoke(allowed.name)
    allowed.some()
    assert captured.keys() == []


def test_capture_that_is_switched_off_writes_nothing(account: Account) -> None:
    off, on = Captured(account, EnableCapture=False), Captured(account)
    for captured in (off, on):
        account.invoke(captured.name)
    on.some()
    assert off.keys() == []
    described = account.sagemaker.describe_endpoint(EndpointName=off.name)["DataCaptureConfig"]
    assert described["CaptureStatus"] == "Stopped"


def test_a_call_that_the_model_fails_is_not_captured(account: Account) -> None:
    broken, sound = Captured(account, BROKEN), Captured(account)
    with pytest.raises(account.runtime.exceptions.ModelError):
        account.invoke(broken.name)
    account.invoke(sound.name)
    sound.some()
    assert broken.keys() == []
