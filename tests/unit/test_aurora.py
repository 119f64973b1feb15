"""PostgreSQL for Aurora clusters: started when called, stopped when deleted, its passwords and credentials real."""

from __future__ import annotations

import re
from collections.abc import Iterator
from configparser import ConfigParser
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import pytest
from text_classification.logic.migrations import migrate, read_migrations
from text_classification.logic.sql_classification import define_classify
from text_classification.migrations import DIRECTORY

from sm_local import patches, postgres, process
from sm_local.aurora import Address, Clusters
from sm_local.ports import is_free
from sm_local.postgres import PostgresError, PostgresServer
from sm_local.recorded import flow_log
from sm_local.state import StateDirectory
from tests.unit.postgres_database import Postgres

SECRET, ROTATED, WRONG = "it's secret", "another one", "wrong"
ARN = "arn:aws:rds:us-east-1:000000000000:cluster:mine"


@pytest.fixture
def clusters(tmp_path: Path) -> Iterator[Clusters]:
    clusters = Clusters(StateDirectory(tmp_path))
    yield clusters
    clusters.shut_down()


def cluster(**fields: Any) -> dict[str, Any]:
    return {
        "DBClusterArn": ARN,
        "DBClusterIdentifier": "mine",
        "DatabaseName": "results",
        "MasterUsername": "owner",
        "_MasterUserPassword": SECRET,
        **fields,
    }


def ask(address: Address, sql: str, password: str = SECRET) -> Any:
    with closing(
        psycopg2.connect(host=address.host, port=address.port, user="owner", password=password, dbname="results")
    ) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchone() if cursor.description else None


def servers_below(directory: Path) -> list[psutil.Process]:
    return [
        running
        for running in psutil.process_iter(["name", "cmdline"])
        if running.info["name"] == "postgres" and str(directory) in " ".join(running.info["cmdline"] or [])
    ]


def test_a_server_starts_at_the_first_call_and_stops_with_its_cluster(clusters: Clusters, tmp_path: Path) -> None:
    assert not servers_below(tmp_path)

    address = clusters.address(cluster())

    assert clusters.address(cluster()) == address
    assert len(servers_below(tmp_path)) == 1
    assert ask(address, "SELECT current_user, current_database()") == ("owner", "results")

    clusters.remove(ARN)
    clusters.remove(ARN)

    assert not servers_below(tmp_path)
    assert is_free(address.port)


def test_it_listens_on_this_machine_alone(clusters: Clusters, tmp_path: Path) -> None:
    address = clusters.address(cluster())

    assert address.host == "127.0.0.1"
    assert ask(address, "SHOW listen_addresses") == ("127.0.0.1",)
    (server,) = servers_below(tmp_path)
    assert [each.laddr.ip for each in server.net_connections("all") if each.status == "LISTEN"] == ["127.0.0.1"]


def test_the_password_is_the_one_that_the_cluster_has_now(clusters: Clusters) -> None:
    address = clusters.address(cluster())
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        ask(address, "SELECT 1", WRONG)

    clusters.address(cluster(_MasterUserPassword=ROTATED))

    assert ask(address, "SELECT 1", ROTATED) == (1,)
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        ask(address, "SELECT 1")


def test_two_clusters_share_nothing(clusters: Clusters) -> None:
    one = clusters.address(cluster())
    other = clusters.address(cluster(DBClusterArn=f"{ARN}-2", DBClusterIdentifier="mine-2"))
    ask(one, "CREATE TABLE t (n int)")

    assert ask(other, "SELECT to_regclass('t') IS NULL") == (True,)
    clusters.remove(ARN)
    assert ask(other, "SELECT 1") == (1,)


