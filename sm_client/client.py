"""The client itself."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import quote
from uuid import uuid4

import boto3
from botocore.exceptions import ClientError

from sm_client._transport import Retries, SignedTransport, configured_endpoint
from sm_client.errors import (
    ApiError,
    JobFailedError,
    OutputMissingError,
    StackNotFoundError,
    StillRunningError,
    TrainingFailedError,
    TrainingRunningError,
)
from sm_client.jobs import Job, Polling
from sm_client.promotions import ended, start_rollback
from sm_client.results import Classification, Classifications
from sm_client.session import default_session
from sm_client.trainings import Hyperparameters, Training, training_request
from sm_client.uploads import planned

Language = Literal["auto", "en", "zh"]

_Value = TypeVar("_Value")


class Client:
    """Calls the API of one deployed stack, with requests signed by the session's credentials.

    Safe to share between threads. Throttling, 5xx and broken connections are retried with jitter.

    Args:
        api_url: The stack's output ``ApiUrl``.
        session: Credentials and region; when omitted those of the environment, ``AWS_REGION`` before a profile's.
        endpoint_url: Where to connect instead of the host in ``api_url``, which stays in the Host header
            and the signature. ``AWS_ENDPOINT_URL`` when omitted and set.
        retries: Four attempts with up to 5 s between them when omitted.
        polling: How often jobs are looked at while waiting. When omitted: pauses grow from 0.5 s to 10 s, and begin
            anew when a job has ended or a training's state has changed.
        outputs: The stack's outputs, for what is not done by the API: uploading data sets and rolling back. When
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
        return _parsed(Classifications.from_json, answer)

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
        return _parsed(Job.from_json, answer)

    def job(self, job_id: str) -> Job:
        """Look at a job.

        Raises:
            NotFoundError: There is no such job, or no longer.
            ApiError: The API failed.
            ApiUnreachableError: No answer came back.
        """
        return _parsed(Job.from_json, self._transport.get(f"v1/jobs/{quote(job_id, safe='')}"))

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

    def correct(self, request_id: str, index: int, label: str) -> None:
        """Say which label a text should have had. It becomes training data of the next training.

        Args:
            request_id: That of the :class:`Classifications`, or the id of a job.
            index: Which of its texts, counted from 0.
            label: The right label. A second one for the same text takes the place of the first.

        Raises:
            NotFoundError: There is no such request, or no longer.
            ApiError: The API refused or failed.
            ApiUnreachableError: No answer came back.
        """
        self._transport.post("v1/feedback", {"request_id": request_id, "index": index, "label": label})

    def upload_dataset(self, path: Path | str, name: str | None = None) -> str:
        """Put a data set into the artifacts' bucket and return what :meth:`train` calls it.

        It takes ``s3:PutObject`` on the artifacts' ``datasets/*``, and ``kms:GenerateDataKey`` and ``kms:Decrypt``
        where they have a key of their own.

        Args:
            path: A ``*.jsonl`` or ``*.csv``, or a directory of some: of ``train/``, ``validation/`` and ``test/``,
                where it brings its own splits.
            name: What it is called under ``datasets/``. When omitted: as the file or directory is.

        Raises:
            FileNotFoundError: There is no such file or directory.
            ValueError: It has no data set.
            OutputMissingError: The stack does not say where its bucket is.
            ClientError: S3 refused.
        """
        dataset, files = planned(Path(path), name)
        bucket = self._output("ArtifactBucketName")
        s3 = self._client("s3")
        for key, file in files.items():
            s3.upload_file(str(file), bucket, key)
        return dataset

    def train(
        self,
        dataset: str,
        *,
        hyperparameters: Hyperparameters | None = None,
        trials: Sequence[Hyperparameters] | Mapping[str, Sequence[bool | int | float | str]] | None = None,
        instance_count: int | None = None,
        margin: float | None = None,
        approval: bool | None = None,
        feedback: bool | None = None,
        seed: int | None = None,
        validation: float | None = None,
        test: float | None = None,
        idempotency_key: str | None = None,
    ) -> Training:
        """Start a training and return at once. If its model is better than the one in service, it takes its place.

        Args:
            dataset: An object with JSON lines or CSV, or a prefix of such objects, under ``datasets/``.
            hyperparameters: What the training script is told. When omitted: nothing.
            trials: Trials of which the best wins: hyperparameters of each, or a grid: for each hyperparameter the
                values to combine. When omitted: one trial.
            instance_count: How many instances share the work. When omitted: 1.
            margin: By how much macro-F1 must be better, from 0 to 1. When omitted: what the stack says.
            approval: Whether somebody must approve the model. When omitted: what the stack says.
            feedback: Whether corrected labels are trained with, too. When omitted: they are.
            seed: Of everything random. When omitted: always the same.
            validation: Part of the texts to choose among trials by, from 0.01 to 0.4. When omitted: 0.1.
            test: Part of the texts to judge the model by, from 0.01 to 0.4. When omitted: 0.1.
            idempotency_key: As for :meth:`submit`.

        Raises:
            ConflictError: The key was used for another request before.
            ApiError: The API refused the request, naming all that is wrong, or failed.
            ApiUnreachableError: No answer came back; the training may have been started all the same.
        """
        body = training_request(
            dataset,
            hyperparameters=None if hyperparameters is None else dict(hyperparameters),
            trials=trials,
            instance_count=instance_count,
            margin=margin,
            approval=approval,
            feedback=feedback,
            seed=seed,
            validation=validation,
            test=test,
        )
        headers = {"Idempotency-Key": uuid4().hex if idempotency_key is None else idempotency_key}
        return _parsed(Training.from_json, self._transport.post("v1/trainings", body, headers))

    def training(self, training_id: str) -> Training:
        """Look at a training.

        Raises:
            NotFoundError: There is no such training, or no longer.
            ApiError: The API failed.
            ApiUnreachableError: No answer came back.
        """
        return _parsed(Training.from_json, self._transport.get(f"v1/trainings/{quote(training_id, safe='')}"))

    def watch_training(self, training: Training | str, *, timeout_s: float = 4 * 3600) -> Iterator[Training]:
        """Yield a training now, whenever it is in another state, and when it has ended, be it well or not.

        Args:
            training: The training, or its id.
            timeout_s: How long to wait, in seconds. It is looked at once at least.

        Raises:
            TrainingRunningError: It has not ended in time.
            NotFoundError: There is no such training, or no longer.
            ApiError: The API failed.
            ApiUnreachableError: No answer came back.
        """
        training_id = training if isinstance(training, str) else training.training_id
        deadline = time.monotonic() + timeout_s
        pauses = self._polling.pauses()
        before = None
        while True:
            seen = self.training(training_id)
            if before is None or seen.has_ended or seen.state != before.state:
                pauses = self._polling.pauses()
                yield seen
            if seen.has_ended:
                return
            before = seen
            left = deadline - time.monotonic()
            if left <= 0:
                raise TrainingRunningError(seen)
            time.sleep(min(next(pauses), left))

    def wait_training(self, training: Training | str, *, timeout_s: float = 4 * 3600) -> Training:
        """Return a training once it has succeeded.

        Arguments and errors are those of :meth:`watch_training`, which also shows how far it is.

        Raises:
            TrainingFailedError: It failed, and why.
        """
        *_, last = self.watch_training(training, timeout_s=timeout_s)
        if last.status == "failed":
            raise TrainingFailedError(last)
        return last

    def rollback(self, *, timeout_s: float = 3600) -> dict[str, Any]:
        """Put the model into service that was before the present one, and return what came of it.

        It takes ``states:StartExecution`` on the stack's promotion state machine and ``states:DescribeExecution`` on
        its executions.

        Args:
            timeout_s: How long to wait for the endpoint, in seconds.

        Raises:
            PromotionFailedError: The model in service was not changed.
            PromotionRunningError: It has not ended in time.
            OutputMissingError: The stack does not say where its state machine is.
            ClientError: Step Functions refused.
        """
        arn = self._output("PromotionStateMachineArn")
        client = self._client("stepfunctions")
        return ended(client, start_rollback(client, arn), self._polling.pauses(), timeout_s)

    def _output(self, name: str) -> str:
        if name not in self._outputs:
            raise OutputMissingError(name)
        return self._outputs[name]

    def _client(self, service: str) -> Any:  # noqa: ANN401 - of any service
        with self._session_lock:
            return self._session.client(service)

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


def _parsed(parse: Callable[[Mapping[str, Any]], _Value], answer: Mapping[str, Any]) -> _Value:
    try:
        return parse(answer)
    except (KeyError, TypeError, ValueError) as error:
        raise ApiError(status=200, title="unexpected answer", detail=f"not as it should be: {error!r}") from error


def _job_id(job: Job | str) -> str:
    return job if isinstance(job, str) else job.job_id
