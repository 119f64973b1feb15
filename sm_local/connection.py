"""What a process has in its environment when it works with the local AWS."""

from __future__ import annotations

import os
from collections.abc import Mapping

import boto3

from sm_local.cdk import tool_environment
from sm_local.errors import LocalAwsError
from sm_local.process import Server, find_server, server_health
from sm_local.project import Project
from sm_local.state import client_environment


def without_aws(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without anything that names a real AWS account.

    >>> without_aws({"AWS_PROFILE": "work", "HOME": "/home/me"})
    {'HOME': '/home/me'}
    """
    return {name: value for name, value in environment.items() if not name.startswith("AWS_")}


def local_environment(project: Project, server: Server, base: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a process that talks to this local AWS, and to no other.

    Args:
        project: Whose state directory has the certificate.
        server: Where to connect.
        base: The environment to start from; what it says about AWS is dropped.
    """
    return {**server_environment(base), **client_environment(server.port, project.state)}


def server_environment(base: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the server itself, which sets what it says about AWS by itself.

    A proxy that `base` names is not asked for what runs on this machine.
    """
    direct = ",".join(filter(None, (base.get("NO_PROXY") or base.get("no_proxy"), "127.0.0.1,localhost")))
    return {**tool_environment(without_aws(base)), "NO_PROXY": direct, "no_proxy": direct}


def running_server(project: Project) -> Server:
    """Return the server of the project.

    Raises:
        LocalAwsError: It is not up, or does not answer.
    """
    server = find_server(project.state)
    if server is None:
        raise LocalAwsError("The local AWS is not up: run `python -m sm_local up`.")
    if server_health(server, project.state) is None:
        raise LocalAwsError(
            f"The local AWS (process {server.pid}) does not answer at {server.url}: wait a moment if it is "
            "starting, else run `python -m sm_local down` and `python -m sm_local up`."
        )
    return server


def connect(project: Project) -> boto3.Session:
    """Make this whole process a client of the project's local AWS and return a session.

    Raises:
        LocalAwsError: It is not up, or does not answer.
    """
    environment = local_environment(project, running_server(project), os.environ)
    os.environ.clear()
    os.environ.update(environment)
    return boto3.Session()
