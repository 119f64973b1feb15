"""A database of :mod:`sm_local.postgres` as the functions' logic sees it, without the Data API before it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg2
from text_classification.gateways.data_api import Value
from text_classification.gateways.errors import RejectedError


class Postgres:
    """Runs statements over connections that commit each of them."""

    def __init__(self, connect: Callable[[], Any], connection: Any = None) -> None:
        self._connect = connect
        self._connection = connection or connect()

    def execute(self, sql: str, parameters: Mapping[str, Value] | None = None) -> Sequence[Sequence[Value]]:
        with self._connection.cursor() as cursor:
            try:
                cursor.execute(re.sub(r"(?<!:):(\w+)", r"%(\1)s", sql), parameters)
            except psycopg2.Error as error:
                raise RejectedError("refused", {}, cause=str(error)) from error
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def transaction(self) -> Iterator[Postgres]:
        connection = self._connect()
        connection.autocommit = False
        try:
            with connection:
                yield Postgres(self._connect, connection)
        finally:
            connection.close()
