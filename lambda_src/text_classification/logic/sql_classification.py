"""``classify(text)``: a SQL function that labels texts by the endpoint, through Aurora machine learning.

https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/postgresql-ml.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from text_classification.gateways.data_api import Database
from text_classification.gateways.errors import RejectedError
from text_classification.logic.migrations import MigrationError

_ENDPOINT_NAME = re.compile(r"[A-Za-z0-9](?:-*[A-Za-z0-9]){0,62}")

# Aurora sends a line of CSV for each text, and hands back the answer's line as a value that is cast to a composite
# type with its columns in the same order. LANGUAGE sql, PARALLEL SAFE and COST 5000 are what lets it send many texts
# in one call.
_TYPE = "CREATE TYPE classification AS (label text, score double precision, scores jsonb, model_version text)"
_FUNCTION = """
CREATE OR REPLACE FUNCTION classify(text text, max_rows_per_batch int DEFAULT NULL) RETURNS classification AS $$
    SELECT CAST(aws_sagemaker.invoke_endpoint('{endpoint_name}', max_rows_per_batch, text) AS classification)
$$ LANGUAGE sql PARALLEL SAFE COST 5000
"""


def define_classify(database: Database, endpoint_name: str) -> None:
    """Let ``classify(text)`` call this endpoint.

    Raises:
        ValueError: That is no name of an endpoint.
        MigrationError: The database refuses it, such as one without the extension ``aws_ml``; nothing is changed.
        GatewayError: The database cannot be called.
    """
    if not _ENDPOINT_NAME.fullmatch(endpoint_name):
        raise ValueError(f"{endpoint_name!r} is no name of an endpoint")
    with _explained("defined"), database.transaction() as transaction:
        transaction.execute("CREATE EXTENSION IF NOT EXISTS aws_ml CASCADE")
        if transaction.execute("SELECT to_regtype('classification') IS NULL") == [(True,)]:
            transaction.execute(_TYPE)
        transaction.execute(_FUNCTION.replace("{endpoint_name}", endpoint_name))


def remove_classify(database: Database) -> None:
    """Remove ``classify(text)``, if it is there.

    Raises:
        MigrationError: Something of yours uses it, such as a view; nothing is changed.
        GatewayError: The database cannot be called.
    """
    with _explained("removed"), database.transaction() as transaction:
        transaction.execute("DROP FUNCTION IF EXISTS classify(text, int)")
        transaction.execute("DROP TYPE IF EXISTS classification")


@contextmanager
def _explained(what_failed: str) -> Iterator[None]:
    try:
        yield
    except RejectedError as error:
        raise MigrationError(f"classify(text) was not {what_failed}: {error.cause}") from error
