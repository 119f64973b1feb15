"""Annotates a data set in S3: ``plan`` cuts it into parts, ``annotate_part`` is called for each of them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import boto3
from textprep import LANGUAGES, Language

from text_classification.gateways.calls import TimeBudget
from text_classification.gateways.datasets import S3Datasets
from text_classification.gateways.preprocessor import Annotator, FunctionAnnotator
from text_classification.handlers.telemetry import logger, tracer
from text_classification.logic.dataset_annotation import annotated
from text_classification.logic.dataset_parts import lines, parts
from text_classification.logic.requests import InvalidRequestError, parse_dataset_annotation

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

# One call at a time; a function's first one waits for it to load its model.
_BUDGET = TimeBudget(total_seconds=60)


def gateways(environment: Mapping[str, str]) -> tuple[S3Datasets, dict[Language, Annotator]]:
    """Return the data sets, and what calls the functions that annotate, by their language.

    Args:
        environment: ``DATASET_BUCKET``; ``PREPROCESSOR_FUNCTION_EN`` and ``PREPROCESSOR_FUNCTION_ZH``, where there are
            such functions.
    """
    config = _BUDGET.client_config()
    datasets = S3Datasets(
        client=boto3.client("s3", config=config), bucket=environment["DATASET_BUCKET"], budget=_BUDGET
    )
    client = boto3.client("lambda", config=config)
    return datasets, {
        language: FunctionAnnotator(client=client, function_name=name, budget=_BUDGET)
        for language in LANGUAGES
        if (name := environment.get(f"PREPROCESSOR_FUNCTION_{language.upper()}"))
    }


tracer.patch(["botocore"])
_datasets, _annotators = gateways(os.environ)
_part_bytes = int(os.environ["PART_BYTES"])


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler
def plan(event: object, _context: LambdaContext) -> dict[str, object]:
    """Write the list of a data set's parts to ``<output>plan.json`` and return where it is.

    Args:
        event: ``{"dataset": "datasets/…", "output": "datasets/…/"}``: an object with JSON lines, or a prefix of such
            objects, and the prefix that the annotated lines go to.

    Raises:
        InvalidRequestError: The event breaks the rules, or there is no such data set.
    """
    request = parse_dataset_annotation(event)
    found = [(key, size) for key, size in _datasets.sizes(request.dataset) if key.endswith(".jsonl")]
    planned = list(parts(found, request.dataset, _part_bytes))
    if not planned:
        raise InvalidRequestError([f"{request.dataset} has no *.jsonl with anything in it"], kinds=["dataset_missing"])
    key = f"{request.output}plan.json"
    _datasets.write(key, json.dumps(planned).encode())
    logger.info("planned", parts=len(planned))
    return {"plan": key, "output": request.output, "parts": len(planned)}


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler
def annotate_part(event: Mapping[str, Any], _context: LambdaContext) -> dict[str, int]:
    """Annotate the lines of one part and write them to ``<output><name of the part>``. May be repeated.

    Args:
        event: ``{"part": …, "output": "datasets/…/"}``, see :class:`~text_classification.logic.dataset_parts.Part`.

    Returns:
        How many ``lines`` there were, and how many of them were ``refused``.
    """
    part = event["part"]
    rows = annotated(lines(part, lambda start, end: _datasets.read(part["key"], start, end)), _annotators)
    content = "".join(f"{json.dumps(each, ensure_ascii=False)}\n" for each in rows)
    # A half of a surrogate pair, which JSON can escape, is no text: it goes on escaped.
    _datasets.write(event["output"] + part["name"], content.encode(errors="backslashreplace"))
    refused = sum("error" in each["annotations"] for each in rows)
    logger.info("annotated", lines=len(rows), refused=refused)
    return {"lines": len(rows), "refused": refused}
