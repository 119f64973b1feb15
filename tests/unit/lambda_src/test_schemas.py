"""The JSON schema that API Gateway gets says the same as the request model in the handler."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft4Validator
from text_classification.logic.feedback import parse_feedback
from text_classification.logic.requests import InvalidRequestError, TooLargeError, parse_classification
from text_classification.logic.training_requests import TrainingRules, parse_training_body
from text_classification.schemas import CLASSIFICATION_REQUEST, FEEDBACK_REQUEST, MODELS, TRAINING_REQUEST, schema

SCHEMA = json.loads(CLASSIFICATION_REQUEST.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_the_committed_schema_is_the_one_of_the_request_model(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == schema(MODELS[path]), (
        "run `PYTHONPATH=lambda_src:model_src python -m text_classification.schemas`"
    )


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_the_schema_is_of_draft_4_and_stands_alone(path: Path) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["$schema"] == "http://json-schema.org/draft-04/schema#"
    Draft4Validator.check_schema(document)
    assert keywords(document) <= {
        *("$schema", "title", "description", "default"),
        *("type", "required", "properties", "additionalProperties", "items", "enum"),
        *("minItems", "maxItems", "minLength", "maxLength"),
        *("minimum", "maximum", "pattern", "anyOf"),
    }


def keywords(schema: dict[str, Any]) -> set[str]:
    extra = schema.get("additionalProperties")
    nested = [
        *schema.get("properties", {}).values(),
        *([schema["items"]] if "items" in schema else []),
        *schema.get("anyOf", []),
        *([extra] if isinstance(extra, dict) else []),
    ]
    return set(schema).union(*map(keywords, nested))


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
ANYTHING = st.none() | st.booleans() | st.integers() | TEXT | st.lists(TEXT) | st.dictionaries(TEXT, TEXT)


@given(
    body=st.fixed_dictionaries(
        {},
        optional={
            "texts": st.lists(TEXT | st.sampled_from(["x" * 10_000, "x" * 10_001])) | ANYTHING,
            "language": st.sampled_from(["auto", "en", "zh", "fr"]) | ANYTHING,
            "annotations": st.booleans() | ANYTHING,
            "other": ANYTHING,
        },
    )
    | ANYTHING
)
def test_the_schema_and_the_handler_accept_the_same_bodies(body: object) -> None:
    try:
        parse_classification(json.dumps(body).encode())
    except TooLargeError:
        accepted = True  # JSON schema has no word for a sum: the handler alone can tell
    except InvalidRequestError:
        accepted = False
    else:
        accepted = True
    assert Draft4Validator(SCHEMA).is_valid(body) is accepted


@pytest.mark.parametrize(("count", "valid"), [(0, False), (1, True), (100, True), (101, False)])
def test_the_schema_limits_the_number_of_texts(count: int, valid: bool) -> None:
    assert Draft4Validator(SCHEMA).is_valid({"texts": ["a"] * count}) is valid


@given(
    body=st.fixed_dictionaries(
        {},
        optional={
            "dataset": st.sampled_from(["datasets/d/", "datasets/d.csv", "datasets/d", "d/", "datasets//"]) | ANYTHING,
            "hyperparameters": st.just({}) | ANYTHING,
            "trials": st.lists(st.just({})) | st.just({"loss": []}) | ANYTHING,
            "instance_count": st.integers(-1, 2) | ANYTHING,
            "margin": st.floats(-0.5, 1.5) | ANYTHING,
            "approval": ANYTHING,
            "feedback": ANYTHING,
            "seed": st.integers(-1, 2**32) | ANYTHING,
            "validation": st.floats(0, 1) | ANYTHING,
            "test": st.sampled_from([0.01, 0.4, 0.41]) | ANYTHING,
            "other": ANYTHING,
        },
    )
    | ANYTHING
)
def test_the_schema_of_trainings_and_the_handler_accept_the_same_bodies_but_for_hyperparameters(
    body: object,
) -> None:
    rules = TrainingRules(hyperparameters={}, max_trials=10**9, max_instance_count=10**9)
    valid = Draft4Validator(json.loads(TRAINING_REQUEST.read_text(encoding="utf-8"))).is_valid(body)
    kinds: list[str] = []
    try:
        parse_training_body(json.dumps(body).encode(), rules)
    except InvalidRequestError as error:
        kinds = error.kinds
    # Which hyperparameters there are, the handler alone can tell.
    assert valid is (not set(kinds) - {"training_rules"})


@given(
    body=st.fixed_dictionaries(
        {},
        optional={
            "request_id": st.just("5e0a6f6c-0b7e-4f2a-9a51-3f1a2b3c4d5e") | ANYTHING,
            "index": st.integers(-1, 3) | ANYTHING,
            "label": st.sampled_from(["good", "x" * 257]) | ANYTHING,
            "other": ANYTHING,
        },
    )
    | ANYTHING
)
def test_the_schema_of_feedback_and_the_handler_accept_the_same_bodies(body: object) -> None:
    try:
        parse_feedback(json.dumps(body).encode())
    except InvalidRequestError as error:
        accepted = error.kinds == ["blank"]  # JSON schema has no good word for it: the handler alone can tell
    else:
        accepted = True
    assert Draft4Validator(json.loads(FEEDBACK_REQUEST.read_text(encoding="utf-8"))).is_valid(body) is accepted
