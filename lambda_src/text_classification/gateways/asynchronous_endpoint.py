"""The model behind an asynchronous SageMaker endpoint: it takes inputs from S3, and says by SNS when it is done."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from text_classification.gateways.calls import TimeBudget, call_service
from text_classification.gateways.errors import RejectedError
from text_classification.gateways.job_objects import JobObjects
from text_classification.gateways.model_endpoint import ModelAnswer, parsed_answer

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient


_LONGEST_FAILURE = 500
_LONGEST_INVOCATION_SECONDS = 3600  # SageMaker's own limit; a quarter of that unless told otherwise
_OVERDUE = "Overdue"


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
        job_id: Whose input it was; no job's when it came from another caller of the endpoint.
        output_url: Where the answer is. None: there is none.
        failure: Why there is none.
        status: ``overdue`` is not the endpoint's word, but the reminder that it has said nothing.
    """

    job_id: str
    output_url: str | None
    failure: str | None
    status: Literal["told", "overdue"] = "told"


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

    def hand_over(self, job_id: str, texts: Sequence[str]) -> Locations:
        """Let the model label the texts later. Raises GatewayError."""
        url = f"{self.inputs_url}{job_id}.json"
        objects, key = self._object(url)
        objects.write(key, json.dumps({"texts": list(texts)}, ensure_ascii=False).encode())
        taken = call_service(
            lambda: self.client.invoke_endpoint_async(
                EndpointName=self.endpoint_name,
                ContentType="application/json",
                Accept="application/json",
                InferenceId=job_id,
                InputLocation=url,
                InvocationTimeoutSeconds=_LONGEST_INVOCATION_SECONDS,
            ),
            self.budget,
        )
        return Locations(output_url=taken["OutputLocation"], failure_url=taken.get("FailureLocation") or None)

    def answer(self, notification: Notification, *, expected: int) -> ModelAnswer:
        """Return what the model answered.

        Raises:
            RejectedError: It failed, or its answer is not what was agreed.
            GatewayError: The answer cannot be read.
        """
        if notification.output_url is None:
            message = "the model failed"
            raise RejectedError(message, {}, cause=f"{message}: {notification.failure}")
        objects, key = self._object(notification.output_url)
        return parsed_answer(objects.read(key), expected=expected)

    def found(self, job_id: str, locations: Locations) -> Notification | None:
        """Return what the endpoint would say of an input, by what it left in S3; None if that is nothing.

        Raises:
            GatewayError: It cannot be looked at.
        """
        if self._exists(locations.output_url):
            return Notification(job_id=job_id, output_url=locations.output_url, failure=None)
        if locations.failure_url and self._exists(locations.failure_url):
            objects, key = self._object(locations.failure_url)
            failure = objects.read(key).decode(errors="replace")[:_LONGEST_FAILURE]
            return Notification(job_id=job_id, output_url=None, failure=failure)
        return None

    def _exists(self, url: str) -> bool:
        objects, key = self._object(url)
        return objects.exists(key)

    def _object(self, url: str) -> tuple[JobObjects, str]:
        bucket, _, key = url.removeprefix("s3://").partition("/")
        return JobObjects(client=self.s3, bucket=bucket, budget=self.budget), key


def reminder_of(job_id: str) -> str:
    """Return the body of the message that stands in for a notification that did not come."""
    return json.dumps({"inferenceId": job_id, "invocationStatus": _OVERDUE})


def notification_in(body: str) -> Notification | None:
    """Return the notification that a message is, None if it is another message.

    >>> notification_in('{"inferenceId": "a", "invocationStatus": "Failed", "failureReason": "no"}')
    Notification(job_id='a', output_url=None, failure='no', status='told')
    >>> notification_in(reminder_of("a"))
    Notification(job_id='a', output_url=None, failure=None, status='overdue')
    >>> notification_in('{"job_id": "a"}')
    """
    try:
        message = _Message.model_validate_json(body)
    except ValidationError:
        return None
    parameters = message.response_parameters
    return Notification(
        job_id=message.inference_id,
        output_url=parameters.output_location if parameters else None,
        failure=message.failure_reason,
        status="overdue" if message.invocation_status == _OVERDUE else "told",
    )
