"""Whether a new model is good enough to take the place of the one in service."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_SUMMARY = ("model_version", "texts", "accuracy", "macro_f1", "size_bytes", "latency_ms")
_MOST_PROPERTIES, _LONGEST_PROPERTY = 50, 256
_UNTAKEN = re.compile(r"[^\w .:/=+\-@]")
_ROUNDING = 1e-9
"""Differences below it come from adding in another order."""


def judge(evaluation: Mapping[str, Any], margin: float) -> dict[str, Any]:
    """Return whether to ``promote`` the candidate, and the ``reason`` in words.

    Args:
        evaluation: What the evaluation wrote: ``candidate`` and ``in_service``, measured by the same texts.
        margin: By how much its macro-F1 must be better; 0: by anything.
    """
    candidate, in_service = evaluation["candidate"], evaluation.get("in_service")
    promote, reason = _verdict(candidate, in_service, margin)
    return {
        "promote": promote,
        "reason": " ".join(reason.split()),  # on one line, as the Model Registry takes it
        "model_version": evaluation["model_version"],
        "candidate": _summary(candidate),
        "in_service": None if in_service is None else _summary(in_service),
        "size_bytes": candidate["size_bytes"],
        "latency_ms": candidate["latency_ms"],
    }


def _verdict(candidate: Mapping[str, Any], in_service: Mapping[str, Any] | None, margin: float) -> tuple[bool, str]:
    score = f"macro-F1 {candidate['macro_f1']:.4f} on {candidate['texts']:,} test texts"
    if in_service is None:
        return True, f"{score}; there is no model in service to compare it with"
    if (error := in_service.get("error")) and in_service.get("unanswered", 0) >= in_service["texts"]:
        return False, f"{score}; the model in service cannot be measured, so nothing says that it is worse: {error}"
    difference = candidate["macro_f1"] - in_service["macro_f1"]
    compared = f"{score}, the model in service {in_service['macro_f1']:.4f}"
    if margin == 0:
        better = difference > _ROUNDING
        return better, f"{compared}: {_words(difference)}{'' if better else ', and it must be better'}"
    better = difference >= margin - _ROUNDING
    return better, f"{compared}: {_words(difference)}, and it must be better by {margin:g}"


def registry_properties(
    plan: Mapping[str, Any],
    judgement: Mapping[str, Any],
    facts: Mapping[str, str],
    hyperparameters: Mapping[str, str],
) -> dict[str, str]:
    """Return what the Model Registry keeps of a version, as far as it takes it.

    Args:
        plan: The training's plan.
        judgement: What :func:`judge` says.
        facts: What else is known, by name.
        hyperparameters: Those of the trial that won.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html
    """
    properties = {
        "training_id": plan["training_id"],
        "dataset": plan["dataset"],
        "model_version": judgement["model_version"],
        "accuracy": str(judgement["candidate"]["accuracy"]),
        "macro_f1": str(judgement["candidate"]["macro_f1"]),
        **facts,
        **{f"hyperparameter:{name}": value for name, value in hyperparameters.items()},
    }
    taken = {name: _UNTAKEN.sub("_", value)[:_LONGEST_PROPERTY] for name, value in properties.items() if value}
    return dict(list(taken.items())[:_MOST_PROPERTIES])


def _words(difference: float) -> str:
    if abs(difference) <= _ROUNDING:
        return "the same"
    return f"{'better' if difference > 0 else 'worse'} by {abs(difference):.4f}"


def _summary(measured: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is small enough to be handed on from state to state."""
    return {name: measured[name] for name in _SUMMARY if name in measured}
