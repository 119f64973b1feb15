"""Processing jobs: a command in a process of its own, on files that the job's role may read.

https://docs.aws.amazon.com/sagemaker/latest/dg/build-your-own-processing-container.html
"""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sm_local.sagemaker.jobs.job import JobFailedError
from sm_local.sagemaker.jobs.paths import OPT_ML, local
from sm_local.sagemaker.jobs.processing_job import ProcessingJob
from sm_local.sagemaker.jobs.program import Program, environment, stop
from sm_local.sagemaker.jobs.registry import Jobs
from sm_local.sagemaker.jobs.transfer import Mirror, download, objects, upload_directory
from sm_local.sagemaker.jobs.work import carry_out
from sm_local.sagemaker.log_writer import log_writer
from sm_local.sagemaker.model_data import S3Location
from sm_local.state import StateDirectory

LOG_GROUP = "/aws/sagemaker/ProcessingJobs"
_LONGEST_SECONDS = 86_400
_MESSAGE_CHARACTERS = 1024
_LOOK_SECONDS = 0.1
_UPLOAD_SECONDS = 3.0


def processing_jobs(state: StateDirectory) -> Jobs[ProcessingJob]:
    """Return the processing jobs of the local AWS."""
    return Jobs("Processing", ProcessingJob, lambda job: Processing(job, state.jobs / "processing" / job.name).run())


@dataclass(frozen=True, slots=True)
class Container:
    """One of the containers of a job.

    Args:
        directory: What is ``/opt/ml``.
        program: What it runs.
        mirrors: The outputs that are uploaded as they are made.
    """

    directory: Path
    program: Program
    mirrors: list[Mirror]


