"""RDS and its Data API: managed passwords, and SQL that a real PostgreSQL runs."""

from __future__ import annotations

import asyncio
import contextvars
import json
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeAlias

from sm_local.patches.core import Response

StoredCluster: TypeAlias = dict[str, Any]  # in the form of DescribeDBClusters, with the master user's password

_MOST_STATEMENTS = 64  # at the same time, of which each may wait for another's lock


class Databases(Protocol):
    """Whatever has a PostgreSQL server for each cluster."""

    def address(self, cluster: StoredCluster, /) -> tuple[str, int]:
        """Return where a cluster's server listens."""
        ...

    def remove(self, cluster_arn: str, /) -> None:
        """Stop the server of a cluster that is deleted."""
        ...


def let_rds_manage_passwords() -> None:
    """MiniStack's CloudFormation forgets ManageMasterUserPassword and AssociatedRoles of a cluster: keep both.

    Its API makes the secret; so does this, and deletes it with the cluster.
    """
    from ministack.services import rds, secretsmanager
    from ministack.services.cloudformation import provisioners

    create, delete = provisioners._rds_db_cluster_create, provisioners._rds_db_cluster_delete
    fields_of, attributes_of = provisioners._rds_db_cluster_fields, provisioners._rds_db_cluster_attrs

    def create_with_secret(logical_id: str, properties: dict[str, Any], stack: str) -> tuple[str, dict[str, str]]:
        identifier, _attributes = create(logical_id, properties, stack)
        cluster: StoredCluster = rds._clusters[identifier]
        if str(properties.get("ManageMasterUserPassword", "")).lower() == "true":
            password = rds._generate_master_user_password()
            content = json.dumps({"username": cluster["MasterUsername"], "password": password})
            secret = secretsmanager.create_secret_in_process(f"rds!cluster-{uuid.uuid4()}", content)
            cluster["_MasterUserPassword"] = password
            cluster["MasterUserSecret"] = {"SecretArn": secret, "SecretStatus": "active", "KmsKeyId": ""}
            cluster["MasterUserSecret"] |= properties.get("MasterUserSecret") or {}
        return identifier, attributes(cluster)

    def attributes(cluster: StoredCluster) -> dict[str, str]:
        secret = cluster.get("MasterUserSecret")
        return {**attributes_of(cluster), **({"MasterUserSecret.SecretArn": secret["SecretArn"]} if secret else {})}

    def fields(properties: dict[str, Any]) -> dict[str, Any]:
        return {**fields_of(properties), "AssociatedRoles": properties.get("AssociatedRoles") or []}

    def delete_with_secret(identifier: str, properties: dict[str, Any]) -> None:
        if secret := rds._clusters.get(identifier, {}).get("MasterUserSecret"):
            secretsmanager.delete_secret_in_process(secret["SecretArn"])
        delete(identifier, properties)

    provisioners._rds_db_cluster_create = create_with_secret
    provisioners._rds_db_cluster_delete = delete_with_secret
    provisioners._rds_db_cluster_fields = fields
    provisioners._rds_db_cluster_attrs = attributes
    handlers = provisioners._RESOURCE_HANDLERS
    handlers["AWS::RDS::DBCluster"] = {
        **handlers["AWS::RDS::DBCluster"],
        "create": create_with_secret,
        "delete": delete_with_secret,
    }


def answer_sql_by_postgresql(
    address: Callable[[StoredCluster], tuple[str, int]], remove: Callable[[str], None]
) -> None:
    """MiniStack has SQL run by containers, or else makes answers up: let it run by a server of ours.

    `address` returns where a cluster's server listens; `remove` is called with the ARN of a cluster that is deleted.
    """
    from ministack.services import rds, rds_data
    from ministack.services.cloudformation import provisioners

    resolve, delete = rds_data._resolve_target, provisioners._rds_db_cluster_delete

    def resolve_target(resource_arn: str) -> tuple[Any, Any, Any]:
        instance, engine, cluster = resolve(resource_arn)
        if instance is None or cluster is None or engine != "aurora-postgresql":
            return instance, engine, cluster
        host, port = address(cluster)
        served = {"_docker_container_id": "sm_local", "_internal_address": host, "_internal_port": port}
        return {**instance, **served, "Endpoint": {"Address": host, "Port": port}}, engine, cluster

    def delete_and_remove(identifier: str, properties: dict[str, Any]) -> None:
        if cluster := rds._clusters.get(identifier):
            remove(cluster["DBClusterArn"])
        delete(identifier, properties)

    rds_data._resolve_target = resolve_target
    provisioners._rds_db_cluster_delete = delete_and_remove
    handlers = provisioners._RESOURCE_HANDLERS
    handlers["AWS::RDS::DBCluster"] = {**handlers["AWS::RDS::DBCluster"], "delete": delete_and_remove}


def run_sql_on_threads() -> None:
    """MiniStack runs SQL on its one event loop, where a statement that waits for a lock stops everything for ever."""
    from ministack.services import rds_data

    handle = rds_data.handle_request
    threads = ThreadPoolExecutor(_MOST_STATEMENTS, thread_name_prefix="rds-data")

    async def handle_on_thread(*request: Any) -> Response:
        context = contextvars.copy_context()
        answer: Response = await asyncio.get_running_loop().run_in_executor(
            threads, lambda: context.run(asyncio.run, handle(*request))
        )
        return answer

    rds_data.handle_request = handle_on_thread


def check_who_may_read_the_secret() -> None:
    """MiniStack's Data API reads the secret itself; AWS's reads it with the permissions of the caller.

    https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/data-api.access.html
    """
    from ministack import app

    enforce = app._enforce_rds_data

    def enforce_both(method: str, path: str, headers: Any, body: bytes, query: Any, request_id: str) -> Any:
        if denied := enforce(method, path, headers, body, query, request_id):
            return denied
        try:
            secret = str(json.loads(body)["secretArn"])
        except (ValueError, KeyError, TypeError):
            return None  # refused for that
        return app._enforce_data_plane(
            "rds-data",
            "secretsmanager:GetSecretValue",
            headers,
            query,
            request_id,
            resource_arn=secret,
            named_resource=secret,
        )

    app._enforce_rds_data = enforce_both


def type_texts_as_the_data_api_does() -> None:
    """MiniStack writes texts into statements as literals, which PostgreSQL turns into any type.

    The Data API hands them over as varchar, which it does not: a cast that is missing must fail here, too.
    """
    from ministack.services import rds_data

    substitute = rds_data._substitute_named_params

    def substitute_typed(sql: str, parameters: Mapping[str, Any]) -> str:
        substituted = str(substitute(sql, parameters))
        for name, value in parameters.items():
            if isinstance(value, str):
                substituted = substituted.replace(f"%({name})s", f"CAST(%({name})s AS varchar)")
        return substituted

    rds_data._substitute_named_params = substitute_typed


def fail_sql_as_the_data_api_does() -> None:
    """MiniStack calls an error of PostgreSQL's a bad request: name it and its code as the Data API does."""
    from ministack.services import rds_data

    fail = rds_data._sql_execution_error

    def fail_with_state(error: Exception) -> Response:
        state, message = getattr(error, "pgcode", None), str(error).strip()
        if state is None or "statement timeout" in message:
            failed: Response = fail(error)
            return failed
        refused: Response = rds_data._error("DatabaseErrorException", f"ERROR: {message}; SQLState: {state}")
        return refused

    rds_data._sql_execution_error = fail_with_state
