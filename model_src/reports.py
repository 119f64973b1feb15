"""What SageMaker shows of an evaluation: metrics of a model package, and the content of a model card.

The shapes are AWS's: "Model quality metrics" of SageMaker Model Monitor, which the model registry shows, and the "model
card JSON schema" of SageMaker Model Cards. A card may have 100,000 characters, so of more than 20 labels only the 20
with the lowest F1 score are in it, and no confusion matrix; ``evaluation.json`` has all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from judged import Judged
from measuring import Measured

_MOST_LABELS = 20


def registry_metrics(judged: Judged) -> dict[str, object]:
    """Return ``metrics.json`` for ``ModelMetrics.ModelQuality.Statistics`` of a model package.

    The standard deviation of the accuracy is that of a share of so many texts; of other values it is not known.
    """
    weights = [scores.support / judged.texts for scores in judged.per_label]

    def weighted(values: Sequence[float]) -> float:
        return sum(weight * value for weight, value in zip(weights, values, strict=True))

    values = {
        "weighted_recall": weighted([scores.recall for scores in judged.per_label]),
        "weighted_precision": weighted([scores.precision for scores in judged.per_label]),
        "weighted_f1": weighted([scores.f1 for scores in judged.per_label]),
        "macro_f1": judged.macro_f1,
    }
    deviation = math.sqrt(judged.accuracy * (1 - judged.accuracy) / judged.texts)
    return {
        "multiclass_classification_metrics": {
            "confusion_matrix": {
                label: dict(zip(judged.labels, row, strict=True))
                for label, row in zip(judged.labels, judged.matrix, strict=True)
            },
            "accuracy": {"value": judged.accuracy, "standard_deviation": deviation},
            **{name: {"value": value, "standard_deviation": "NaN"} for name, value in values.items()},
        }
    }


def model_card(
    candidate: Measured, in_service: Measured | None, *, metadata: Mapping[str, Any], run: Mapping[str, str]
) -> dict[str, object]:
    """Return the content of a model card.

    Args:
        candidate: The model that the card is about.
        in_service: What it was compared with, on the same texts.
        metadata: Its ``metadata.json``.
        run: Where it comes from: ``training_id``, ``dataset``, ``dataset_hash`` and ``format``.
    """
    choices = metadata.get("hyperparameters") or {**metadata.get("shape", {}), **metadata.get("training", {})}
    algorithm = "PyTorch network over hashed n-grams" if "torch" in metadata else "Linear model over n-grams"
    details: dict[str, object] = {
        "training_observations": f"Trained on {metadata['texts']} texts.",
        "training_job_details": {
            "training_datasets": [run["dataset"]] if run.get("dataset") else [],
            "user_provided_hyper_parameters": [
                {"name": name, "value": str(value)} for name, value in sorted(choices.items())
            ],
            "user_provided_training_metrics": _channel_metrics(metadata),
        },
    }
    loss = choices.get("loss", "cross_entropy")
    details["objective_function"] = {"function": {"function": "Minimize", "facet": "Loss"}, "notes": loss}
    return {
        "model_overview": {
            "model_description": f"Classifies texts as one of {len(metadata['labels'])} labels. "
            f"Model version {candidate.model_version}.",
            "problem_type": "Multiclass Classification" if len(metadata["labels"]) > 2 else "Binary Classification",
            "algorithm_type": algorithm,
        },
        "intended_uses": {
            "purpose_of_model": "Text classification",
            "intended_uses": "Texts like those of the data set that it was trained on, in its languages. "
            "It always answers with one of its labels: a text of another kind gets one of them, too.",
            "risk_rating": "Unknown",
            "explanations_for_risk_rating": "Nobody has rated the risk of this use yet.",
        },
        "training_details": details,
        "evaluation_details": [
            _evaluation("Held-out texts", candidate, run),
            *([_evaluation("The model in service on the same texts", in_service, run)] if in_service else []),
        ],
        "additional_information": {
            "custom_details": {
                name: str(value)
                for name, value in {**run, "model_version": candidate.model_version}.items()
                if value is not None
            }
        },
    }


def _evaluation(name: str, measured: Measured, run: Mapping[str, str]) -> dict[str, object]:
    judged = measured.judged
    numbers: dict[str, float | None] = {
        "accuracy": judged.accuracy,
        "macro_f1": judged.macro_f1,
        "texts": judged.texts,
        "unanswered": judged.unanswered,
        "latency_p50_ms": measured.p50,
        "latency_p95_ms": measured.p95,
        "archive_bytes": measured.size_bytes,
    }
    groups = [_group("overall", numbers)]
    for language, of_language in measured.languages.items():
        values = {"texts": of_language.texts, "accuracy": of_language.accuracy, "macro_f1": of_language.macro_f1}
        groups.append(_group(f"language {language}", values))
    worst_first = sorted(zip(judged.labels, judged.per_label, strict=True), key=lambda pair: pair[1].f1)
    for label, scores in worst_first[:_MOST_LABELS]:
        values = {"precision": scores.precision, "recall": scores.recall, "f1": scores.f1, "support": scores.support}
        groups.append(_group(f"label {label}", values))
    if len(judged.labels) <= _MOST_LABELS:
        groups.append({"name": "confusion", "metric_data": [_matrix(judged)]})
    return {
        "name": name,
        "evaluation_observation": f"Model version {measured.model_version}."
        + (f" {judged.unanswered} texts got no answer: {measured.error}"[:1000] if measured.error else ""),
        "datasets": [run["dataset"]] if run.get("dataset") else [],
        "metric_groups": groups,
    }


def _group(name: str, values: Mapping[str, float | None]) -> dict[str, object]:
    return {
        "name": name,
        "metric_data": [
            {"name": metric, "type": "number", "value": value} for metric, value in values.items() if value is not None
        ],
    }


def _matrix(judged: Judged) -> dict[str, object]:
    return {
        "name": "confusion_matrix",
        "type": "matrix",
        "value": judged.matrix,
        "x_axis_name": judged.labels,
        "y_axis_name": judged.labels,
        "notes": "A row for each label that texts have, a column for each that they got.",
    }


def _channel_metrics(metadata: Mapping[str, Any]) -> list[dict[str, object]]:
    measured = metadata.get("validation", {}).get("all", {})
    return [{"name": f"validation:{name}", "value": value} for name, value in measured.items() if name != "texts"]
