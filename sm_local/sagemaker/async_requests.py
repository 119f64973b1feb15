"""Requests to asynchronous endpoints: what they ask for, and what is told of them.

https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference-invoke-endpoint.html
https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference-check-predictions.html
"""

from __future__ import annotations

import base64
import datetime
import json
import uuid
from dataclasses import dataclass, field
from typing import Any

from sm_local.sagemaker.config import AsyncSettings
from sm_local.sagemaker.errors import SageMakerError
from sm_local.sagemaker.messages import Answer, Invocation
from sm_local.sagemaker.model_data import S3Location
from sm_local.sagemaker.registry import Parameters

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpointAsync.html
INLINE_BYTES = 128_000
TIME_TO_LIVE_SECONDS = 21_600
INVOCATION_SECONDS = 900
MOST_INVOCATION_SECONDS = 3600
_INCLUDED_BYTES = 128 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncRequest:
    """One request in the queue.

    Args:
        endpoint_name: The endpoint.
        invocation: What the model gets; the body is read from the input location unless it came inline.
        inference_id: Names the request.
        input_location: Where the body is; None when it came inline.
        output_location: Where the answer goes.
        failure_location: Where an error goes.
        time_to_live_seconds: How long it may stay in the queue.
        received: When it came, by the wall clock in seconds since the epoch.
        queued: When it came, by the local AWS's clock.
    """

    endpoint_name: str
    invocation: Invocation
    inference_id: str
    input_location: S3Location | None
    output_location: S3Location | None
    failure_location: S3Location | None
    time_to_live_seconds: float
    received: float
    queued: float

    @property
    def answer_headers(self) -> dict[str, str]:
        """What ``InvokeEndpointAsync`` answers in headers."""
        headers = {}
        if self.output_location:
            headers["X-Amzn-SageMaker-OutputLocation"] = str(self.output_location)
        if self.failure_location:
            headers["X-Amzn-SageMaker-FailureLocation"] = str(self.failure_location)
        return headers


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncCall:
    """What a caller of ``InvokeEndpointAsync`` sent.

    Args:
        invocation: With the body that came inline, or without one.
        input_location: Where the body is.
        extension: Follows the configuration's output path.
        filename: The name of the output; made from the inference id when omitted.
        time_to_live_seconds: How long the request may stay in the queue, 60 to 21,600.
    """

    invocation: Invocation
    input_location: str | None = None
    extension: str | None = None
    filename: str | None = None
    time_to_live_seconds: int = TIME_TO_LIVE_SECONDS
    name: str = field(default_factory=lambda: str(uuid.uuid4()))

    def request(self, endpoint_name: str, settings: AsyncSettings, *, received: float, queued: float) -> AsyncRequest:
        """Return the request for an endpoint's queue.

        Raises:
            SageMakerError: SageMaker would refuse it.
        """
        self._check()
        output, failures = settings.output, settings.failures
        if output and self.extension:
            output = output.below(self.extension)
        return AsyncRequest(
            endpoint_name=endpoint_name,
            invocation=self.invocation,
            inference_id=self.invocation.inference_id or str(uuid.uuid4()),
            input_location=S3Location.parse(self.input_location) if self.input_location else None,
            output_location=output.below(self.filename or f"{self.name}.out") if output else None,
            failure_location=failures.below(f"{self.name}-error.out") if failures else None,
            time_to_live_seconds=self.time_to_live_seconds,
            received=received,
            queued=queued,
        )

    def _check(self) -> None:
        problems = []
        if bool(self.input_location) == bool(self.invocation.body):
            problems.append("Provide exactly one of InputLocation and Body.")
        if len(self.invocation.body) > INLINE_BYTES:
            problems.append(f"Body has {len(self.invocation.body)} bytes: the limit is {INLINE_BYTES}.")
        if not 60 <= self.time_to_live_seconds <= TIME_TO_LIVE_SECONDS:
            problems.append(f"RequestTTLSeconds is {self.time_to_live_seconds}: must be from 60 to 21600.")
        if not 1 <= self.invocation.timeout_seconds <= MOST_INVOCATION_SECONDS:
            problems.append(f"InvocationTimeoutSeconds is {self.invocation.timeout_seconds:g}: must be from 1 to 3600.")
        if problems:
            raise SageMakerError("ValidationError", " ".join(problems))


def notification(
    request: AsyncRequest, region: str, *, answer: Answer | None, failure: str | None, included: bool
) -> str:
    """Return the message that a topic is told.

    Args:
        request: What it is about.
        region: Where the endpoint is.
        answer: The model's answer, an error as well; None when there is none.
        failure: Why there is no result; None when there is one.
        included: Whether the answer is a part of the message, if it is small enough.
    """
    asked: Parameters = {"endpointName": request.endpoint_name}
    if request.invocation.content_type:
        asked["contentType"] = request.invocation.content_type
    if request.invocation.accept != "*/*":
        asked["accept"] = request.invocation.accept
    if request.input_location:
        asked["inputLocation"] = str(request.input_location)
    message: dict[str, Any] = {
        "awsRegion": region,
        "eventTime": _timestamp(datetime.datetime.now(datetime.UTC)),
        "receivedTime": _timestamp(datetime.datetime.fromtimestamp(request.received, datetime.UTC)),
        "invocationStatus": "Failed" if failure else "Completed",
    }
    if failure:
        message["failureReason"] = failure
    message["requestParameters"] = asked
    if answer and not failure:
        message["responseParameters"] = {"contentType": answer.content_type}
        if request.output_location:
            message["responseParameters"]["outputLocation"] = str(request.output_location)
    if included and answer and len(answer.body) <= _INCLUDED_BYTES:
        message["responseBody"] = {
            "content": base64.b64encode(answer.body).decode(),
            "message": "Check S3 path location(if configured) or Cloudwatch for additional details.",
            "encoding": "BASE64",
        }
    message |= {
        "inferenceId": request.inference_id,
        "eventVersion": "1.0",
        "eventSource": "aws:sagemaker",
        "eventName": "InferenceResult",
    }
    return json.dumps(message)


def _timestamp(moment: datetime.datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
