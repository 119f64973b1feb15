"""A PostgreSQL database behind the RDS Data API, which needs no connection and no VPC."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, TypeAlias

from text_classification.gateways.calls import TimeBudget, call_service
from text_classification.gateways.errors import GatewayError

if TYPE_CHECKING:
    from mypy_boto3_rds_data import RDSDataServiceClient
    from mypy_boto3_rds_data.type_defs import (
        ExecuteStatementRequestTypeDef,
        FieldOutputTypeDef,
        SqlParameterTypeDef,
    )

Value: TypeAlias = str | int | float | bool | None
Parameters: TypeAlias = Mapping[str, Value]


class Database(Protocol):
    """Whatever runs SQL statements."""

    def execute(self, sql: str, parameters: Parameters | None = None) -> Sequence[Sequence[Value]]:
        """Run one statement and return its rows. Raises GatewayError."""
        ...

    def transaction(self) -> AbstractContextManager[Database]:
        """Commit what is run within, or roll it back when it raises. Raises GatewayError."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class DataApi:
    """Runs SQL statements.

    Parameters stand in a statement as ``:name``. The Data API hands every text over as ``varchar``, which
    PostgreSQL does not turn into other types by itself: cast it, as in ``CAST(:scores AS jsonb)``.

    Args:
        client: Made with ``budget.client_config()``.
        cluster_arn: The cluster.
        secret_arn: The secret with the database user's name and password.
        database: The name of the database in the cluster.
        budget: How long one call may take, repetitions included.
        transaction_id: What the statements are part of. When omitted: each is a transaction of its own.
    """

    client: RDSDataServiceClient
    cluster_arn: str
    secret_arn: str
    database: str
    budget: TimeBudget
    transaction_id: str | None = None

    def execute(self, sql: str, parameters: Parameters | None = None) -> list[tuple[Value, ...]]:
        """Run one statement and return its rows, of 1 MB at most. Raises GatewayError."""
        request: ExecuteStatementRequestTypeDef = {
            "resourceArn": self.cluster_arn,
            "secretArn": self.secret_arn,
            "database": self.database,
            "sql": sql,
            "parameters": sql_parameters(parameters or {}),
        }
        if self.transaction_id is not None:
            request["transactionId"] = self.transaction_id
        response = call_service(lambda: self.client.execute_statement(**request), self.budget)
        return [tuple(_value(field) for field in record) for record in response.get("records", [])]

    def execute_batch(self, sql: str, parameter_sets: Sequence[Sequence[SqlParameterTypeDef]]) -> None:
        """Run one statement for each set of parameters, in a request of 4 MiB at most.

        AWS does not say what stays of a call that fails: make such calls so that they can be repeated.

        Raises:
            GatewayError: The call failed.
        """
        call_service(
            lambda: self.client.batch_execute_statement(
                resourceArn=self.cluster_arn,
                secretArn=self.secret_arn,
                database=self.database,
                sql=sql,
                parameterSets=parameter_sets,
            ),
            self.budget,
        )

    @contextmanager
    def transaction(self) -> Iterator[DataApi]:
        """Commit what is run within, or roll it back when it raises. Raises GatewayError."""
        cluster = {"resourceArn": self.cluster_arn, "secretArn": self.secret_arn}
        begun = call_service(
            lambda: self.client.begin_transaction(**cluster, database=self.database),
            self.budget,
        )
        this = {**cluster, "transactionId": begun["transactionId"]}
        try:
            yield replace(self, transaction_id=begun["transactionId"])
        except BaseException:
            with suppress(GatewayError):  # the Data API rolls back by itself what is left alone
                call_service(lambda: self.client.rollback_transaction(**this), self.budget)
            raise
        call_service(lambda: self.client.commit_transaction(**this), self.budget)


def sql_parameters(parameters: Parameters) -> list[SqlParameterTypeDef]:
    """Return parameters in the form of the Data API.

    >>> sql_parameters({"label": "spam", "language": None})
    [{'name': 'label', 'value': {'stringValue': 'spam'}}, {'name': 'language', 'value': {'isNull': True}}]
    """
    return [_parameter(name, value) for name, value in parameters.items()]


def _parameter(name: str, value: Value) -> SqlParameterTypeDef:
    match value:
        case None:
            return {"name": name, "value": {"isNull": True}}
        case bool():
            return {"name": name, "value": {"booleanValue": value}}
        case int():
            return {"name": name, "value": {"longValue": value}}
        case float():
            return {"name": name, "value": {"doubleValue": value}}
        case str():
            return {"name": name, "value": {"stringValue": value}}


def _value(field: FieldOutputTypeDef) -> Value:
    if field.get("isNull"):
        return None
    for kind in ("stringValue", "longValue", "doubleValue", "booleanValue"):
        if kind in field:
            value: Value = field[kind]
            return value
    raise ValueError(f"a value of a kind that is not read here: {', '.join(field)}")
