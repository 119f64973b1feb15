"""The work on one request of an asynchronous endpoint: read it, call the model, write the answer, tell."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from botocore.exceptions import ClientError

from sm_local.clock import Clock
from sm_local.sagemaker import background
from sm_local.sagemaker.async_requests import AsyncRequest, notification
from sm_local.sagemaker.capture import put_object
from sm_local.sagemaker.config import AsyncSettings
from sm_local.sagemaker.errors import NoAnswerError, SageMakerError
from sm_local.sagemaker.fleet import Fleet
from sm_local.sagemaker.messages import Answer
from sm_local.sagemaker.model_data import S3Location
from sm_local.sagemaker.variant import Variant
from sm_local.state import REGION

_SUCCESS, _ERROR = "SUCCESS_NOTIFICATION_TOPIC", "ERROR_NOTIFICATION_TOPIC"


class AsyncWork:
    """The work on one request, with the permissions of the model's role.

    Args:
        request: The request.
        fleet: Has the model.
        clock: Tells how long the request waited.
    """

    def __init__(self, request: AsyncRequest, fleet: Fleet, clock: Clock) -> None:
        self.variant: Variant = fleet.choose(None)
        self._request = request
        self._fleet = fleet
        self._clock = clock

    @property
    def _settings(self) -> AsyncSettings:
        settings = self._fleet.config.asynchronous
        assert settings is not None  # noqa: S101 - only asynchronous endpoints have a queue
        return settings

    def begin(self, done: Callable[[], None]) -> None:
        """Work in a thread of its own, and say when that is done."""
        background.keep_running(lambda: self._run(done), "sagemaker-async-request")

    def _run(self, done: Callable[[], None]) -> None:
        request, metrics = self._request, self.variant.metrics
        began = time.monotonic()
        metrics.put_seconds("TimeInBacklog", self._clock.now() - request.queued)
        try:
            answer = self._answer()
            if answer is not None:
                self._deliver(answer)
        except Exception as error:  # whatever it is, nobody else will tell
            self.fail(f"InternalServerError: {error}")
        finally:
            metrics.put("InvocationsProcessed", 1)
            metrics.put_seconds("TotalProcessingTime", time.monotonic() - began)
            done()

    def _answer(self) -> Answer | None:
        """Return the model's answer; None when there is none, which was told."""
        invocation, metrics = self._request.invocation, self.variant.metrics
        if location := self._request.input_location:
            began = time.monotonic()
            try:
                found = self.variant.role.s3.get_object(Bucket=location.bucket, Key=location.key)
                body = found["Body"].read()
            except ClientError as error:
                metrics.put("RequestDownloadFailures", 1)
                self.fail(f"ClientError: Unable to access the inference request at {location}: {error}")
                return None
            invocation = replace(
                invocation, body=body, content_type=invocation.content_type or found.get("ContentType", "")
            )
            metrics.put_seconds("RequestDownloadLatency", time.monotonic() - began)
        try:
            answer = self.variant.invoke(invocation)
        except NoAnswerError as error:
            why = "Your invocation timed out" if error.timed_out else "The connection was lost"
            self.fail(f"ClientError: {why} while waiting for a response from container {error.container}.")
            return None
        except SageMakerError as error:
            self.fail(f"ClientError: {error.message}")
            return None
        if answer.status >= 400:
            side = "client" if answer.status < 500 else "server"
            self.fail(
                f"ClientError: Received {side} error ({answer.status}) from model. See the SageMaker Endpoint logs in "
                "your account for more information.",
                answer,
            )
            return None
        if self._fleet.capture:
            self._fleet.capture.keep(self.variant.name, self.variant.role, invocation, answer)
        return answer

    def _deliver(self, answer: Answer) -> None:
        if where := self._request.output_location:
            began = time.monotonic()
            try:
                self._put(where, answer)
            except ClientError as error:
                self.variant.metrics.put("ResponseUploadFailures", 1)
                self.fail(f"ClientError: Unable to upload the inference response to {where}: {error}", answer)
                return
            self.variant.metrics.put_seconds("ResponseUploadLatency", time.monotonic() - began)
        self._tell(self._settings.success_topic, _SUCCESS, answer, failure=None)

    def fail(self, why: str, answer: Answer | None = None) -> None:
        """Keep and tell that there is no result."""
        self.variant.metrics.put("InvocationFailures", 1)
        if where := self._request.failure_location:
            try:
                self._put(where, answer or Answer(status=0, content_type="text/plain", body=why.encode()))
            except ClientError as error:
                self.variant.metrics.put("ResponseUploadFailures", 1)
                print(f"cannot write the failure of {self._request.inference_id}: {error}", flush=True)
        self._tell(self._settings.error_topic, _ERROR, answer, failure=why)

    def _put(self, where: S3Location, answer: Answer) -> None:
        key = self._settings.kms_key_id
        put_object(self.variant.role, where, answer.body, kms_key_id=key, content_type=answer.content_type)

    def _tell(self, topic: str | None, kind: str, answer: Answer | None, *, failure: str | None) -> None:
        if topic is None:
            return
        included = kind in self._settings.included_in
        message = notification(self._request, REGION, answer=answer, failure=failure, included=included)
        try:
            self.variant.role.client("sns").publish(TopicArn=topic, Message=message)
        except ClientError as error:
            self.variant.metrics.put("NotificationFailures", 1)
            print(f"cannot notify {topic}: {error}", flush=True)
