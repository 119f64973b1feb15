"""Migrations, applied to a real PostgreSQL."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from text_classification.gateways.data_api import Value
from text_classification.gateways.errors import UnavailableError
from text_classification.logic.migrations import (
    Migration,
    MigrationError,
    migrate,
    read_migrations,
    split_statements,
    wait_until_awake,
)
from text_classification.logic.sql_classification import define_classify, remove_classify
from text_classification.migrations import DIRECTORY

from sm_local.postgres import PostgresServer
from tests.unit.postgres_database import Postgres


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    server = PostgresServer(tmp_path_factory.mktemp("postgres") / "data", environment={}, settings={})
    yield server
    server.stop()


@pytest.fixture
def database(server: PostgresServer, request: pytest.FixtureRequest) -> Postgres:
    """An empty database."""
    name = re.sub(r"\W", "_", request.node.name)[:60]
    Postgres(server.connect).execute(f'CREATE DATABASE "{name}"')
    return Postgres(lambda: server.connect(name))


def migration(number: int, sql: str) -> Migration:
    return Migration(number=number, name=f"{number:04}_it.sql", sql=sql)


def tables(database: Postgres) -> set[Value]:
    return {name for (name,) in database.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}


FIRST, SECOND = migration(1, "CREATE TABLE one ();\n"), migration(2, "CREATE TABLE two ();\nCREATE TABLE three ();\n")


def test_each_migration_is_applied_once(database: Postgres) -> None:
    assert migrate(database, [FIRST]) == ["0001_it.sql"]
    assert migrate(database, [FIRST, SECOND]) == ["0002_it.sql"]
    assert migrate(database, [FIRST, SECOND]) == []
    assert tables(database) == {"one", "two", "three", "schema_migrations"}


def test_a_migration_that_fails_leaves_nothing_and_those_before_it_stay(database: Postgres) -> None:
    broken = replace(SECOND, sql="CREATE TABLE two ();\nCREATE TABLE one ();\n")

    with pytest.raises(MigrationError, match=r'0002_it\.sql was rolled back: relation "one" already exists'):
        migrate(database, [FIRST, broken])

    assert tables(database) == {"one", "schema_migrations"}
    assert migrate(database, [FIRST, SECOND]) == ["0002_it.sql"]


def test_a_migration_that_was_changed_afterwards_is_refused(database: Postgres) -> None:
    migrate(database, [FIRST])

    with pytest.raises(MigrationError, match=r"0001_it\.sql was changed after it had been applied: change it back"):
        migrate(database, [replace(FIRST, sql=FIRST.sql + "-- a remark\n"), SECOND])

    assert "two" not in tables(database)


def test_older_code_leaves_a_newer_schema_alone(database: Postgres) -> None:
    migrate(database, [FIRST, SECOND])
    assert migrate(database, [FIRST]) == []
    assert "two" in tables(database)


def test_two_deployments_at_the_same_time_wait_for_each_other(database: Postgres) -> None:
    slow = replace(SECOND, sql="SELECT pg_sleep(0.3);\nCREATE TABLE two ();\n")
    applied: list[list[str]] = []
    threads = [threading.Thread(target=lambda: applied.append(migrate(database, [FIRST, slow]))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(name for names in applied for name in names) == ["0001_it.sql", "0002_it.sql"]
    assert len(applied) == 3


def test_the_schema_of_this_project_can_be_applied(database: Postgres) -> None:
    migrations = read_migrations(DIRECTORY)

    assert migrate(database, migrations) == [each.name for each in migrations]
    assert tables(database) == {"classifications", "schema_migrations"}
    assert database.execute("SELECT count(*) FROM label_share_drift") == [(0,)]


def test_a_statement_of_this_project_is_one_statement() -> None:
    statements = [statement for each in read_migrations(DIRECTORY) for statement in each.statements]

    assert statements
    for statement in statements:
        code = re.sub(r"--[^\n]*", "", statement).strip()
        assert re.match(r"CREATE (TABLE|INDEX|VIEW) ", code), "a new kind: look whether it is one statement"
        assert ";" not in code
        assert ":" not in code, "the Data API would take it for a parameter"


@pytest.mark.parametrize("names", [["0001_a.sql", "0003_b.sql"], ["0002_a.sql"], ["0001_A.sql"], ["1_a.sql"]])
def test_a_file_with_the_wrong_name_or_number_is_refused(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_text("SELECT 1;\n")
    with pytest.raises(ValueError, match=r"expected is 000[12]_ and lower-case words"):
        read_migrations(tmp_path)


@pytest.mark.parametrize(
    ("sql", "statements"),
    [
        ("", []),
        ("-- only a remark\n", ["-- only a remark"]),
        ("SELECT 1", ["SELECT 1"]),
        ("SELECT 1;", ["SELECT 1"]),
        ("SELECT 1;  \n\n\nSELECT ';' AS a;\n", ["SELECT 1", "SELECT ';' AS a"]),
        ("DO $$\nBEGIN\n  x;\nEND\n$$;\nSELECT 1;\n", ["DO $$\nBEGIN\n  x;\nEND\n$$", "SELECT 1"]),
    ],
)
def test_a_statement_ends_with_a_semicolon_at_the_end_of_a_line(sql: str, statements: list[str]) -> None:
    assert list(split_statements(sql)) == statements


def test_a_function_that_does_not_end_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a \$\$ is not closed"):
        list(split_statements("DO $$\nBEGIN;\n"))


class Resuming:
    """A database that answers from a second on, counted from 100."""

    def __init__(self, awake_at: float) -> None:
        self.seconds, self.awake_at, self.calls = 100.0, awake_at, 0

    def execute(self, _sql: str, _parameters: Mapping[str, Value] | None = None) -> Sequence[Sequence[Value]]:
        self.calls += 1
        if self.seconds < self.awake_at:
            raise UnavailableError("resuming", {})
        return [(1,)]

    def transaction(self) -> Any:
        raise AssertionError("not before it is awake")

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def test_a_database_that_resumes_is_waited_for() -> None:
    resuming = Resuming(awake_at=115)
    wait_until_awake(resuming, patience_seconds=60, sleep=resuming.sleep, clock=lambda: resuming.seconds)
    assert resuming.seconds == 115
    assert resuming.calls == 6


def test_a_database_that_never_answers_is_not_waited_for_longer_than_there_is_time() -> None:
    resuming = Resuming(awake_at=1_000)
    with pytest.raises(UnavailableError):
        wait_until_awake(resuming, patience_seconds=60, sleep=resuming.sleep, clock=lambda: resuming.seconds)
    assert 155 < resuming.seconds <= 160


def test_sql_classification_says_what_a_database_without_the_extension_lacks(database: Postgres) -> None:
    with pytest.raises(MigrationError, match=r'classify\(text\) was not defined: extension "aws_ml" is not available'):
        define_classify(database, "reviews")
    remove_classify(database)


def test_a_name_that_is_none_of_an_endpoint_never_gets_into_a_statement(database: Postgres) -> None:
    with pytest.raises(ValueError, match="is no name of an endpoint"):
        define_classify(database, "x', NULL); DROP TABLE classifications; --")
