"""Which of the trials of a training is the best one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from text_classification.logic.failures import explain

METRIC = "validation:macro_f1"


class TrialsFailedError(Exception):
    """No trial made a model. The message says of each why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Trial:
    name: str
    hyperparameters: Mapping[str, str]
    model_artifacts: str | None = None
    metrics: Mapping[str, float] | None = None
    cause: str | None = None

    def document(self) -> dict[str, Any]:
        fields = {
            "name": self.name,
            "hyperparameters": self.hyperparameters,
            "model_artifacts": self.model_artifacts,
            "metrics": self.metrics,
            "cause": self.cause,
        }
        return {name: value for name, value in fields.items() if value is not None}


def select(trials: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the ``best`` trial by macro-F1 on the validation data, those that ``failed``, and all ``trials``.

    Of equally good ones the first is the best.

    Args:
        trials: Of each its ``trial``, and the description of its ``job`` or the ``error`` that it ended with.

    Raises:
        TrialsFailedError: None made a model.
    """
    ended = [_trial(each) for each in trials]
    made = [trial for trial in ended if trial.cause is None]
    if not made:
        causes = "; ".join(f"{trial.name}: {trial.cause}" for trial in ended)
        raise TrialsFailedError(f"no trial made a model: {causes or 'there are none'}")
    best = max(made, key=lambda trial: (trial.metrics or {})[METRIC])
    return {
        "best": best.document(),
        "failed": [{"name": trial.name, "cause": trial.cause} for trial in ended if trial.cause is not None],
        "trials": [trial.document() for trial in ended],
    }


def _trial(outcome: Mapping[str, Any]) -> _Trial:
    planned = outcome["trial"]
    name, hyperparameters = planned["name"], planned["hyperparameters"]
    job = outcome.get("job")
    if not job:
        error = outcome.get("error") or {}
        failure = explain(error.get("Error"), error.get("Cause"))
        return _Trial(name=name, hyperparameters=hyperparameters, cause=failure.cause)
    metrics = {each["MetricName"]: float(each["Value"]) for each in job.get("FinalMetricDataList") or []}
    artifacts = (job.get("ModelArtifacts") or {}).get("S3ModelArtifacts")
    return _Trial(
        name=name,
        hyperparameters=hyperparameters,
        model_artifacts=artifacts,
        metrics=metrics,
        cause=_cause(job, metrics, artifacts),
    )


def _cause(job: Mapping[str, Any], metrics: Mapping[str, float], artifacts: str | None) -> str | None:
    """Say why a job that ended made no model that can be compared."""
    status = job.get("TrainingJobStatus", "Completed")
    if status != "Completed":
        reason = job.get("FailureReason") or job.get("SecondaryStatus")
        return f"the training job ended as {status}{f': {reason}' if reason else ''}"
    if artifacts is None:
        return "the training job has no model artifacts"
    if not math.isfinite(metrics.get(METRIC, math.nan)):
        return f"the training job has no metric {METRIC}: it has {', '.join(sorted(metrics)) or 'none'}"
    return None
