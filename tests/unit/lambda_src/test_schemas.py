"""The JSON schema that API Gateway gets says the same as the request model in the handler."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft4Validator
from text_classification.logic.requests import InvalidRequestError, TooLargeError, parse_classification
from text_classification.schemas import CLASSIFICATION_REQUEST, classification_request

SCHEMA = json.loads(CLASSIFICATION_REQUEST.read_text(encoding="utf-8"))


def test_the_committed_schema_is_the_one_of_the_request_model() -> None:
    assert CLASSIFICATION_REQUEST.read_text(encoding="utf-8") == classification_request(), (
        "run `PYTHONPATH=lambda_src:model_src python -m text_classification.schemas`"
    )


def test_the_schema_is_of_draft_4_and_stands_alone() -> None:
    assert SCHEMA["$schema"] == "http://json-schema.org/draft-04/schema#"
    Draft4Validator.check_schema(SCHEMA)
    assert keywords(SCHEMA) <= {
        *("$schema", "title", "description", "default"),
        *("type", "required", "properties", "additionalProperties", "items", "enum"),
        *("minItems", "maxItems", "minLength", "maxLength"),
    }


def keywords(schema: dict[str, Any]) -> set[str]:
    nested = [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]
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
