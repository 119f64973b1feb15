"""What a training is going to do, made of what it was asked for before anything is started that costs money."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from text_classification.gateways.datasets import Datasets
from text_classification.logic.dataset_combination import DatasetError
from text_classification.logic.dataset_pieces import FEEDBACK_PREFIX, DatasetObjects, dataset_objects, dataset_parts
from text_classification.logic.execution_names import check_name, short_name
from text_classification.logic.hyperparameters import as_strings
from text_classification.logic.training_requests import (
    Hyperparameters,
    TrainingRequest,
    TrainingRules,
    parse_training,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Planner:
    """Plans the trainings of one stack.

    Args:
        datasets: Where data sets are.
        rules: What trainings may be asked for.
        job_prefix: What the names of jobs begin with.
        part_bytes: How many bytes of a data set are checked by one call.
    """

    datasets: Datasets
    rules: TrainingRules
    job_prefix: str
    part_bytes: int

    def plan(self, training_id: object, document: object) -> dict[str, Any]:
        """Write the list of the data set's parts and return the plan.

        Raises:
            InvalidRequestError: The request or the id of the training breaks rules.
            DatasetError: There is no such data set, or nothing in it.
            GatewayError: S3 failed.
        """
        identifier = check_name(training_id, kind="training_id")
        request = parse_training(document, self.rules)
        objects = self._objects(request)
        name = f"{self.job_prefix}-{short_name(identifier)}"
        prefix = f"trainings/{identifier}/"
        work = f"trainings/work/{identifier}/"
        parts = f"{work}parts.json"
        listed = list(dataset_parts(objects.pieces, self.part_bytes))
        self.datasets.write(parts, json.dumps(listed).encode())
        return {
            "training_id": identifier,
            "dataset": request.dataset,
            "prefix": prefix,
            "work": work,
            "parts": parts,
            "seed": request.seed,
            "validation": request.validation,
            "test": request.test,
            "feedback": request.feedback,
            "trials": [
                {"name": f"{name}-{number}", "hyperparameters": self._strings(each, request)}
                for number, each in enumerate(request.expanded_trials, start=1)
            ],
            "evaluation_job": f"{name}-eval",
            "promotion": short_name(identifier),
            "instance_count": request.instance_count,
            "margin": request.margin,
            "approval": request.approval,
            "ignored": objects.ignored,
        }

    def _objects(self, request: TrainingRequest) -> DatasetObjects:
        feedback = self.datasets.sizes(FEEDBACK_PREFIX) if request.feedback else ()
        objects = dataset_objects(request.dataset, self.datasets.sizes(request.dataset), feedback, self.part_bytes)
        if not any(piece["source"] == "dataset" for piece in objects.pieces):
            others = f" (but {', '.join(objects.ignored)})" if objects.ignored else ""
            raise DatasetError(f"{request.dataset} has no *.jsonl and no *.csv with anything in it{others}")
        return objects

    def _strings(self, hyperparameters: Hyperparameters, request: TrainingRequest) -> Mapping[str, str]:
        """Return all hyperparameters of a trial: its job and the Model Registry show the defaults, too."""
        known = self.rules.hyperparameters
        defaults = {name: schema["default"] for name, schema in known.items() if schema.get("default") is not None}
        seed = {"seed": request.seed} if "seed" in known else {}
        return as_strings({**defaults, **seed, **hyperparameters})
