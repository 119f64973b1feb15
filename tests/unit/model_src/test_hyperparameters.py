from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path

import choices
import jsonschema
import pytest
from hashing import Shape
from hyperparameters import PROPERTIES, HyperparameterError, Hyperparameters

SCHEMA = json.loads(Path(choices.__file__).with_name("hyperparameters.json").read_text(encoding="utf-8"))


def test_the_defaults_are_allowed() -> None:
    assert Hyperparameters() == Hyperparameters(
        ngram_min=1,
        ngram_max=4,
        word_ngram_max=2,
        max_features=150_000,
        regularization=0,
        loss="squared_hinge",
        text_features=False,
        seed=20240601,
    )


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"ngram_min": 0}, "ngram_min is 0: must be from 1 to 10"),
        ({"ngram_max": 11}, "ngram_max is 11: must be from 1 to 10"),
        ({"ngram_min": 5}, "ngram_min is 5: must not be above ngram_max, which is 4"),
        ({"word_ngram_max": -1}, "word_ngram_max is -1: must be from 0 to 5"),
        ({"word_ngram_max": 6}, "word_ngram_max is 6: must be from 0 to 5"),
        ({"max_features": 0}, "max_features is 0: must be from 1 to 2000000"),
        ({"regularization": 1e-7}, "regularization is 1e-07: must be 0 to choose it, or from 1e-06 to 1000000.0"),
        ({"regularization": -1.0}, "regularization is -1.0: must be 0 to choose it"),
        ({"regularization": float("nan")}, "regularization is nan"),
        ({"seed": -1}, "seed is -1: must be from 0 to 4294967295"),
        ({"loss": "perceptron"}, "loss is 'perceptron': must be one of log_loss, hinge, squared_hinge"),
    ],
)
def test_a_value_out_of_range_is_refused_with_what_is_allowed(changes: dict[str, object], problem: str) -> None:
    with pytest.raises(HyperparameterError) as caught:
        Hyperparameters(**changes)  # type: ignore[arg-type]
    assert problem in str(caught.value)


def test_all_wrong_values_are_named_at_once() -> None:
    with pytest.raises(HyperparameterError) as caught:
        Hyperparameters(ngram_min=0, max_features=-1, loss="l2")
    assert all(name in str(caught.value) for name in ("ngram_min", "max_features", "loss"))


def test_the_schema_is_a_json_schema_of_all_choices_and_their_defaults() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert [field.name for field in fields(Hyperparameters)] == list(PROPERTIES) == list(SCHEMA["properties"])
    jsonschema.validate(asdict(Hyperparameters()), SCHEMA)
    for schema in PROPERTIES.values():
        assert schema["description"].endswith(".")
        assert {"type", "default"} <= set(schema)
        assert ("minimum" in schema and "maximum" in schema) == (schema["type"] in ("integer", "number"))


def test_the_schema_of_the_pytorch_script_has_the_defaults_of_the_code_in_the_archive() -> None:
    schema = json.loads(Path(choices.__file__).with_name("torch_hyperparameters.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    defaults = {name: each["default"] for name, each in schema["properties"].items()}
    assert asdict(Shape()) == {field.name: defaults[field.name] for field in fields(Shape)}
    assert list(choices.problems(schema["properties"], defaults)) == []


@pytest.mark.parametrize(
    "values",
    [
        {"ngram_min": 0},
        {"ngram_max": 11},
        {"regularization": 1e-7},
        {"regularization": 1e-6},
        {"regularization": 1e6},
        {"regularization": 0},
        {"regularization": 2e6},
        {"loss": "hinge"},
        {"loss": "l2"},
        {"text_features": True},
        {"seed": 2**32},
        {"seed": 2**32 - 1},
        {"max_features": 2_000_000},
    ],
)
def test_who_checks_by_the_schema_allows_what_the_training_allows(values: dict[str, object]) -> None:
    try:
        Hyperparameters(**values)  # type: ignore[arg-type]
        allowed = True
    except HyperparameterError:
        allowed = False
    assert jsonschema.Draft202012Validator(SCHEMA).is_valid(values) == allowed
