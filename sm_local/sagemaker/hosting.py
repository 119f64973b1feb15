"""A container of a model: its files, its process and its log."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import IO

from sm_local.sagemaker.backend import Place
from sm_local.sagemaker.errors import invalid
from sm_local.sagemaker.log_writer import log_writer
from sm_local.sagemaker.messages import Answer, Invocation
from sm_local.sagemaker.models import ContainerDefinition
from sm_local.sagemaker.process import STOP_GRACE_SECONDS, ModelProcess, model_environment

# A FailureReason has at most 1,024 characters; the end of a traceback says most.
_LOG_CHARACTERS = 800


class Container:
    """Serves one container definition.

    Args:
        definition: What to serve.
        place: Where and how.
    """

    def __init__(self, definition: ContainerDefinition, place: Place) -> None:
        self.definition = definition
        self.download_seconds = 0.0
        self._place = place
        self._fetched = False
        self._process: ModelProcess | None = None
        self._calls = 0
        self._idle = threading.Condition()

    def start(self) -> None:
        """Download the model unless that was done before, start the process and wait until it answers.

        Raises:
            SageMakerError: With the reason, as ``FailureReason`` gives it; nothing is left running.
        """
        place = self._place
        began = time.monotonic()
        if not self._fetched:
            (place.directory / "model").mkdir(parents=True, exist_ok=True)
            if self.definition.data:
                self.definition.data.fetch(place.role, place.directory / "model")
            self._fetched = True
            self.download_seconds = time.monotonic() - began
        credentials = place.role.environment(with_credentials=not place.network_isolation)
        process = ModelProcess(
            name=self.definition.name,
            directory=place.directory,
            environment=model_environment(place.directory, {**credentials, **self.definition.environment}),
            threads=place.threads,
            keep_log=self._keep_log,
        )
        self._process = process
        if not process.start(place.startup_seconds):
            process.stop()
            raise invalid(
                f"The {process.name} container for production variant {place.variant_name} did not pass the ping "
                "health check. Please check CloudWatch logs for this endpoint. The model's log ends:\n"
                + "\n".join(process.last_lines)[-_LOG_CHARACTERS:]
            )

    def invoke(self, invocation: Invocation) -> Answer:
        """Send one request to ``/invocations``.

        Raises:
            NoAnswerError: The container did not answer in time, or is gone.
        """
        with self._idle:
            self._calls += 1
            process = self._process
        try:
            if process is None:
                raise invalid(f"The {self.definition.name} container was not started.")
            return process.request(
                "POST",
                "/invocations",
                invocation.body,
                invocation.headers,
                timeout_seconds=invocation.timeout_seconds,
            )
        finally:
            with self._idle:
                self._calls -= 1
                self._idle.notify_all()

    def processes(self) -> list[int]:
        """Return the process, if it runs."""
        pid = self._process.pid if self._process else None
        return [pid] if pid is not None else []

    def stop(self) -> None:
        """Let calls under way end, then end the process."""
        with self._idle:
            self._idle.wait_for(lambda: self._calls == 0, timeout=STOP_GRACE_SECONDS)
        if self._process is not None:
            self._process.stop()

    def _keep_log(self, output: IO[bytes]) -> None:
        place, process = self._place, self._process
        place.log_file.parent.mkdir(parents=True, exist_ok=True)
        with (
            place.log_file.open("ab") as file,
            log_writer(place.role.client("logs"), place.log_group, place.log_stream) as cloudwatch,
        ):
            for line in output:
                file.write(line)
                file.flush()
                text = line.decode(errors="replace").rstrip("\n")
                if process is not None:
                    process.last_lines.append(text)
                cloudwatch.put(text)


def container(definition: ContainerDefinition, place: Place, *, among: int = 1) -> Container:
    """Return a container, in a directory and a log stream of its own when it is one of several."""
    if among == 1:
        return Container(definition, place)
    return Container(
        definition,
        replace(
            place,
            directory=place.directory / definition.name,
            log_stream=f"{place.log_stream}/{definition.name}",
        ),
    )
