"""Patches of RDS and its Data API."""

import asyncio
import json
import threading
from typing import Any
from unittest import mock

from ministack import app
from ministack.core import responses
from ministack.services import (
    rds,
    rds_data,
)
from ministack.services.cloudformation import provisioners

from sm_local import patches

_ROLE = "arn:aws:iam::000000000000:role/model"
_CLUSTER = {
    "Engine": "aurora-postgresql",
    "DatabaseName": "results",
    "MasterUsername": "owner",
    "ManageMasterUserPassword": "true",
    "EnableHttpEndpoint": True,
    "AssociatedRoles": [{"RoleArn": _ROLE, "FeatureName": "SageMaker"}],
}


def _cluster_handlers() -> Any:
    return provisioners._RESOURCE_HANDLERS["AWS::RDS::DBCluster"]


def test_a_stacks_cluster_has_its_password_in_a_secret_of_rds() -> None:
    identifier, attributes = _cluster_handlers()["create"]("Cluster", _CLUSTER, "stack")
    assert "MasterUserSecret.SecretArn" not in attributes
    assert rds._clusters[identifier]["_MasterUserPassword"] == "password"
    assert "AssociatedRoles" not in rds._clusters[identifier]

    patches.rds.let_rds_manage_passwords()

    identifier, attributes = _cluster_handlers()["create"]("Cluster", _CLUSTER, "stack")
    secret = attributes["MasterUserSecret.SecretArn"]
    username, password = rds_data._get_secret_credentials(secret)
    assert ":secret:rds!cluster-" in secret
    assert (username, password) == ("owner", rds._clusters[identifier]["_MasterUserPassword"])
    assert len(password) > 20
    assert rds._clusters[identifier]["AssociatedRoles"] == _CLUSTER["AssociatedRoles"]

    changed = {**_CLUSTER, "AssociatedRoles": [], "BackupRetentionPeriod": 9}
    same, attributes = _cluster_handlers()["update"](identifier, _CLUSTER, changed, "stack", "Cluster")
    assert (same, attributes["MasterUserSecret.SecretArn"]) == (identifier, secret)
    assert rds._clusters[identifier]["AssociatedRoles"] == []
    assert rds._clusters[identifier]["_MasterUserPassword"] == password

    _cluster_handlers()["delete"](identifier, changed)
    assert rds_data._get_secret_credentials(secret) == (None, None)


def test_a_cluster_that_is_replaced_has_another_secret() -> None:
    patches.rds.let_rds_manage_passwords()
    identifier, attributes = _cluster_handlers()["create"]("Cluster", _CLUSTER, "stack")

    replaced = {**_CLUSTER, "DatabaseName": "others"}
    another, later = _cluster_handlers()["update"](identifier, _CLUSTER, replaced, "stack", "Cluster")

    assert another != identifier
    assert later["MasterUserSecret.SecretArn"] != attributes["MasterUserSecret.SecretArn"]


def _cluster_with_instance(properties: dict[str, Any] | None = None) -> tuple[str, str]:
    """Create a cluster as CloudFormation does, with an instance; return its identifier and its ARN."""
    identifier, attributes = _cluster_handlers()["create"]("Cluster", properties or _CLUSTER, "stack")
    instance = {"DBClusterIdentifier": identifier, "Engine": "aurora-postgresql"}
    provisioners._RESOURCE_HANDLERS["AWS::RDS::DBInstance"]["create"]("Writer", instance, "stack")
    return identifier, attributes["DBClusterArn"]


def test_sql_is_sent_to_the_server_of_its_cluster() -> None:
    identifier, arn = _cluster_with_instance()
    assert not rds_data._has_real_endpoint(rds_data._resolve_target(arn)[0])

    address, remove = mock.Mock(return_value=("127.0.0.1", 4711)), mock.Mock()
    patches.rds.answer_sql_by_postgresql(address, remove)

    instance, engine, cluster = rds_data._resolve_target(arn)
    assert rds_data._has_real_endpoint(instance)
    assert (instance["_internal_address"], instance["_internal_port"]) == ("127.0.0.1", 4711)
    assert (engine, cluster["DBClusterArn"]) == ("aurora-postgresql", arn)
    address.assert_called_once_with(cluster)

    _cluster_handlers()["delete"](identifier, {})
    remove.assert_called_once_with(arn)


