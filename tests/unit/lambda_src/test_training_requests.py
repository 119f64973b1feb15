"""What a training may be asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from text_classification.logic.hyperparameters import hyperparameter_problems
from text_classification.logic.requests import InvalidRequestError
from text_classification.logic.training_requests import TrainingRules, parse_training, parse_training_body

from tests.unit.lambda_src.training_world import RULES, World, json_lines, texts, world_in_memory

KNOWN = "the training script knows loss, ngram_max, ngram_min, regularization, seed, text_features"


def refusal(**request: Any) -> list[str]:
    with pytest.raises(InvalidRequestError) as refused:
        parse_training_body(json.dumps({"dataset": "datasets/d/", **request}).encode(), RULES)
    return list(refused.value.problems)


def test_a_data_set_is_all_that_a_request_needs() -> None:
    request = parse_training_body(b'{"dataset": "datasets/d/"}', RULES)

    assert (request.instance_count, request.margin, request.approval, request.feedback) == (1, 0.0, False, True)
    assert (request.seed, request.validation, request.test) == (20240601, 0.1, 0.1)
    assert request.expanded_trials == [{}]


def test_margin_and_approval_are_what_the_stack_says_unless_the_request_does() -> None:
    rules = TrainingRules(hyperparameters={}, margin=0.02, approval=True)
    asked = {"dataset": "datasets/d/", "margin": 0, "approval": False}

    assert parse_training({"dataset": "datasets/d/"}, rules).margin == 0.02
    assert parse_training({"dataset": "datasets/d/"}, rules).approval is True
    assert (parse_training(asked, rules).margin, parse_training(asked, rules).approval) == (0, False)


def test_all_problems_are_told_at_once() -> None:
    assert refusal(
        dataset="models/x",
        hyperparameters={"epochs": 3, "ngram_max": "3", "loss": "l2"},
        trials=[{"regularization": -1}, {"text_features": 1}],
        instance_count=3,
        margin=-1,
        seeds=1,
    ) == [
        'dataset is "models/x": must match ^datasets/.+(/|\\.jsonl|\\.csv)$',
        "margin is -1: must be at least 0.0",
        "seeds is not known: allowed are dataset, hyperparameters, trials, instance_count, margin, approval, feedback, "
        "seed, validation, test",
        f"hyperparameters.epochs is not known: {KNOWN}",
        'hyperparameters.ngram_max is "3": must be a whole number from 1 to 10',
        'hyperparameters.loss is "l2": must be one of log_loss, hinge, squared_hinge',
        "instance_count is 3: must be at most 2",
        "trials[0].regularization is -1: must be 0 or a number from 1e-06 to 1000000.0",
        "trials[1].text_features is 1: must be true or false",
    ]


@pytest.mark.parametrize(
    ("request_fields", "problem"),
    [
        ({"trials": 3}, "trials is 3: must be a list of objects such as"),
        ({"trials": [3]}, "trials is a list: must be a list of objects such as"),
        ({"trials": {"loss": "hinge"}}, "trials is an object: must be a list of objects such as"),
        ({"trials": {"loss": []}}, "trials is an object: must be a list of objects such as"),
        ({"trials": [{}] * 5}, "trials are 5: must be at most 4"),
        ({"trials": {"ngram_max": [1, 2, 3], "seed": [1, 2]}}, "trials are 6: must be at most 4"),
        ({"trials": {"loss": ["l2", "hinge"]}}, 'trials.loss is "l2": must be one of log_loss, hinge, squared_hinge'),
        ({"instance_count": 1.5}, "instance_count is 1.5: must be a whole number"),
        ({"instance_count": True}, "instance_count is true: must be a whole number"),
        ({"margin": "0.1"}, 'margin is "0.1": must be a number'),
        ({"margin": float("nan")}, "margin is NaN: must be a number"),
        ({"validation": 0.5}, "validation is 0.5: must be at most 0.4"),
        ({"seed": -1}, "seed is -1: must be at least 0"),
        ({"approval": "yes"}, 'approval is "yes": must be true or false'),
        ({"hyperparameters": [1]}, "hyperparameters is a list: must be an object"),
        ({"hyperparameters": {"ngram_max": float("inf")}}, "hyperparameters.ngram_max is Infinity: must be a whole"),
        ({"hyperparameters": {"ngram_max": True}}, "hyperparameters.ngram_max is true: must be a whole number"),
        ({"hyperparameters": {"regularization": float("nan")}}, "hyperparameters.regularization is NaN: must be 0 or"),
        ({"hyperparameters": {"loss": {"a": 1}}}, "hyperparameters.loss is an object: must be one of"),
    ],
)
def test_each_problem_is_told_in_words(request_fields: dict[str, Any], problem: str) -> None:
    (told,) = refusal(**request_fields)

    assert told.startswith(problem)


@pytest.mark.parametrize(
    ("fields", "problems"),
    [
        ({"hyperparameters": {"ngram_min": 4}}, []),
        ({"hyperparameters": {"ngram_min": 5}}, ["ngram_min is 5: must not be above ngram_max, which is 4"]),
        ({"hyperparameters": {"ngram_min": 5}, "trials": [{"ngram_max": 6}, {"ngram_min": 1}]}, []),
        (
            {"hyperparameters": {"ngram_min": 3}, "trials": {"ngram_max": [2, 3]}},
            ["ngram_min is 3: must not be above ngram_max, which is 2"],
        ),
    ],
)
def test_a_range_that_ends_before_it_begins_is_told_of_each_trial(fields: dict[str, Any], problems: list[str]) -> None:
    if problems:
        assert refusal(**fields) == problems
    else:
        parse_training({"dataset": "datasets/d/", **fields}, RULES)


def test_what_several_instances_cannot_do_is_refused_before_they_are_paid_for() -> None:
    hinge = {"hyperparameters": {"loss": "hinge"}}

    assert refusal(**hinge, trials=[{}, {"loss": "log_loss"}], instance_count=2) == [
        'loss is "hinge": must be another one where instance_count is above 1'
    ]
    parse_training({"dataset": "datasets/d/", **hinge}, RULES)


@pytest.mark.parametrize(
    ("body", "problem"), [(b"{", "the body is not JSON: "), (b"[]", "the body is a list: must be")]
)
def test_a_body_that_is_no_object_is_refused(body: bytes, problem: str) -> None:
    with pytest.raises(InvalidRequestError, match=problem):
        parse_training_body(body, RULES)


@pytest.mark.parametrize(
    ("value", "schema", "allowed"),
    [
        (2, {"type": "number", "exclusiveMinimum": 2}, "a number above 2"),
        (1, {"type": "number", "exclusiveMaximum": 1, "minimum": 0}, "a number from 0 below 1"),
        (True, {"enum": [1, 2]}, "one of 1, 2"),
        ("a b", {"type": "string", "pattern": "^\\w+$"}, "a string that matches ^\\w+$ of at most 2,500 characters"),
        ([1], {}, "a single value"),
        (float("inf"), {"type": "number"}, "a number"),
    ],
)
def test_schemas_say_what_is_allowed(value: object, schema: dict[str, Any], allowed: str) -> None:
    (problem,) = hyperparameter_problems({"x": value}, {"x": schema}, "h")

    assert problem.endswith(f": must be {allowed}")


@pytest.mark.parametrize(
    ("value", "schema"),
    [
        (0, {"anyOf": [{"const": 0}, {"minimum": 1}], "type": "number"}),
        (0.0, {"anyOf": [{"const": 0}, {"minimum": 1}], "type": "number"}),
        (3, {"type": ["integer", "string"]}),
        ("auto", {"type": ["integer", "string"]}),
        (3, {"type": "number", "minimum": 3, "maximum": 3}),
    ],
)
def test_schemas_take_what_they_allow(value: object, schema: dict[str, Any]) -> None:
    assert list(hyperparameter_problems({"x": value}, {"x": schema}, "h")) == []


def plan(world: World, **request: Any) -> dict[str, Any]:
    world.put("datasets/d/a.jsonl", json_lines(texts("good", 3)))
    return world.plan(**request)


def test_trials_are_merged_over_the_hyperparameters_and_these_over_the_defaults_as_strings() -> None:
    with world_in_memory() as world:
        planned = plan(
            world,
            hyperparameters={"ngram_max": 3, "text_features": True},
            trials=[{"ngram_max": 4}, {"loss": "hinge", "regularization": 1e-05}],
            seed=7,
        )

    asked_or_default = {
        "ngram_min": "1",
        "ngram_max": "3",
        "loss": "squared_hinge",
        "regularization": "0.0",
        "text_features": "true",
        "seed": "7",
    }
    assert planned["trials"] == [
        {"name": "train-t-1-1", "hyperparameters": {**asked_or_default, "ngram_max": "4"}},
        {"name": "train-t-1-2", "hyperparameters": {**asked_or_default, "loss": "hinge", "regularization": "1e-05"}},
    ]
    assert {name: planned[name] for name in planned.keys() - {"trials"}} == {
        "training_id": "t-1",
        "dataset": "datasets/d/",
        "prefix": "trainings/t-1/",
        "work": "trainings/work/t-1/",
        "parts": "trainings/work/t-1/parts.json",
        "seed": 7,
        "validation": 0.1,
        "test": 0.1,
        "feedback": True,
        "evaluation_job": "train-t-1-eval",
        "promotion": "t-1",
        "instance_count": 1,
        "margin": 0.0,
        "approval": False,
        "ignored": [],
    }


def test_a_grid_has_each_combination() -> None:
    with world_in_memory() as world:
        planned = plan(world, trials={"loss": ["log_loss", "hinge"], "ngram_max": [3, 4]})

    assert [(each["hyperparameters"]["loss"], each["hyperparameters"]["ngram_max"]) for each in planned["trials"]] == [
        ("log_loss", "3"),
        ("log_loss", "4"),
        ("hinge", "3"),
        ("hinge", "4"),
    ]
