"""Batch transform jobs: models in processes of their own, and files from S3 to S3.

https://docs.aws.amazon.com/sagemaker/latest/dg/batch-transform.html
"""

from __future__ import annotations

import contextvars
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from botocore.exceptions import ClientError

from sm_local.clock import Clock
from sm_local.sagemaker.backend import Backend, Place
from sm_local.sagemaker.capture import put_object
from sm_local.sagemaker.config import STARTUP_SECONDS
from sm_local.sagemaker.containers import backend
from sm_local.sagemaker.errors import NoAnswerError, SageMakerError
from sm_local.sagemaker.jobs.job import JobFailedError
from sm_local.sagemaker.jobs.records import RecordError, mini_batches
from sm_local.sagemaker.jobs.registry import Jobs
from sm_local.sagemaker.jobs.transfer import InputObject, objects
from sm_local.sagemaker.jobs.transform_job import TransformJob
from sm_local.sagemaker.jobs.work import carry_out
from sm_local.sagemaker.messages import Answer, Invocation
from sm_local.sagemaker.metrics import MetricSink, Publisher
from sm_local.sagemaker.model_data import S3Location
from sm_local.sagemaker.models import Models
from sm_local.state import StateDirectory

LOG_GROUP = "/aws/sagemaker/TransformJobs"


_running: set[Instance] = set()


def stop_all() -> None:
    """End the models of all jobs, as the local AWS itself ends."""
    for instance in list(_running):
        instance.stop()


class StoppedError(Exception):
    """A job that was asked to stop."""


def transform_jobs(state: StateDirectory, models: Models, sink: MetricSink, clock: Clock) -> Jobs[TransformJob]:
    """Return the transform jobs of the local AWS."""

    def run(job: TransformJob) -> None:
        Transform(job, state.jobs / "transform" / job.name, sink, clock).run()

    return Jobs("Transform", lambda parameters, arn: TransformJob(parameters, arn, models), run)


class Instance:
    """A model that is started again when its process is gone.

    Args:
        model: What serves it.
    """

    def __init__(self, model: Backend, containers: int) -> None:
        self._model = model
        self._containers = containers
        self._starting = threading.Lock()

    def ensure_running(self) -> None:
        """Start the model unless it runs. Raises SageMakerError when it cannot."""
        with self._starting:
            if len(self._model.processes()) < self._containers:
                self._model.stop()
                _running.add(self)
                self._model.start()

    def invoke(self, invocation: Invocation) -> Answer:
        """Return the model's answer, when it does not just start again. Raises NoAnswerError when there is none."""
        with self._starting:
            pass
        return self._model.invoke(invocation)

    def stop(self) -> None:
        """End the model's processes."""
        _running.discard(self)
        self._model.stop()


class Transform:
    """The work of one transform job.

    Args:
        job: The job.
        directory: Where its models are unpacked; deleted at the end.
        sink: Where metrics would go.
        clock: The local AWS's time.
    """

    def __init__(self, job: TransformJob, directory: Path, sink: MetricSink, clock: Clock) -> None:
        self._job = job
        self._directory = directory
        self._clock = clock
        self._unpublished = Publisher(sink, {}, ())
        self._failures: list[str] = []

    def run(self) -> None:
        """Do all of it; the job says how it went."""
        carry_out(self._job, self._directory, self._transform)

    def _transform(self) -> str:
        source = self._job.parameters["TransformInput"]["DataSource"]["S3DataSource"]
        found = objects(self._job.role, source["S3DataType"], source["S3Uri"])
        with self._instances() as instances, ThreadPoolExecutor(len(instances)) as pool:
            work = [
                pool.submit(contextvars.copy_context().run, self._files, instance, found[index :: len(instances)])
                for index, instance in enumerate(instances)
            ]
            try:
                for one in work:
                    one.result()
            except StoppedError:
                return "Stopped"
        if self._failures:
            raise JobFailedError(f"ClientError: See job logs for more information: {'; '.join(self._failures)}")
        return "Completed"

    def _files(self, instance: Instance, files: list[InputObject]) -> None:
        """Transform one file after another; one that cannot be has no output, and the others go on."""
        with ThreadPoolExecutor(self._job.concurrency) as pool:
            for file in files:
                try:
                    self._file(instance, file, pool)
                except (NoAnswerError, RecordError, JobFailedError, SageMakerError) as error:
                    self._failures.append(f"{file.location}: {error}")

    def _file(self, instance: Instance, file: InputObject, pool: ThreadPoolExecutor) -> None:
        job = self._job
        try:
            body = job.role.s3.get_object(Bucket=file.location.bucket, Key=file.location.key)["Body"].read()
        except ClientError as error:
            raise JobFailedError(str(error)) from error
        batches = mini_batches(body, lines=job.lines, several=job.several, most_bytes=job.most_bytes)
        pending: list[Future[bytes]] = [
            pool.submit(contextvars.copy_context().run, self._batch, instance, batch) for batch in batches
        ]
        try:
            results = [one.result() for one in pending]
        finally:
            for one in pending:
                one.cancel()
        end = b"\n" if job.assembled_by_line else b""
        assembled = b"".join(result.rstrip(b"\n") + end if end else result for result in results)
        output = job.parameters["TransformOutput"]
        where = S3Location.parse(output["S3OutputPath"]).below(f"{file.name}.out")
        try:
            put_object(job.role, where, assembled, kms_key_id=output.get("KmsKeyId"))
        except ClientError as error:
            raise JobFailedError(f"cannot write {where}: {error}") from error

    def _batch(self, instance: Instance, records: list[bytes]) -> bytes:
        """Return what is kept of a model's answer to some records, which are sent again when it fails."""
        job = self._job
        invocation = Invocation(
            body=job.processing.request(records),
            content_type=job.processing.content_type,
            accept=job.processing.accept or "*/*",
            timeout_seconds=job.timeout_seconds,
        )
        for left in range(job.retries, -1, -1):
            if job.stopping.is_set():
                raise StoppedError
            try:
                answer = instance.invoke(invocation)
            except NoAnswerError:
                if not left:
                    raise
                if job.stopping.is_set():
                    raise StoppedError from None
                instance.ensure_running()
                continue
            if answer.status < 400:
                return job.processing.result(records, answer.body)
            if answer.status < 500 or not left:
                words = answer.body.decode(errors="replace")[:200]
                raise JobFailedError(f"the model answered {answer.status}: {words}")
        raise AssertionError("unreachable")

    @contextmanager
    def _instances(self) -> Iterator[list[Instance]]:
        """Start a model for each instance, and stop all at the end and when the job is to stop."""
        instances = [
            Instance(backend(self._job.model, self._place(number)), len(self._job.model.containers))
            for number in range(1, self._job.instances + 1)
        ]
        try:
            for instance in instances:
                instance.ensure_running()
            yield instances
        finally:
            for instance in instances:
                instance.stop()

    def _place(self, number: int) -> Place:
        job = self._job
        directory = self._directory / f"instance-{number}"
        return Place(
            role=job.role,
            directory=directory,
            log_file=directory / "log",
            log_group=LOG_GROUP,
            log_stream=f"{job.name}/i-{uuid.uuid4().hex[:17]}-{int(time.time())}",
            variant_name="transform",
            startup_seconds=STARTUP_SECONDS,
            threads=job.concurrency,
            network_isolation=job.model.network_isolation,
            clock=self._clock,
            multi_model_metrics=self._unpublished,
            container_metrics=lambda _name: self._unpublished,
        )
