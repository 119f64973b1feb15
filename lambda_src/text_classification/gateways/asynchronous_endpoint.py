"""The model behind an asynchronous SageMaker endpoint: it takes inputs from S3, and says by SNS when it is done."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from text_classification.gateways.calls import TimeBudget, call_service
from text_classification.gateways.job_objects import JobObjects
from text_classification.gateways.model_endpoint import ModelAnswer, parsed_answer

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient


_LONGEST_FAILURE = 500
_LONGEST_INVOCATION_SECONDS = 3600  # SageMaker's own limit; a quarter of that unless told otherwise
_OVERDUE = "Overdue"
_REFUSED = re.compile(r"(?:ClientError: )?Received client error \((?!429)")


class _Parameters(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)

    output_location: str | None = None


class _Message(BaseModel):
    """What SageMaker publishes to the topics of an endpoint.

    https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference-check-predictions.html
    """

    model_config = ConfigDict(alias_generator=to_camel)

    inference_id: str
    invocation_status: str | None = None
    failure_reason: str | None = None
    response_parameters: _Parameters | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Notification:
    """What the endpoint says of an input.

    Args:
        inference_id: What the call is known by.
        output_url: Where the answer is. None: there is none.
        failure: Why there is none.
        status: ``overdue`` is not the endpoint's word, but the reminder that it has said nothing.
    """

    inference_id: str
    output_url: str | None
    failure: str | None
    status: Literal["told", "overdue"] = "told"

    @property
    def job_id(self) -> str:
        """Whose input it was; no job's when it came from another caller of the endpoint."""
        return self.inference_id.partition(".")[0]

    def is_of(self, inference_id: str | None) -> bool:
        """Whether it is of that call. A reminder is of any, and of an unknown one is whatever is told of its job."""
        return self.status == "overdue" or inference_id in (None, self.inference_id)

    @property
    def is_refusal(self) -> bool:
        """Whether the model refused the input, which it would do again. Whatever else fails may pass.

        >>> said = "ClientError: Received {} from model. See the SageMaker Endpoint logs in your account."
        >>> for answer in ("client error (400)", "client error (429)", "server error (503)"):
        ...     Notification(inference_id="a", output_url=None, failure=said.format(answer)).is_refusal
        True
        False
        False
        """
        return self.output_url is None and _REFUSED.match(self.failure or "") is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class Locations:
    """Where the endpoint puts what becomes of an input.

    Args:
        output_url: The answer.
        failure_url: The error. None: nowhere.
    """

    output_url: str
    failure_url: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class AsynchronousEndpoint:
    """Hands inputs over and reads answers.

    Args:
        client: Made with ``budget.client_config()``.
        s3: Made with ``budget.client_config()``.
        endpoint_name: The endpoint.
        inputs_url: What the URLs of inputs begin with.
        budget: How long a call may take, repetitions included.
    """

    client: SageMakerRuntimeClient
    s3: S3Client
    endpoint_name: str
    inputs_url: str
    budget: TimeBudget

    def hand_over(self, job_id: str, texts: Sequence[str], *, inference_id: str) -> Locations:
        """Let the model label the texts later. Raises GatewayError."""
        url = f"{self.inputs_url}{job_id}.json"
        objects, key = self._object(url)
        objects.write(key, json.dumps({"texts": list(texts)}, ensure_ascii=False).encode())
        taken = call_service(
            lambda: self.client.invoke_endpoint_async(
                EndpointName=self.endpoint_name,
                ContentType="application/json",
                Accept="application/json",
                InferenceId=inference_id,
                InputLocation=url,
                InvocationTimeoutSeconds=_LONGEST_INVOCATION_SECONDS,
            ),
            self.budget,
        )
        return Locations(output_url=taken["OutputLocation"], failure_url=taken.get("FailureLocation") or None)

    def answer(self, output_url: str, *, expected: int) -> ModelAnswer:
        """Return what the model answered.

        Raises:
            RejectedError: It is not what was agreed.
            GatewayError: It cannot be read.
        """
        objects, key = self._object(output_url)
        return parsed_answer(objects.read(key), expected=expected)

    def found(self, inference_id: str, locations: Locations) -> Notification | None:
        """Return what the endpoint would say of an input, by what it left in S3; None if that is nothing.

        Raises:
            GatewayError: It cannot be looked at.
        """
        if self._exists(locations.output_url):
            return Notification(inference_id=inference_id, output_url=locations.output_url, failure=None)
        if locations.failure_url and self._exists(locations.failure_url):
            objects, key = self._object(locations.failure_url)
            failure = objects.read(key).decode(errors="replace")[:_LONGEST_FAILURE]
            return Notification(inference_id=inference_id, output_url=None, failure=failure)
        return None

    def _exists(self, url: str) -> bool:
        objects, key = self._object(url)
        return objects.exists(key)

    def _object(self, url: str) -> tuple[JobObjects, str]:
        bucket, _, key = url.removeprefix("s3://").partition("/")
        return JobObjects(client=self.s3, bucket=bucket, budget=self.budget), key


def new_inference_id(job_id: str) -> str:
    """Return what another call for a job is known by.

    >>> Notification(inference_id=new_inference_id("a"), output_url=None, failure=None).job_id
    'a'
    """
    return f"{job_id}.{secrets.token_hex(8)}"


def reminder_of(job_id: str) -> str:
    """Return the body of the message that stands in for a notification that did not come."""
    return json.dumps({"inferenceId": job_id, "invocationStatus": _OVERDUE})


def notification_in(body: str) -> Notification | None:
    """Return the notification that a message is, None if it is another message.

    >>> notification_in('{"inferenceId": "a", "invocationStatus": "Failed", "failureReason": "no"}')
    Notification(inference_id='a', output_url=None, failure='no', status='told')
    >>> notification_in(reminder_of("a"))
    Notification(inference_id='a', output_url=None, failure=None, status='overdue')
    >>> notification_in('{"job_id": "a"}')
    """
    try:
        message = _Message.model_validate_json(body)
    except ValidationError:
        return None
    parameters = message.response_parameters
    return Notification(
        inference_id=message.inference_id,
        output_url=parameters.output_location if parameters else None,
        failure=message.failure_reason,
        status="overdue" if message.invocation_status == _OVERDUE else "told",
    )
