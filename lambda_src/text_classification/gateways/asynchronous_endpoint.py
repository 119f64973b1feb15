"""The model behind an asynchronous SageMaker endpoint: it takes inputs from S3, and says by SNS when it is done."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from text_classification.gateways.calls import TimeBudget, call_service
from text_classification.gateways.errors import RejectedError
from text_classification.gateways.job_objects import JobObjects
from text_classification.gateways.model_endpoint import ModelAnswer, parsed_answer

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient


@dataclass(frozen=True, kw_only=True, slots=True)
class Notification:
    """What the endpoint says of an input.

    Args:
        job_id: Whose input it was.
        output_url: Where the answer is. None: there is none.
        failure: Why there is none.
    """

    job_id: str
    output_url: str | None
    failure: str | None


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

    def hand_over(self, job_id: str, texts: Sequence[str]) -> None:
        """Let the model label the texts later. Raises GatewayError."""
        url = f"{self.inputs_url}{job_id}.json"
        objects, key = self._object(url)
        objects.write(key, json.dumps({"texts": list(texts)}, ensure_ascii=False).encode())
        call_service(
            lambda: self.client.invoke_endpoint_async(
                EndpointName=self.endpoint_name,
                ContentType="application/json",
                Accept="application/json",
                InferenceId=job_id,
                InputLocation=url,
            ),
            self.budget,
        )

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

    def _object(self, url: str) -> tuple[JobObjects, str]:
        bucket, _, key = url.removeprefix("s3://").partition("/")
        return JobObjects(client=self.s3, bucket=bucket, budget=self.budget), key


def notification_in(body: str) -> Notification | None:
    """Return the notification that a message is, None if it is another message.

    >>> notification_in('{"inferenceId": "a", "invocationStatus": "Failed", "failureReason": "no"}')
    Notification(job_id='a', output_url=None, failure='no')
    >>> notification_in('{"job_id": "a"}')
    """
    try:
        message = json.loads(body)
        job_id = message["inferenceId"]
    except (ValueError, TypeError, KeyError):
        return None
    return Notification(
        job_id=str(job_id),
        output_url=message.get("responseParameters", {}).get("outputLocation"),
        failure=message.get("failureReason"),
    )
