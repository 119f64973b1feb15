"""The custom resource that gives the result database its schema."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import boto3

from text_classification.gateways.calls import TimeBudget
from text_classification.gateways.cloudformation import answer
from text_classification.gateways.data_api import DataApi
from text_classification.gateways.errors import GatewayError, RejectedError
from text_classification.handlers.telemetry import logger, tracer
from text_classification.logic.migrations import MigrationError, migrate, read_migrations, wait_until_awake
from text_classification.logic.sql_classification import define_classify, remove_classify
from text_classification.migrations import DIRECTORY

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

_STATEMENT_SECONDS = 60.0  # the Data API itself ends a statement after 45
_PATIENCE_SECONDS = 300.0


def database(environment: Mapping[str, str]) -> DataApi:
    """Return the database that ``CLUSTER_ARN``, ``SECRET_ARN`` and ``DATABASE_NAME`` name.

    Raises:
        KeyError: One of them is not set.
    """
    budget = TimeBudget(total_seconds=_STATEMENT_SECONDS)
    return DataApi(
        client=boto3.client("rds-data", config=budget.client_config()),
        cluster_arn=environment["CLUSTER_ARN"],
        secret_arn=environment["SECRET_ARN"],
        database=environment["DATABASE_NAME"],
        budget=budget,
    )


_database = database(os.environ)


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
def handler(event: Mapping[str, Any], _context: LambdaContext) -> None:
    """Bring the schema up to date, and tell CloudFormation, which rolls back when that fails.

    When the resource is deleted the schema stays: it goes with its database.
    """
    problem = None
    if event["RequestType"] != "Delete":
        problem = _problem_of_update(event["ResourceProperties"])
    answer(event, physical_id=f"{_database.cluster_arn}/{_database.database}/schema", problem=problem)


def _problem_of_update(properties: Mapping[str, str]) -> str | None:
    """Update the schema and return why that failed, if it did."""
    try:
        wait_until_awake(_database, patience_seconds=_PATIENCE_SECONDS)
        applied = migrate(_database, read_migrations(DIRECTORY))
        if endpoint_name := properties.get("EndpointName"):
            define_classify(_database, endpoint_name)
        else:
            remove_classify(_database)
    except MigrationError as error:
        logger.error("the schema was not updated", reason=str(error))
        return str(error)
    except GatewayError as error:
        logger.error("the database cannot be called: %s", error, extra=error.facts)
        return error.cause if isinstance(error, RejectedError) else f"{error} ({error.facts.get('error')})"
    except Exception as error:  # CloudFormation would wait for an answer until its time-out
        logger.exception("the schema was not updated")
        return f"{type(error).__name__}: {error}"
    logger.info("the schema is up to date", applied=applied)
    return None
