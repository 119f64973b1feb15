"""Checks a data set: ``check_part`` is called for each of the parts that were planned, and ``combine`` after them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from text_classification.handlers.telemetry import logger, tracer
from text_classification.handlers.training_gateways import datasets
from text_classification.logic import dataset_check
from text_classification.logic.dataset_combination import Combination
from text_classification.logic.failures import explain

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

tracer.patch(["botocore"])
_datasets = datasets(os.environ)


class PartsFailedError(Exception):
    """Parts of a data set could not be checked, which says nothing about the data set."""


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler
def check_part(event: Mapping[str, Any], _context: LambdaContext) -> dict[str, int]:
    """Check one part and write its rows and findings under ``trainings/work/<training_id>/parts/``. May be repeated.

    Args:
        event: ``{"part": …, "plan": …}``, see :class:`~text_classification.logic.dataset_pieces.DatasetPart`.

    Returns:
        How many ``rows`` are fine, and how many are ``broken``.
    """
    counts = dataset_check.check_part(event["part"], event["plan"]["work"], _datasets)
    logger.info("checked", rows=counts["rows"], broken=counts["broken"])
    return counts


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler
def combine(event: Mapping[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Write the report, and the training data split and sharded. May be repeated.

    Args:
        event: ``{"plan": …, "problems": […]}``, the causes of parts that could not be checked.

    Returns:
        How many ``rows`` there are, for ``train``, ``validation`` and ``test``, and for each of the ``labels``; how
        many ``duplicates`` and ``conflicts`` were left out; the ``dataset_hash`` and the key of the ``report``.

    Raises:
        PartsFailedError: Parts could not be checked.
        DatasetError: It cannot be trained with; the message says why, with the first rows, and where the report is.
    """
    if problems := event.get("problems"):
        raise PartsFailedError(f"{len(problems)} parts could not be checked: {explain(None, problems[0]).cause}")
    combined = Combination(plan=event["plan"], datasets=_datasets).run()
    logger.info("combined", rows=combined["rows"], labels=len(combined["labels"]))
    return combined
