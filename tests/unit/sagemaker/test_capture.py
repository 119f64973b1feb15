"""Lines of capture files, against the documented example."""

from __future__ import annotations

import base64
import datetime
from typing import Any

import pytest

from sm_local.sagemaker.capture import record
from sm_local.sagemaker.config import CaptureSettings
from sm_local.sagemaker.messages import Answer, Invocation

NOON = datetime.datetime(2022, 2, 14, 17, 25, 49, tzinfo=datetime.UTC)


def settings(*modes: str, **types: list[str]) -> CaptureSettings:
    return CaptureSettings.parse(
        {
            "InitialSamplingPercentage": 100,
            "DestinationS3Uri": "s3://b/c",
            "CaptureOptions": [{"CaptureMode": mode} for mode in modes],
            "CaptureContentTypeHeader": types,
        }
    )


def captured(of: CaptureSettings, content_type: str = "text/csv", **invocation: Any) -> Any:
    answer = Answer(status=200, content_type="text/csv; charset=utf-8", body=b"0.0254181120544672")
    return record(of, Invocation(body=b"69,0,153.7\n", content_type=content_type, **invocation), answer, NOON)


def test_a_line_is_the_documented_one() -> None:
    line = captured(settings("Input", "Output", CsvContentTypes=["text/csv"]))
    assert len(line["eventMetadata"].pop("eventId")) == 36
    # The example of https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html
    assert line == {
        "captureData": {
            "endpointInput": {
                "observedContentType": "text/csv",
                "mode": "INPUT",
                "data": "69,0,153.7\n",
                "encoding": "CSV",
            },
            "endpointOutput": {
                "observedContentType": "text/csv; charset=utf-8",
                "mode": "OUTPUT",
                "data": "0.0254181120544672",
                "encoding": "CSV",
            },
        },
        "eventMetadata": {"inferenceTime": "2022-02-14T17:25:49Z"},
        "eventVersion": "0",
    }


@pytest.mark.parametrize(
    ("modes", "sides"),
    [
        (["Input"], ["endpointInput"]),
        (["Output"], ["endpointOutput"]),
        (["InputAndOutput"], ["endpointInput", "endpointOutput"]),
    ],
)
def test_only_the_sides_asked_for_are_captured(modes: list[str], sides: list[str]) -> None:
    assert list(captured(settings(*modes))["captureData"]) == sides


def test_other_content_types_are_in_base_64() -> None:
    side = captured(settings("Input", JsonContentTypes=["application/json"]))["captureData"]["endpointInput"]
    assert (side["encoding"], base64.b64decode(side["data"])) == ("BASE64", b"69,0,153.7\n")


def test_json_is_captured_as_it_is() -> None:
    of = settings("Input", JsonContentTypes=["application/json"])
    side = captured(of, "application/json; charset=utf-8")["captureData"]["endpointInput"]
    assert (side["encoding"], side["data"]) == ("JSON", "69,0,153.7\n")


def test_what_the_caller_names_is_kept() -> None:
    metadata = captured(settings("Input"), inference_id="mine", custom_attributes="trace=7")["eventMetadata"]
    assert (metadata["inferenceId"], metadata["customAttributes"]) == ("mine", ["trace=7"])
