"""The documentation's examples: those in docstrings, and the model that the endpoint example serves."""

from __future__ import annotations

import doctest
import importlib
import json
import runpy
from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns

import sm_constructs

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
PACKAGE = Path(sm_constructs.__file__).parent
MODULES = [
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    for path in sorted(PACKAGE.rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("module", MODULES)
def test_docstrings_say_what_happens(module: str, stack: cdk.Stack) -> None:
    names = {name: getattr(sm_constructs, name) for name in sm_constructs.__all__}
    surroundings = {
        **names,
        "RemovalPolicy": cdk.RemovalPolicy,
        "stack": stack,
        "bucket": s3.Bucket.from_bucket_name(stack, "Models", "models"),
        "role": iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com")),
        "topic": sns.Topic(stack, "Topic"),
        "model_directory": EXAMPLES / "model",
    }

    result = doctest.testmod(
        importlib.import_module(f"sm_constructs.{module}"),
        extraglobs=surroundings,
        optionflags=doctest.NORMALIZE_WHITESPACE,
    )

    assert result.attempted > 0
    assert result.failed == 0


def test_the_examples_model_answers_as_the_endpoints_payload_says() -> None:
    inference = runpy.run_path(str(EXAMPLES / "model" / "code" / "inference.py"))
    keywords = inference["model_fn"](str(EXAMPLES / "model"))

    texts = inference["input_fn"](json.dumps({"texts": ["click for a free prize", "thanks for the patch"]}), "")
    answer = json.loads(inference["output_fn"](inference["predict_fn"](texts, keywords), ""))

    assert [result["label"] for result in answer["results"]] == ["spam", "not spam"]
    assert all(sum(result["scores"].values()) == pytest.approx(1) for result in answer["results"])