class Processing:
    """The work of one processing job.

    Args:
        job: The job.
        directory: Where its containers are; deleted at the end.
    """

    def __init__(self, job: ProcessingJob, directory: Path) -> None:
        self._job = job
        self._directory = directory

    def run(self) -> None:
        """Do all of it; the job says how it went."""
        carry_out(self._job, self._directory, self._process)

    def _process(self) -> str:
        job = self._job
        job.role.check_can_pull(job.parameters["AppSpecification"]["ImageUri"])
        logs, began = job.role.client("logs"), int(time.time())
        with ExitStack() as stack:
            containers = []
            for number in range(1, job.instances + 1):
                stream = f"{job.name}/algo-{number}-{began}"
                writer = stack.enter_context(log_writer(logs, LOG_GROUP, stream))
                directory = self._directory / f"algo-{number}"
                program = Program(
                    command=[self._local(part, directory) for part in job.command],
                    directory=directory,
                    environment=self._environment(directory),
                    keep_line=writer.put,
                )
                containers.append(Container(directory, program, self._mirrors(directory)))
            self._download(containers)
            outcome = self._run(containers)
            self._upload(containers)
            return outcome

    def _run(self, containers: list[Container]) -> str:
        job, now = self._job, time.monotonic()
        until = now + job.parameters.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", _LONGEST_SECONDS)
        upload_due = now + _UPLOAD_SECONDS
        try:
            for container in containers:
                container.program.start()
            while True:
                for container in containers:
                    if container.program.exit_code and not job.stopping.is_set():
                        self._fail(containers, container)
                if all(container.program.exit_code == 0 for container in containers):
                    self._keep_message(containers)
                    return "Completed"
                if job.stopping.is_set() or time.monotonic() >= until:
                    stop(container.program for container in containers)
                    self._keep_message(containers)
                    return "Stopped"
                if time.monotonic() >= upload_due:
                    _upload_changes(containers)
                    upload_due = time.monotonic() + _UPLOAD_SECONDS
                job.stopping.wait(_LOOK_SECONDS)
        finally:
            for container in containers:
                container.program.finish()

    def _fail(self, containers: list[Container], failed: Container) -> None:
        """Raise what SageMaker says: the container's own words, if it wrote any, and its exit code."""
        stop((container.program for container in containers), grace_seconds=5)
        failed.program.finish()
        self._keep_message(containers)
        code = failed.program.exit_code or 0
        raise JobFailedError(
            f"AlgorithmError: {self._job.exit_message or ''}, exit code: {abs(code) + 128 * (code < 0)}"
        )

    def _keep_message(self, containers: list[Container]) -> None:
        """https://docs.aws.amazon.com/sagemaker/latest/dg/byoc-metadata.html."""
        messages = [container.directory / "output" / "message" for container in containers]
        try:
            whole = "".join(message.read_text(encoding="utf-8") for message in messages if message.is_file())
        except UnicodeDecodeError as error:
            raise JobFailedError(f"ClientError: /opt/ml/output/message is not UTF-8: {error}") from error
        self._job.exit_message = whole[:_MESSAGE_CHARACTERS] or None

    def _download(self, containers: list[Container]) -> None:
        job = self._job
        for container in containers:
            self._prepare(container.directory)
        for one in job.parameters.get("ProcessingInputs", ()):
            source = one["S3Input"]
            found = objects(job.role, source["S3DataType"], source["S3Uri"])
            sharded = source.get("S3DataDistributionType") == "ShardedByS3Key"
            for index, container in enumerate(containers):
                mine = found[index :: len(containers)] if sharded else found
                download(job.role, mine, Path(self._local(source["LocalPath"], container.directory)))

    def _prepare(self, directory: Path) -> None:
        config = directory / "config"
        for made in (config, directory / "output", directory / "processing"):
            made.mkdir(parents=True, exist_ok=True)
        names = [f"algo-{number}" for number in range(1, self._job.instances + 1)]
        hosts = {"current_host": directory.name, "hosts": names}
        (config / "resourceconfig.json").write_text(json.dumps(hosts), encoding="utf-8")
        (config / "processingjobconfig.json").write_text(json.dumps(self._job.parameters), encoding="utf-8")
        for output in self._outputs:
            Path(self._local(output["LocalPath"], directory)).mkdir(parents=True, exist_ok=True)

    def _upload(self, containers: list[Container]) -> None:
        _upload_changes(containers)
        key = self._job.parameters.get("ProcessingOutputConfig", {}).get("KmsKeyId")
        for output in self._outputs:
            if output["S3UploadMode"] == "EndOfJob":
                for container in containers:
                    directory = Path(self._local(output["LocalPath"], container.directory))
                    where = S3Location.parse(output["S3Uri"])
                    upload_directory(self._job.role, directory, where, kms_key_id=key)

    @property
    def _outputs(self) -> list[dict[str, Any]]:
        outputs = self._job.parameters.get("ProcessingOutputConfig", {}).get("Outputs", ())
        return [output["S3Output"] for output in outputs]

    def _mirrors(self, directory: Path) -> list[Mirror]:
        return [
            Mirror(self._job.role, Path(self._local(output["LocalPath"], directory)), S3Location.parse(output["S3Uri"]))
            for output in self._outputs
            if output["S3UploadMode"] == "Continuous"
        ]

    def _environment(self, directory: Path) -> dict[str, str]:
        job = self._job
        own = job.parameters.get("Environment", {})
        return environment(
            directory,
            {
                **job.role.environment(with_credentials=not job.isolated),
                "PROCESSING_DIR": str(directory / "processing"),
                "PROCESSING_JOB_NAME": job.name,
                "SAGEMAKER_BASE_DIR": str(directory),
                **{name: self._local(value, directory) for name, value in own.items()},
            },
        )

    def _local(self, text: str, directory: Path) -> str:
        return local(text, {OPT_ML: directory, "/tmp": directory / "tmp"})  # noqa: S108 - a container's


def _upload_changes(containers: list[Container]) -> None:
    for container in containers:
        for mirror in container.mirrors:
            mirror.upload()
