"""What a training may be asked for: the body of ``POST /v1/trainings``, which the state machine is started with.

Checked twice, before it is started and when it plans, for it is started in other ways, too.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError, from_json

from text_classification.logic.hyperparameters import Schema, hyperparameter_problems, instance_problems, range_problems
from text_classification.logic.requests import InvalidRequestError, validated

_FRACTION = {"ge": 0.01, "le": 0.4, "allow_inf_nan": False}

Hyperparameters = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingRules:
    """What holds for the trainings of one stack.

    Args:
        hyperparameters: JSON schemas of those that the training script knows, by name.
        max_trials: How many trials a training has at most.
        max_instance_count: How many instances share the work of a training job at most.
        margin: By how much a new model must be better, where a request does not say it.
        approval: Whether somebody must approve a new model, where a request does not say it.
    """

    hyperparameters: Mapping[str, Schema]
    max_trials: int = 20
    max_instance_count: int = 4
    margin: float = 0.0
    approval: bool = False

    @classmethod
    def from_json(cls, document: str) -> TrainingRules:
        """Read the environment's ``TRAINING_RULES``."""
        return cls(**json.loads(document))


def _trials_shape(value: object) -> object:
    match value:
        case list() if all(isinstance(each, dict) for each in value):
            return value
        case dict() if all(isinstance(each, list) and each for each in value.values()):
            return value
    raise PydanticCustomError("trials", "neither a list of trials nor a grid")


_TRIALS_SCHEMA = {
    "description": (
        "Trials that run at the same time, of which the best wins: a list of hyperparameters, or a grid: for each "
        "hyperparameter the values to combine. Each is merged over `hyperparameters`. When omitted: one trial."
    ),
    "anyOf": [
        {"type": "array", "items": {"type": "object"}},
        {"type": "object", "additionalProperties": {"type": "array", "minItems": 1}},
    ],
}


def _no_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


class TrainingRequest(BaseModel):
    """The body of ``POST /v1/trainings``."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    dataset: Annotated[
        str,
        Field(
            pattern=r"^datasets/.+(/|\.jsonl|\.csv)$",
            max_length=256,  # as SageMaker takes it in a job's environment and a model package's properties
            description="An object with JSON lines or CSV in the artifacts' bucket, or a prefix of such objects.",
        ),
    ]
    hyperparameters: Annotated[
        dict[str, Any], Field(description="What the training script is told. When omitted: nothing.")
    ] = {}
    trials: Annotated[Any, AfterValidator(_trials_shape), WithJsonSchema(_TRIALS_SCHEMA)] = []
    instance_count: Annotated[int, Field(ge=1, description="How many instances share the work of a training job.")] = 1
    margin: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            allow_inf_nan=False,
            description=(
                "By how much the macro-F1 of the new model must be better than that of the one in service. "
                "When omitted: what the stack says."
            ),
            json_schema_extra=_no_default,
        ),
    ] = 0.0
    approval: Annotated[
        bool,
        Field(
            description="Whether somebody must approve the new model. When omitted: what the stack says.",
            json_schema_extra=_no_default,
        ),
    ] = False
    feedback: Annotated[bool, Field(description="Whether corrected labels are part of the training data.")] = True
    seed: Annotated[int, Field(ge=0, le=2**32 - 1, description="Of everything random.")] = 20240601
    validation: Annotated[
        float,
        Field(**_FRACTION, description="The part of the texts to choose among trials by; unless the data set has it."),
    ] = 0.1
    test: Annotated[
        float,
        Field(**_FRACTION, description="The part of the texts to judge the model by; unless the data set has it."),
    ] = 0.1

    @property
    def expanded_trials(self) -> list[Hyperparameters]:
        """The hyperparameters of each trial; of one, if none are asked for."""
        return [{**self.hyperparameters, **each} for each in _combinations(self.trials or [{}])]


def parse_training_body(body: bytes, rules: TrainingRules) -> TrainingRequest:
    """Return the request in a JSON body, in UTF-8.

    Raises:
        InvalidRequestError: The body is not JSON (saying where) or breaks rules (naming all).
    """
    try:
        document = from_json(body)
    except ValueError as error:
        raise InvalidRequestError([f"the body is not JSON: {error}"], kinds=["json_invalid"]) from None
    return parse_training(document, rules)


def parse_training(document: object, rules: TrainingRules) -> TrainingRequest:
    """Return the request that the state machine was started with.

    Raises:
        InvalidRequestError: It breaks rules; names all of them, and of an unknown hyperparameter those that are known.
    """
    problems: list[str] = []
    kinds: list[str] = []
    request = None
    try:
        request = validated(lambda: TrainingRequest.model_validate(_with_defaults(document, rules)), TrainingRequest)
    except InvalidRequestError as error:
        problems += error.problems
        kinds += error.kinds
    if isinstance(document, dict):
        against_rules = list(_problems(document, rules))
        problems += against_rules
        kinds += ["training_rules"] * bool(against_rules)
    if request is not None and not problems:
        problems += dict.fromkeys(
            problem for trial in request.expanded_trials for problem in _trial_problems(trial, request, rules)
        )
        kinds += ["training_rules"] * bool(problems)
    if request is None or problems:
        raise InvalidRequestError(problems, kinds=kinds)
    return request


def _with_defaults(document: object, rules: TrainingRules) -> object:
    if not isinstance(document, dict):
        return document
    return {"margin": rules.margin, "approval": rules.approval, **document}


def _problems(document: Mapping[str, Any], rules: TrainingRules) -> Iterator[str]:
    """Yield what a stack's own rules refuse; what is not even of the right type is passed over."""
    common = document.get("hyperparameters", {})
    if isinstance(common, dict):
        yield from hyperparameter_problems(common, rules.hyperparameters, "hyperparameters")
    count = document.get("instance_count")
    if isinstance(count, int) and count > rules.max_instance_count:
        yield f"instance_count is {count}: must be at most {rules.max_instance_count}"
    match document.get("trials"):
        case list() as trials:
            number = len(trials)
            for index, trial in enumerate(trials):
                if isinstance(trial, dict):
                    yield from hyperparameter_problems(trial, rules.hyperparameters, f"trials[{index}]")
        case dict() as grid if all(isinstance(values, list) for values in grid.values()):
            number = math.prod(map(len, grid.values()))
            for name, values in grid.items():
                found = [hyperparameter_problems({name: each}, rules.hyperparameters, "trials") for each in values]
                yield from dict.fromkeys(problem for problems in found for problem in problems)
        case _:
            return
    if number > rules.max_trials:
        yield f"trials are {number:,}: must be at most {rules.max_trials}"


def _trial_problems(trial: Hyperparameters, request: TrainingRequest, rules: TrainingRules) -> Iterator[str]:
    """Yield what is wrong with hyperparameters that are allowed one by one."""
    yield from range_problems(trial, rules.hyperparameters)
    if request.instance_count > 1:
        yield from instance_problems(trial, rules.hyperparameters)


def _combinations(trials: Sequence[Hyperparameters] | Mapping[str, Sequence[Any]]) -> list[Hyperparameters]:
    if isinstance(trials, Mapping):
        return [dict(zip(trials, values, strict=True)) for values in product(*trials.values())]
    return list(trials)