def test_the_roles_credentials_are_where_aws_ml_looks_for_them(
    clusters: Clusters, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def session(role: str, service: str, _name: str) -> dict[str, str]:
        asked.append((role, service))
        if role == "untrusted":
            raise PermissionError("Could not assume role")
        return {"aws_access_key_id": f"key of {role}"}

    monkeypatch.setattr(patches.iam, "service_session", session)
    file = tmp_path / "databases" / "mine" / "credentials"

    def key_with(*roles: dict[str, str]) -> str | None:
        clusters.address(cluster(AssociatedRoles=list(roles)))
        parser = ConfigParser()
        parser.read(file)
        return parser.get("default", "aws_access_key_id", fallback=None)

    sagemaker = {"RoleArn": "labels", "FeatureName": "SageMaker"}
    assert key_with() is None
    assert key_with(sagemaker) == "key of labels"
    assert key_with(sagemaker) == "key of labels"
    assert key_with({"RoleArn": "exports", "FeatureName": "s3Export"}) is None
    assert key_with({"RoleArn": "untrusted", "FeatureName": "SageMaker"}) is None
    assert asked == [("labels", "rds.amazonaws.com"), ("untrusted", "rds.amazonaws.com")]


def test_the_stand_in_for_aws_ml_refuses_what_a_shell_would_read(clusters: Clusters, tmp_path: Path) -> None:
    address = clusters.address(cluster())
    ask(address, "CREATE EXTENSION aws_ml CASCADE")

    with pytest.raises(psycopg2.errors.RaiseException, match="is no name of an endpoint"):
        ask(address, f"SELECT aws_sagemaker.invoke_endpoint('a; touch {tmp_path}/x', NULL, 'text')")

    assert not (tmp_path / "x").exists()


def test_the_queries_of_the_documentation_run_as_they_stand(clusters: Clusters) -> None:
    address = clusters.address(cluster())

    def connect() -> Any:
        connection = psycopg2.connect(
            host=address.host, port=address.port, user="owner", password=SECRET, dbname="results"
        )
        connection.autocommit = True
        return connection

    database = Postgres(connect)
    migrate(database, read_migrations(DIRECTORY))
    define_classify(database, "reviews")
    database.execute("CREATE TABLE reviews (review text)")  # empty, so that no query calls the endpoint
    database.execute("CREATE TABLE labels (review text, label text, score double precision)")
    page = (Path(__file__).parents[2] / "docs" / "result-database.md").read_text(encoding="utf-8")
    queries = re.findall(r"```sql\n(.*?)```", page, flags=re.DOTALL)

    assert len(queries) == 6
    for query in queries:
        assert database.execute(query) == []


def test_the_end_of_its_log_is_said_when_it_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(PostgresError, match='unrecognized configuration parameter "no_such_setting"'):
        PostgresServer(tmp_path / "data", environment={}, settings={"no_such_setting": "1"})

    assert not servers_below(tmp_path)


def test_one_that_a_crash_left_behind_is_found_and_stopped(tmp_path: Path) -> None:
    environment = {process.OWNER: str(tmp_path.resolve())}
    server = PostgresServer(tmp_path / "data", environment=environment, settings={})

    assert process.stop(StateDirectory(tmp_path)) > 1

    assert not servers_below(tmp_path)
    server.stop()  # there is nothing to stop any more


def test_root_needs_setpriv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "_is_root", lambda: True)
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(PostgresError, match="does not run as root: install setpriv"):
        postgres._command("postgres")


def test_nobody_but_root_becomes_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: "/bin/setpriv")
    monkeypatch.setattr(postgres, "_is_root", lambda: False)
    assert postgres._command("postgres", "-V")[1:] == ["-V"]
    monkeypatch.setattr(postgres, "_is_root", lambda: True)
    assert postgres._command("postgres", "-V")[:2] == ["/bin/setpriv", "--reuid=65534"]


def test_a_flow_log_is_replaced_by_every_change_but_one_of_its_tags() -> None:
    handlers = flow_log()
    identifier, attributes = handlers["create"]("Log", {"TrafficType": "REJECT"}, "stack")

    assert attributes == {"Id": identifier}
    old = {"TrafficType": "REJECT"}
    assert handlers["update"](identifier, old, {**old, "Tags": []}, "stack") == (identifier, attributes)
    assert handlers["update"](identifier, old, {"TrafficType": "ALL"}, "stack")[0] != identifier
    handlers["delete"](identifier, old)
