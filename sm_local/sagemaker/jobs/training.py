"""Training jobs: each host's program in a process of its own, on data that the job's role may read."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sm_local.clock import Clock
from sm_local.sagemaker.jobs.host import Host, host_names
from sm_local.sagemaker.jobs.job import FAILURE_REASON_CHARACTERS, JobFailedError
from sm_local.sagemaker.jobs.program import GRACE_SECONDS, Program, environment, stop
from sm_local.sagemaker.jobs.registry import Jobs
from sm_local.sagemaker.jobs.script_mode import Script
from sm_local.sagemaker.jobs.training_job import TrainingJob
from sm_local.sagemaker.jobs.transfer import Mirror, download, objects, upload_archive
from sm_local.sagemaker.jobs.warm_pools import WarmPools
from sm_local.sagemaker.jobs.work import carry_out
from sm_local.sagemaker.log_writer import LogWriter, log_writer
from sm_local.sagemaker.metrics import MetricSink
from sm_local.sagemaker.model_data import S3Location
from sm_local.sagemaker.registry import Parameters
from sm_local.state import StateDirectory

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
_LOOK_SECONDS = 0.1
_CHECKPOINT_SECONDS = 3.0


def training_jobs(state: StateDirectory, sink: MetricSink, clock: Clock) -> Jobs[TrainingJob]:
    """Return the training jobs of the local AWS."""
    pools = WarmPools()

    def make(parameters: Parameters, arn: str) -> TrainingJob:
        job = TrainingJob(parameters, arn, sink=sink, clock=clock)
        pools.take(job)
        return job

    return Jobs("Training", make, lambda job: Training(job, state.jobs / "training" / job.name).run())


@dataclass(slots=True)
class Member:
    """A host of a job, with what runs there.

    Args:
        host: The host.
        program: Its program, which may not run yet.
        checkpoints: Its checkpoints, if the job has any.
    """

    host: Host
    program: Program
    checkpoints: Mirror | None


class Training:
    """The work of one training job.

    Args:
        job: The job.
        directory: Where its hosts are; deleted at the end.
    """

    def __init__(self, job: TrainingJob, directory: Path) -> None:
        self._job = job
        self._directory = directory
        algorithm = job.parameters["AlgorithmSpecification"]
        self._script = Script(job.parameters.get("HyperParameters", {}))
        self._command = [*algorithm.get("ContainerEntrypoint", ()), *algorithm.get("ContainerArguments", ())]

    def run(self) -> None:
        """Do all of it; the job says how it went."""
        carry_out(self._job, self._directory, self._work)

    def _work(self) -> str:
        outcome = self._train()
        if outcome in ("Completed", "Stopped"):
            return outcome
        self._job.enter(outcome)
        return "Stopped"

    def _train(self) -> str:
        """Return ``Completed``, ``Stopped`` or the limit that was reached."""
        job, began = self._job, time.monotonic()
        job.role.check_can_pull(job.parameters["AlgorithmSpecification"]["TrainingImage"])
        while True:
            shutil.rmtree(self._directory, ignore_errors=True)
            with self._members() as members:
                outcome = self._run_once(members, began)
                if outcome == "Interrupted":
                    job.enter("Interrupted")
                    job.enter("Restarting")
                    continue
                for member in members:
                    if member.checkpoints:
                        member.checkpoints.upload()
                job.enter("Uploading")
                self._upload(members)
                return outcome

    def _run_once(self, members: list[Member], began: float) -> str:
        job = self._job
        job.enter("Downloading")
        self._download(members)
        if job.stopping.is_set():
            return "Stopped"
        job.enter("Training")
        resumed = time.monotonic()
        try:
            for member in members:
                member.program.start()
            wait = job.most_seconds_with_waiting
            return self._watch(
                members,
                until=resumed + job.most_seconds - job.training_seconds,
                wait_until=None if wait is None else began + wait,
            )
        finally:
            for member in members:
                member.program.finish()
            job.training_seconds += time.monotonic() - resumed

    def _watch(self, members: list[Member], *, until: float, wait_until: float | None) -> str:
        checkpoints_due = time.monotonic() + _CHECKPOINT_SECONDS
        while True:
            codes = [member.program.exit_code for member in members]
            if any(codes) and not self._job.stopping.is_set():
                return self._ended_badly(members, codes)
            if all(code == 0 for code in codes):
                return "Completed"
            now = time.monotonic()
            limit = "MaxRuntimeExceeded" if now >= until else None
            if wait_until is not None and now >= wait_until:
                limit = "MaxWaitTimeExceeded"
            if self._job.stopping.is_set() or limit:
                if limit:
                    self._job.change(status="Stopping")
                self._stop(members)
                return limit or "Stopped"
            if now >= checkpoints_due:
                self._upload_checkpoints(members)
                checkpoints_due = time.monotonic() + _CHECKPOINT_SECONDS
            self._job.stopping.wait(_LOOK_SECONDS)

    def _ended_badly(self, members: list[Member], codes: list[int | None]) -> str:
        """Return that a Spot Instance is gone, or raise what else there is to say."""
        self._stop(members, grace_seconds=5)
        if self._job.spot and -signal.SIGKILL in codes:  # the others may have failed because of it
            return "Interrupted"
        member, code = next((member, code) for member, code in zip(members, codes, strict=True) if code)
        member.program.finish()
        raise JobFailedError(failure_reason(member.host, member.program, code))

    def _stop(self, members: list[Member], grace_seconds: float = GRACE_SECONDS) -> None:
        stop((member.program for member in members), grace_seconds)

    def _upload_checkpoints(self, members: list[Member]) -> None:
        for member in members:
            if member.checkpoints:
                member.checkpoints.upload()

    def _download(self, members: list[Member]) -> None:
        channels = {channel.name: channel.configuration for channel in self._job.channels}
        found = {channel.name: objects(self._job.role, channel.kind, channel.uri) for channel in self._job.channels}
        for index, member in enumerate(members):
            member.host.prepare(self._job.parameters.get("HyperParameters", {}), channels)
            for channel in self._job.channels:
                wanted = found[channel.name]
                mine = wanted[index :: len(members)] if channel.sharded else wanted
                download(self._job.role, mine, member.host.channel(channel.name))
            if member.checkpoints:
                member.checkpoints.restore()
            if not self._command:
                self._script.fetch(member.host, self._job.role, isolated=self._job.isolated)

    def _upload(self, members: list[Member]) -> None:
        """Write what all hosts made, as one archive each of models and of other output."""
        job, output = self._job, self._job.parameters["OutputDataConfig"]
        where = S3Location.parse(output["S3OutputPath"]).below(f"{job.name}/output")
        key = output.get("KmsKeyId")
        model = where.below("model.tar.gz")
        if upload_archive(job.role, [member.host.model for member in members], model, kms_key_id=key):
            job.model_artifacts = str(model)
        upload_archive(
            job.role, [member.host.output_data for member in members], where.below("output.tar.gz"), kms_key_id=key
        )

    @contextmanager
    def _members(self) -> Iterator[list[Member]]:
        with ExitStack() as stack:
            logs = self._job.role.client("logs")
            names = stack.enter_context(host_names(self._job.instances))
            instance_type = self._job.parameters["ResourceConfig"]["InstanceType"]
            began = int(time.time())
            members = []
            for name in names:
                directory = self._directory / name
                host = Host(name=name, names=names, directory=directory, instance_type=instance_type)
                writer = stack.enter_context(log_writer(logs, LOG_GROUP, f"{self._job.name}/{name}-{began}"))

                program = Program(
                    command=self._command_of(host),
                    directory=directory if self._command else host.code,
                    environment=self._environment(host),
                    keep_line=partial(self._keep, writer),
                )
                members.append(Member(host, program, self._checkpoints(host)))
            yield members

    def _keep(self, writer: LogWriter, line: str) -> None:
        writer.put(line)
        self._job.printed.read(line)

    def _command_of(self, host: Host) -> list[str]:
        return [host.local(part) for part in self._command] if self._command else self._script.command(host)

    def _environment(self, host: Host) -> dict[str, str]:
        job = self._job
        channels = {channel.name: channel.configuration for channel in job.channels}
        own = {name: host.local(value) for name, value in job.parameters.get("Environment", {}).items()}
        return environment(
            host.directory,
            {
                **job.role.environment(with_credentials=not job.isolated),
                **({"SAGEMAKER_BASE_DIR": str(host.directory)} if self._command else self._script.variables(host, channels)),  # noqa: E501
                "TRAINING_JOB_NAME": job.name,
                "TRAINING_JOB_ARN": job.arn,
                **own,
            },
        )  # fmt: skip

    def _checkpoints(self, host: Host) -> Mirror | None:
        if (config := self._job.parameters.get("CheckpointConfig")) is None:
            return None
        directory = Path(host.local(config.get("LocalPath", "/opt/ml/checkpoints")))
        return Mirror(self._job.role, directory, S3Location.parse(config["S3Uri"]))


def failure_reason(host: Host, program: Program, code: int) -> str:
    """Return what SageMaker says of an algorithm that failed: its own words, or the end of its error stream."""
    code = 128 - code if code < 0 else code  # as a shell and containers say what killed a process
    if host.failure.is_file():
        words = host.failure.read_text(encoding="utf-8", errors="replace")
        return f"AlgorithmError: {words[: FAILURE_REASON_CHARACTERS - 60]}, exit code: {code}"
    command = " ".join(program.command)[:200]
    ended = f'Command "{command}", exit code: {code}'
    head = f"AlgorithmError: ExecuteUserScriptError:\nExitCode {code}\nErrorMessage "
    left = FAILURE_REASON_CHARACTERS - len(head) - len(ended) - 4
    words = "\n".join(program.last_errors)[-left:]
    return f'{head}"{words}"\n{ended}'
