"""The machines of a training job, all of which are this one."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sm_local.sagemaker.jobs.job import JobFailedError
from sm_local.sagemaker.jobs.paths import OPT_ML, local


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One of the machines that train together.

    Args:
        name: Its address, by which the others reach it.
        names: Those of all hosts, its own included.
        directory: What is ``/opt/ml`` on SageMaker.
        instance_type: What the job says it is.
    """

    name: str
    names: Sequence[str]
    directory: Path
    instance_type: str

    @property
    def code(self) -> Path:
        return self.directory / "code"

    @property
    def model(self) -> Path:
        return self.directory / "model"

    @property
    def output_data(self) -> Path:
        return self.directory / "output" / "data"

    @property
    def failure(self) -> Path:
        return self.directory / "output" / "failure"

    @property
    def network_interface(self) -> str:
        """The loopback interface, on which all hosts are."""
        return "lo0" if sys.platform == "darwin" else "lo"

    def local(self, value: str) -> str:
        """Return a text with this host's directory for ``/opt/ml``."""
        return local(value, {OPT_ML: self.directory})

    def channel(self, name: str) -> Path:
        """Return where a channel's data are."""
        return self.directory / "input" / "data" / name

    def prepare(self, hyperparameters: Mapping[str, str], channels: Mapping[str, Mapping[str, str]]) -> None:
        """Make the directories and ``input/config``, as a container finds them."""
        config = self.directory / "input" / "config"
        for directory in (config, self.model, self.output_data, self.code):
            directory.mkdir(parents=True, exist_ok=True)
        for name, content in (
            ("hyperparameters", hyperparameters),
            ("resourceconfig", self.resource_config),
            ("inputdataconfig", channels),
        ):
            (config / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")

    @property
    def resource_config(self) -> dict[str, Any]:
        """What ``resourceconfig.json`` says."""
        group = {"instance_group_name": "homogeneousCluster", "instance_type": self.instance_type}
        return {
            "current_host": self.name,
            "current_instance_type": self.instance_type,
            "current_group_name": group["instance_group_name"],
            "hosts": list(self.names),
            "instance_groups": [{**group, "hosts": list(self.names)}],
            "network_interface_name": self.network_interface,
        }


def host_names(count: int) -> list[str]:
    """Return the addresses of so many hosts, all of them this machine.

    Raises:
        JobFailedError: This machine does not have so many.

    >>> host_names(2)
    ['127.0.0.1', '127.0.0.2']
    """
    names = [f"127.0.0.{number}" for number in range(1, count + 1)]
    for name in names[1:]:
        try:
            socket.create_server((name, 0)).close()
        except OSError as error:
            raise JobFailedError(
                f"ClientError: host {name} has no address on this machine ({error.strerror}). Linux has them all; on "
                f"macOS add it by `sudo ifconfig lo0 alias {name} up`."
            ) from error
    return names
