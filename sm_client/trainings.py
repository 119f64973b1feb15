"""Trainings: a data set becomes a model, and the model in service changes if it is better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sm_client.executions import Failure, Status, moment

Outcome = Literal["promoted", "not_promoted", "rejected"]
Hyperparameters = Mapping[str, bool | int | float | str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """A training as it was at one look.

    Args:
        training_id: Its name, for later looks.
        status: ``"succeeded"`` and ``"failed"`` are the end.
        request_id: Names the request in the logs.
        state: The state of the workflow that it is in, or failed in.
        started_at: When it was started. ``None`` in the answer to :meth:`~sm_client.Client.train`.
        ended_at: When it ended.
        outcome: Whether the new model was ``"promoted"``, ``"not_promoted"``, or ``"rejected"`` by an approver.
        reason: Why, in words.
        model_version: The version of the new model.
        model_data: Where it is, an ``s3://`` URL.
        model_package_arn: Its entry in the registry of models.
        metrics: What was measured of it.
        in_service: The same of the model that was in service; ``None`` if there was none.
        dataset: What is known of the data set, such as its ``rows`` and ``labels``.
        trials: The trials, with their hyperparameters and metrics.
        report: Where all that was written about it is.
        error: Why it failed.
    """

    training_id: str
    status: Status
    request_id: str
    state: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    outcome: Outcome | None = None
    reason: str | None = None
    model_version: str | None = None
    model_data: str | None = None
    model_package_arn: str | None = None
    metrics: Mapping[str, Any] | None = None
    in_service: Mapping[str, Any] | None = None
    dataset: Mapping[str, Any] | None = field(default=None, repr=False)
    trials: Sequence[Mapping[str, Any]] | None = field(default=None, repr=False)
    report: str | None = None
    error: Failure | None = None

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.status in ("succeeded", "failed")

    @property
    def progress(self) -> str:
        """How far it is, in words."""
        return self.state or self.status

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Training:
        """Read a response body. Fields that this version does not know are ignored.

        Raises:
            KeyError: A field is missing.
            ValueError: A date is none.
        """
        return cls(
            training_id=document["training_id"],
            status=document["status"],
            request_id=document["request_id"],
            state=document.get("state"),
            started_at=moment(document.get("started_at")),
            ended_at=moment(document.get("ended_at")),
            outcome=document.get("outcome"),
            reason=document.get("reason"),
            model_version=document.get("model_version"),
            model_data=document.get("model_data"),
            model_package_arn=document.get("model_package_arn"),
            metrics=document.get("metrics"),
            in_service=document.get("in_service"),
            dataset=document.get("dataset"),
            trials=document.get("trials"),
            report=document.get("report"),
            error=Failure.from_json(document.get("error")),
        )


def training_request(
    dataset: str,
    *,
    trials: Sequence[Hyperparameters] | Mapping[str, Sequence[bool | int | float | str]] | None,
    **fields: object,
) -> dict[str, Any]:
    """Return the body of ``POST /v1/trainings``, without what is left to the API."""
    if isinstance(trials, Mapping):
        fields["trials"] = {name: list(values) for name, values in trials.items()}
    elif trials is not None:
        fields["trials"] = [dict(trial) for trial in trials]
    return {"dataset": dataset, **{name: value for name, value in fields.items() if value is not None}}
