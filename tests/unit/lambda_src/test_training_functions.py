"""The functions of the workflow, started as Lambda starts them, with what one hands on to the next."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws
from text_classification.gateways.calls import TimeBudget
from text_classification.gateways.datasets import S3Datasets

from tests.unit.lambda_src.stand_in import Handler, StandIn
from tests.unit.lambda_src.test_training_outcomes import completed, evaluation, failed
from tests.unit.lambda_src.training_world import BUCKET, RULES, World, json_lines, texts

ENVIRONMENT = {
    "BUCKET_NAME": BUCKET,
    "JOB_PREFIX": "train",
    "TRAINING_RULES": json.dumps({"hyperparameters": RULES.hyperparameters}),
    "PART_BYTES": "300",
}


@pytest.fixture
def world(aws: StandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    _ = aws
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket=BUCKET)
        yield World(datasets=S3Datasets(client=client, bucket=BUCKET, budget=TimeBudget(total_seconds=10)))


def passed_on(answer: Any) -> Any:
    """Return an answer as the next state gets it: Lambda makes JSON of it."""
    return json.loads(json.dumps(answer))


def test_a_training_goes_from_one_function_to_the_next(world: World, load: Callable[..., Handler]) -> None:
    world.put("datasets/d/a.jsonl", json_lines(texts("good", 10) | texts("spam", 10)))
    world.put("datasets/feedback/r-1-0.jsonl", json_lines({"new": "spam"}, source="feedback"))
    request = {"dataset": "datasets/d/", "trials": [{"ngram_max": 3}, {"ngram_max": 4}], "margin": 0.01}
    plan = passed_on(load("plan_training", **ENVIRONMENT)({"training_id": "t-1", "request": request}))
    parts = world.document(plan["parts"])
    assert len(parts) > 2

    check_part = load("check_dataset", "check_part", **ENVIRONMENT)
    counts = [passed_on(check_part({"part": part, "plan": plan})) for part in parts]
    assert sum(each["rows"] for each in counts) == 21
    assert sum(each["broken"] for each in counts) == 0
    combined = passed_on(load("check_dataset", "combine", **ENVIRONMENT)({"plan": plan}))
    assert (combined["rows"], combined["labels"]) == (21, {"good": 10, "spam": 11})

    ended = [
        {**completed(1, 0.9), "trial": plan["trials"][0]},
        {**failed(2, "it was killed"), "trial": plan["trials"][1]},
    ]
    selected = passed_on(load("select_trial")({"plan": plan, "trials": ended}))
    assert selected["best"]["name"] == "train-t-1-1"
    assert selected["best"]["hyperparameters"]["ngram_max"] == "3"
    assert selected["failed"] == [{"name": "train-t-1-2", "cause": "it was killed"}]

    world.put("trainings/t-1/evaluation/evaluation.json", json.dumps(evaluation(0.91, 0.90)))
    judge = load("judge_model", **ENVIRONMENT)
    judged = passed_on(
        judge(
            {
                "plan": plan,
                "evaluation": "trainings/t-1/evaluation/evaluation.json",
                "facts": {"dataset_hash": combined["dataset_hash"]},
                "hyperparameters": selected["best"]["hyperparameters"],
            }
        )
    )
    assert (judged["promote"], judged["model_version"]) == (True, "2-b")
    with pytest.raises(Exception, match="there is no trainings/t-1/evaluation/other"):
        judge({"plan": plan, "evaluation": "trainings/t-1/evaluation/other"})


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (
            {"training_id": "t-1", "state": "Train", "error": {"Error": "States.Timeout", "Cause": ""}},
            "States.Timeout: it took longer than it may",
        ),
        ({"training_id": "t-1", "error": {"Error": "E", "Cause": '{"errorMessage": "m"}'}}, "E: m"),
        ({"training_id": "t-1", "error": None}, "Error: for no reason that AWS told"),
        ({"training_id": "t-1", "error": "plain"}, "Error: plain"),
        ({}, "Error: for no reason that AWS told"),
    ],
)
def test_every_failure_is_explained(load: Callable[..., Handler], event: dict[str, Any], told: str) -> None:
    explained = load("explain_failure")(event)

    assert f"{explained['error']}: {explained['cause']}" == told
    assert told in explained["message"]
    assert len(explained["subject"]) <= 100


def test_what_breaks_the_rules_is_refused_by_name(world: World, load: Callable[..., Handler]) -> None:
    _ = world
    plan = load("plan_training", **ENVIRONMENT)
    with pytest.raises(Exception, match="epochs is not known") as refused:
        plan({"training_id": "t-1", "request": {"dataset": "datasets/d/", "hyperparameters": {"epochs": 1}}})
    # Step Functions catches errors by the names of their classes.
    assert type(refused.value).__name__ == "InvalidRequestError"
    with pytest.raises(Exception, match=r"has no \*\.jsonl") as missing:
        plan({"training_id": "t-1", "request": {"dataset": "datasets/d/"}})
    assert type(missing.value).__name__ == "DatasetError"


def test_parts_that_could_not_be_checked_are_told_with_the_first_cause(load: Callable[..., Any]) -> None:
    combine = load("check_dataset", "combine", **ENVIRONMENT)
    problems = ['{"errorMessage": "no memory left", "errorType": "Runtime.OutOfMemory"}', "another"]

    with pytest.raises(Exception, match="2 parts could not be checked: no memory left"):
        combine({"plan": {}, "problems": problems})
