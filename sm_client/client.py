"""The client itself."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal
from urllib.parse import quote
from uuid import uuid4

import boto3
from botocore.exceptions import ClientError

from sm_client._training_calls import TrainingCalls
from sm_client._transform_calls import TransformCalls
from sm_client._transport import Retries, SignedTransport, configured_endpoint, parsed
from sm_client.errors import JobFailedError, StackNotFoundError, StillRunningError
from sm_client.jobs import Job, Polling
from sm_client.results import Classification, Classifications
from sm_client.session import default_session

Language = Literal["auto", "en", "zh"]


class Client(TrainingCalls, TransformCalls):
    """Calls the API of one deployed stack, with requests signed by the session's credentials.

    Safe to share between threads. Throttling, 5xx and broken connections are retried with jitter.

    Args:
        api_url: The stack's output ``ApiUrl``.
        session: Credentials and region; when omitted those of the environment, ``AWS_REGION`` before a profile's.
        endpoint_url: Where to connect instead of the host in ``api_url``, which stays in the Host header
            and the signature. ``AWS_ENDPOINT_URL`` when omitted and set.
        retries: Four attempts with up to 5 s between them when omitted.
        polling: How often jobs are looked at while waiting. When omitted: pauses grow from 0.5 s to 10 s, and begin
            anew when a job has ended, or a training or a transform has got further.
        outputs: The stack's outputs, for what is not done by the API: uploading, downloading and rolling back. When
            omitted: that cannot be done.
    """

    def __init__(
        self,
        api_url: str,
        *,
        session: boto3.Session | None = None,
        endpoint_url: str | None = None,
        retries: Retries | None = None,
        polling: Polling | None = None,
        outputs: Mapping[str, str] | None = None,
    ) -> None:
        self.api_url = api_url
        self._outputs = dict(outputs or {})
        self._session = session or default_session()
        self._session_lock = threading.Lock()  # boto3's sessions are not safe to share, its clients are
        self._polling = polling or Polling()
        self._transport = SignedTransport(
            api_url,
            self._session,
            endpoint_url=endpoint_url or configured_endpoint(),
            retries=retries or Retries(),
        )

    @classmethod
    def from_stack(cls, stack_name: str, session: boto3.Session | None = None) -> Client:
        """Find the API of a stack by the stack's outputs.

        Args:
            stack_name: Such as ``"TextClassification-dev"``.
            session: Credentials and region; when omitted those of the environment, ``AWS_REGION`` before a profile's.

        Raises:
            StackNotFoundError: There is no such stack, or it has no output ``ApiUrl``.
        """
        session = session or default_session()
        outputs = stack_outputs(stack_name, session)
        return cls(outputs["ApiUrl"], session=session, outputs=outputs)

    def classify(self, texts: Sequence[str], language: Language = "auto", annotations: bool = False) -> Classifications:
        """Return the label of each text.

        Args:
            texts: 1 to 100 texts of 1 to 10,000 characters, 200,000 together (20,000 with annotations).
            language: ``"auto"`` decides by script, for each text.
            annotations: Also return tokens, part-of-speech tags, named entities and features.

        Raises:
            ApiError: The API refused the texts or failed, with the fields of its problem document.
            ApiUnreachableError: No answer came back.
        """
        answer = self._transport.post("v1/classifications", _request(texts, language, annotations))
        return parsed(Classifications.from_json, answer)

    def submit(
        self,
        texts: Sequence[str],
        language: Language = "auto",
        annotations: bool = False,
        *,
        idempotency_key: str | None = None,
    ) -> Job:
        """Have texts classified later, and return the job at once.

        Args:
            texts: As for :meth:`classify`; :func:`~sm_client.batches` makes as many requests of more.
            language: As for :meth:`classify`.
            annotations: As for :meth:`classify`.
            idempotency_key: 1 to 255 visible ASCII characters: the same request under the same key is the same job,
                however often it is submitted. When omitted: a random one, so that attempts of this call are one job.

        Raises:
            ConflictError: The key was used for another request before.
            ApiError: The API refused the texts or failed, with the fields of its problem document.
            ApiUnreachableError: No answer came back; the job may have been accepted all the same.
        """
        answer = self._transport.post(
            "v1/jobs",
            _request(texts, language, annotations),
            {"Idempotency-Key": uuid4().hex if idempotency_key is None else idempotency_key},
        )
        return parsed(Job.from_json, answer)

    def job(self, job_id: str) -> Job:
        """Look at a job.

        Raises:
            NotFoundError: There is no such job, or no longer.
            ApiError: The API failed.
            ApiUnreachableError: No answer came back.
        """
        return parsed(Job.from_json, self._transport.get(f"v1/jobs/{quote(job_id, safe='')}"))

    def as_ended(self, jobs: Iterable[Job | str], *, timeout_s: float = 300) -> Iterator[Job]:
        """Yield each of several jobs once it has ended, be it well or not.

        Args:
            jobs: The jobs, or their ids.
            timeout_s: How long to wait for all of them, in seconds. Each is looked at once at least.

        Raises:
            StillRunningError: Some have not ended in time.
            NotFoundError: One does not exist.
            ApiError: The API failed.
            ApiUnreachableError: No answer came back.
        """
        deadline = time.monotonic() + timeout_s
        running = dict.fromkeys(map(_job_id, jobs))
        pauses = self._polling.pauses()
        while True:
            seen: list[Job] = []
            for job_id in list(running):
                job = self.job(job_id)
                if job.has_ended:
                    del running[job_id]
                    pauses = self._polling.pauses()
                    yield job
                else:
                    seen.append(job)
            if not running:
                return
            left = deadline - time.monotonic()
            if left <= 0:
                raise StillRunningError(seen)
            time.sleep(min(next(pauses), left))

    def wait(self, jobs: Iterable[Job | str], *, timeout_s: float = 300) -> list[Job]:
        """Return jobs once all of them have ended, in the order they were given.

        Arguments and errors are those of :meth:`as_ended`, which also shows how far they are.
        """
        job_ids = [_job_id(job) for job in jobs]
        ended = {job.job_id: job for job in self.as_ended(job_ids, timeout_s=timeout_s)}
        return [ended[job_id] for job_id in job_ids]

    def results(self, job: Job | str) -> Classifications:
        """Return the results of a job that has succeeded.

        Those that are too large for an answer of the API are read from S3, which takes ``s3:GetObject`` on the
        artifacts' ``results/jobs/*``, and ``kms:Decrypt`` where they have a key of their own.

        Args:
            job: The job, or its id. One that had succeeded when it was looked at is not looked at again.

        Raises:
            JobFailedError: It has none, and why.
            StillRunningError: It has none yet: :meth:`wait` first.
            NotFoundError: There is no such job, or no longer.
            ApiError: The API failed.
            ApiUnreachableError: No answer came back.
            ClientError: S3 refused.
        """
        if isinstance(job, str) or job.result_url is None:
            job = self.job(_job_id(job))
        if job.status == "failed":
            raise JobFailedError(job)
        if job.status != "succeeded":
            raise StillRunningError([job])
        results = self._stored(str(job.result_url)) if job.results is None else job.results
        return Classifications(model_version=str(job.model_version), results=results, request_id=job.request_id)

    def _stored(self, url: str) -> tuple[Classification, ...]:
        s3 = self._client("s3")
        bucket, _, key = url.removeprefix("s3://").partition("/")
        document = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        return tuple(map(Classification.from_json, document["results"]))


def stack_outputs(stack_name: str, session: boto3.Session | None = None) -> dict[str, str]:
    """Return the outputs of a deployed text-classification stack by logical id.

    Raises:
        StackNotFoundError: There is no such stack, or it has no output ``ApiUrl``.
    """
    cloudformation = (session or default_session()).client("cloudformation")
    try:
        stack = cloudformation.describe_stacks(StackName=stack_name)["Stacks"][0]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        raise StackNotFoundError(stack_name, f"does not exist in {cloudformation.meta.region_name}") from error
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
    if "ApiUrl" not in outputs:
        raise StackNotFoundError(stack_name, f"has no output ApiUrl: its status is {stack['StackStatus']}")
    return outputs


def _request(texts: Sequence[str], language: Language, annotations: bool) -> dict[str, Any]:
    if isinstance(texts, str):
        raise TypeError("texts is a str: give a list of texts")
    return {"texts": list(texts), "language": language, "annotations": annotations}


def _job_id(job: Job | str) -> str:
    return job if isinstance(job, str) else job.job_id