def test_a_cluster_of_another_engine_or_without_an_instance_has_no_server() -> None:
    _, mysql = _cluster_with_instance({**_CLUSTER, "Engine": "aurora-mysql"})
    _, attributes = _cluster_handlers()["create"]("Empty", _CLUSTER, "stack")
    address = mock.Mock()
    patches.rds.answer_sql_by_postgresql(address, mock.Mock())

    assert not rds_data._has_real_endpoint(rds_data._resolve_target(mysql)[0])
    assert rds_data._resolve_target(attributes["DBClusterArn"])[0] is None
    address.assert_not_called()


def _statement(work: Any) -> bool:
    """Return whether the event loop goes on while a statement is at work."""

    async def both() -> bool:
        goes_on = threading.Event()
        with mock.patch.object(rds_data, "_execute_statement", side_effect=lambda _: work(goes_on)):
            answer = asyncio.create_task(rds_data.handle_request("POST", "/Execute", {}, b"{}", {}))
            await asyncio.sleep(0)
            goes_on.set()
            return bool(await answer)

    return asyncio.run(both())


def test_a_statement_that_waits_does_not_stop_the_others() -> None:
    assert not _statement(lambda goes_on: goes_on.wait(0.1))

    patches.rds.run_sql_on_threads()

    assert _statement(lambda goes_on: goes_on.wait(20))


def test_a_statement_on_a_thread_knows_whose_it_is() -> None:
    patches.rds.run_sql_on_threads()

    with responses.request_scope("222222222222", "eu-west-1"):
        assert _statement(lambda _: patches.core.scope() == ("222222222222", "eu-west-1"))


def _asked_of_iam(body: bytes, *, allowed: bool = True) -> list[tuple[str, str]]:
    """Return which actions on which resources a call of the Data API asks IAM for."""
    asked = []

    def enforce(_service: str, action: str, *_request: Any, resource_arn: str, **_rest: Any) -> Any:
        asked.append((action, resource_arn))
        return None if allowed else (403, {}, b"")

    with mock.patch.object(app, "_enforce_data_plane", enforce):
        denied = app._enforce_rds_data("POST", "/Execute", {}, body, {}, "request")
    assert (denied is None) is allowed
    return asked


def test_a_statement_needs_the_permission_to_read_the_secret() -> None:
    body = json.dumps({"resourceArn": "the-cluster", "secretArn": "the-secret"}).encode()
    call, reading = ("rds-data:ExecuteStatement", "the-cluster"), ("secretsmanager:GetSecretValue", "the-secret")
    assert _asked_of_iam(body) == [call]

    patches.rds.check_who_may_read_the_secret()

    assert _asked_of_iam(body) == [call, reading]
    assert _asked_of_iam(body, allowed=False) == [call]
    assert _asked_of_iam(b'{"resourceArn": "the-cluster"}') == [call]


def test_a_text_is_no_literal_that_turns_into_any_type() -> None:
    sql, parameters = "SELECT :a, :ab, :a::json", {"a": "text", "ab": 1}
    assert rds_data._substitute_named_params(sql, parameters) == "SELECT %(a)s, %(ab)s, %(a)s::json"

    patches.rds.type_texts_as_the_data_api_does()

    assert rds_data._substitute_named_params(sql, parameters) == (
        "SELECT CAST(%(a)s AS varchar), %(ab)s, CAST(%(a)s AS varchar)::json"
    )


class _SqlError(Exception):
    def __init__(self, message: str, pgcode: str | None) -> None:
        super().__init__(message)
        self.pgcode = pgcode


def _failure(error: _SqlError) -> tuple[str, str]:
    _status, _headers, body = rds_data._sql_execution_error(error)
    answer = json.loads(body)
    return answer["__type"], answer["message"]


def test_an_error_of_the_database_is_named_and_numbered() -> None:
    missing = _SqlError('relation "t" does not exist\n', "42P01")
    assert _failure(missing)[0] == "BadRequestException"

    patches.rds.fail_sql_as_the_data_api_does()

    assert _failure(missing) == (
        "DatabaseErrorException",
        'ERROR: relation "t" does not exist; SQLState: 42P01',
    )
    late = _SqlError("canceling statement due to statement timeout", "57014")
    assert _failure(late)[0] == "StatementTimeoutException"
    assert _failure(_SqlError("password authentication failed", None))[0] == "BadRequestException"
