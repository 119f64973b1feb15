"""The calls of the client that are about trainings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from sm_client import uploads
from sm_client._stack_calls import StackCalls
from sm_client._transport import parsed
from sm_client.errors import TrainingFailedError, TrainingRunningError
from sm_client.promotions import ended, start_rollback
from sm_client.trainings import Hyperparameters, Training, training_request


class TrainingCalls(StackCalls):
    """What :class:`~sm_client.Client` can do about trainings; it is made there."""

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
        dataset, files = uploads.planned(Path(path), name, uploads.DATASETS)
        self._upload(files)
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
        return parsed(Training.from_json, self._transport.post("v1/trainings", body, headers))

    def training(self, training_id: str) -> Training:
        """Look at a training.

        Raises:
            NotFoundError: There is no such training, or no longer.
            ApiError: The API failed.
            ApiUnreachableError: No answer came back.
        """
        return parsed(Training.from_json, self._transport.get(f"v1/trainings/{quote(training_id, safe='')}"))

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
        return self._watch(lambda: self.training(training_id), timeout_s=timeout_s, still_running=TrainingRunningError)

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
