"""Judges a new model by its evaluation, a key, and the plan; ``facts`` and ``hyperparameters`` are for the registry."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from text_classification.handlers.telemetry import logger, tracer
from text_classification.handlers.training_gateways import datasets
from text_classification.logic.judgement import judge, registry_properties

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

tracer.patch(["botocore"])
_datasets = datasets(os.environ)


class EvaluationMissingError(Exception):
    """The evaluation wrote nothing where it should have."""


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler
def handler(event: Mapping[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Return whether to ``promote`` the model and the ``reason``, with what was measured, and its ``properties``.

    Raises:
        EvaluationMissingError: There is no evaluation under that key.
    """
    content = _datasets.content(event["evaluation"])
    if content is None:
        raise EvaluationMissingError(f"there is no {event['evaluation']}")
    judgement = judge(json.loads(content), event["plan"]["margin"])
    logger.info("judged", promote=judgement["promote"], model_version=judgement["model_version"])
    properties = registry_properties(event["plan"], judgement, event["facts"], event["hyperparameters"])
    return {**judgement, "properties": properties}
