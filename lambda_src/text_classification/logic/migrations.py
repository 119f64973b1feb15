"""Numbered SQL migrations: each is applied once, in a transaction of its own."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from text_classification.gateways.data_api import Database, Value
from text_classification.gateways.errors import RejectedError, UnavailableError

_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
_STATEMENT_END = re.compile(r";[ \t]*(?:\n|\Z)")
# Two deployments at the same time wait for each other: the second finds everything applied. Any number will do.
_LOCK = "SELECT CAST(pg_advisory_xact_lock(20261125) AS text)"
_CREATE_RECORD = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    number int PRIMARY KEY,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""
_PAUSE_SECONDS = 3.0


class MigrationError(Exception):
    """A migration cannot be applied; the message says which, and what the database said."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Migration:
    """One file.

    Args:
        number: Its place, from 1.
        name: The file's name.
        sql: What is in it.
    """

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def statements(self) -> list[str]:
        return list(split_statements(self.sql))


def read_migrations(directory: Path) -> list[Migration]:
    """Return the migrations in a directory in their order.

    Raises:
        ValueError: A file is not named like ``0001_what_it_does.sql``, or the numbers have a gap.
    """
    migrations = []
    for expected, path in enumerate(sorted(directory.glob("*.sql")), start=1):
        found = _NAME.fullmatch(path.name)
        if found is None or int(found[1]) != expected:
            raise ValueError(f"{path.name}: expected is {expected:04}_ and lower-case words, with .sql at the end")
        migrations.append(Migration(number=expected, name=path.name, sql=path.read_text(encoding="utf-8")))
    return migrations


def split_statements(sql: str) -> Iterator[str]:
    r"""Yield the statements of a file: each ends with a semicolon at the end of a line, outside ``$$``.

    >>> list(split_statements("SELECT 1;\nCREATE FUNCTION f() AS $$\n  SELECT 2;\n$$ LANGUAGE sql;\n"))
    ['SELECT 1', 'CREATE FUNCTION f() AS $$\n  SELECT 2;\n$$ LANGUAGE sql']
    """
    statement = ""
    for piece in _STATEMENT_END.split(sql):
        statement += piece
        if statement.count("$$") % 2:
            statement += ";\n"
        else:
            if statement.strip():
                yield statement.strip()
            statement = ""
    if statement.strip():
        raise ValueError("a $$ is not closed")


def wait_until_awake(
    database: Database,
    *,
    patience_seconds: float,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Call the database until it answers: one that has paused needs about fifteen seconds to resume.

    Raises:
        UnavailableError: It does not answer in ``patience_seconds``.
        GatewayError: It can never be called like this.
    """
    deadline = clock() + patience_seconds
    while True:
        try:
            database.execute("SELECT 1")
        except UnavailableError:
            if clock() + _PAUSE_SECONDS > deadline:
                raise
            sleep(_PAUSE_SECONDS)
        else:
            return


def migrate(database: Database, migrations: Iterable[Migration]) -> list[str]:
    """Apply what has not been applied yet, and return the names.

    Migrations that the database has and this code does not know are left alone: a deployment that is rolled back
    goes back to older code, not to an older schema.

    Raises:
        MigrationError: A migration fails and is rolled back, or was changed after it had been applied.
        GatewayError: The database cannot be called.
    """
    with database.transaction() as transaction:
        transaction.execute(_LOCK)
        transaction.execute(_CREATE_RECORD)
    return [migration.name for migration in migrations if _apply(database, migration)]


def _apply(database: Database, migration: Migration) -> bool:
    try:
        with database.transaction() as transaction:
            transaction.execute(_LOCK)
            applied = transaction.execute(
                "SELECT checksum FROM schema_migrations WHERE number = :number", {"number": migration.number}
            )
            if applied:
                _must_be_unchanged(migration, applied[0][0])
                return False
            for statement in migration.statements:
                transaction.execute(statement)
            transaction.execute(
                "INSERT INTO schema_migrations (number, name, checksum) VALUES (:number, :name, :checksum)",
                {"number": migration.number, "name": migration.name, "checksum": migration.checksum},
            )
            return True
    except RejectedError as error:
        raise MigrationError(f"{migration.name} was rolled back: {error.cause}") from error


def _must_be_unchanged(migration: Migration, checksum: Value) -> None:
    if checksum != migration.checksum:
        raise MigrationError(
            f"{migration.name} was changed after it had been applied: change it back, and put what is new into a "
            "file of its own"
        )
