"""What AWS's sagemaker-training toolkit does in a training container: find the script, tell it all, run it.

https://github.com/aws/sagemaker-training-toolkit
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from sm_local.sagemaker.archive import unpack
from sm_local.sagemaker.jobs.host import Host
from sm_local.sagemaker.jobs.job import JobFailedError
from sm_local.sagemaker.jobs.paths import OPT_ML
from sm_local.sagemaker.model_data import S3Location
from sm_local.sagemaker.role import AssumedRole

_TOOLKIT = "sagemaker_"


@dataclass(frozen=True, slots=True)
class Script:
    """The script that the hyperparameters name, and what it is told.

    Args:
        hyperparameters: As the job has them: all are strings.
    """

    hyperparameters: Mapping[str, str]

    @property
    def program(self) -> str:
        """The script's path in the code. Raises JobFailedError when none is named."""
        try:
            return str(decoded(self.hyperparameters["sagemaker_program"]))
        except KeyError as error:
            raise JobFailedError(
                "AlgorithmError: the local SageMaker runs scripts: name one by the hyperparameter sagemaker_program, "
                "or a command by AlgorithmSpecification.ContainerEntrypoint"
            ) from error

    @property
    def own(self) -> dict[str, Any]:
        """The hyperparameters that are the script's, decoded."""
        return {name: decoded(value) for name, value in self.hyperparameters.items() if not name.startswith(_TOOLKIT)}

    def fetch(self, host: Host, role: AssumedRole, *, isolated: bool) -> None:
        """Unpack the code.

        Raises:
            JobFailedError: It cannot be had, or has no such script.
        """
        source = str(decoded(self.hyperparameters.get("sagemaker_submit_directory", f"{OPT_ML}/code")))
        if source.startswith("s3://") and isolated:
            raise JobFailedError(
                f"AlgorithmError: with network isolation the container cannot download {source}: put the code into a "
                "channel and name it by its path, such as /opt/ml/input/data/code/sourcedir.tar.gz"
            )
        try:
            _fetch(source, host, role)
        except (ClientError, OSError, EOFError, tarfile.TarError) as error:
            raise JobFailedError(
                f"AlgorithmError: framework error: cannot use the code in {source}: {error}"
            ) from error
        if not (host.code / self.program).is_file():
            raise JobFailedError(f"AlgorithmError: framework error: there is no {self.program} in {source}")

    def command(self, host: Host) -> list[str]:
        """Return the command that a host runs."""
        return [sys.executable, self.program, *(host.local(one) for one in command_line(self.own))]

    def variables(self, host: Host, channels: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
        """Return the toolkit's environment variables."""
        own, directory = self.own, host.directory
        framework = {name: decoded(value) for name, value in self.hyperparameters.items() if name.startswith(_TOOLKIT)}
        arguments = command_line(own)
        processors = os.cpu_count() or 1
        known: dict[str, Any] = {
            "hosts": list(host.names),
            "current_host": host.name,
            "current_instance_type": host.instance_type,
            "network_interface_name": host.network_interface,
            "hps": own,
            "user_entry_point": self.program,
            "framework_params": framework,
            "resource_config": host.resource_config,
            "input_data_config": channels,
            "channels": sorted(channels),
            "module_name": Path(self.program).stem,
            "module_dir": host.local(str(framework.get("sagemaker_submit_directory", host.code))),
            "log_level": int(framework.get("sagemaker_container_log_level", 20)),
            "input_dir": str(directory / "input"),
            "input_config_dir": str(directory / "input" / "config"),
            "model_dir": str(host.model),
            "output_dir": str(directory / "output"),
            "output_data_dir": str(host.output_data),
            "output_intermediate_dir": str(directory / "output" / "intermediate"),
            "num_cpus": processors,
            "num_gpus": 0,
            "num_neurons": 0,
            "user_args": arguments,
        }
        names = {"hps": "hyperparameters", "channels": "channel_input_dirs"}
        whole = {names.get(name, name): value for name, value in known.items()}
        whole["channel_input_dirs"] = {name: str(host.channel(name)) for name in channels}
        known["training_env"] = {
            **whole,
            "is_master": host.name == sorted(host.names)[0],
            "master_hostname": sorted(host.names)[0],
            "job_name": framework.get("sagemaker_job_name"),
        }
        return {
            **{f"SM_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
               for name, value in known.items()},
            **{f"SM_CHANNEL_{name.upper()}": str(host.channel(name)) for name in channels},
            **{f"SM_HP_{name.upper()}": host.local(_text(value)) for name, value in own.items()},
            "PYTHONPATH": str(host.code),
            "SAGEMAKER_BASE_DIR": str(directory),
        }  # fmt: skip


def decoded(value: str) -> Any:
    """Return the JSON that a hyperparameter is, else the text itself.

    >>> [decoded(value) for value in ("3", "true", '"log_loss"', "log_loss")]
    [3, True, 'log_loss', 'log_loss']
    """
    try:
        return json.loads(value)
    except ValueError:
        return value


def command_line(hyperparameters: Mapping[str, Any]) -> list[str]:
    """Return hyperparameters as the toolkit hands them to a script.

    >>> command_line({"ngram_max": 3, "text_features": True, "C": 0.5})
    ['-C', '0.5', '--ngram_max', '3', '--text_features', 'True']
    """
    named = ((f"--{name}" if len(name) > 1 else f"-{name}", _text(hyperparameters[name]))
             for name in sorted(hyperparameters))  # fmt: skip
    return [part for pair in named for part in pair]


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(f"{name}={one}" for name, one in sorted(value.items()))
    return str(value)


def _fetch(source: str, host: Host, role: AssumedRole) -> None:
    if source.startswith("s3://"):
        where = S3Location.parse(source)
        archive = host.directory / "sourcedir.tar.gz"
        role.s3.download_file(where.bucket, where.key, str(archive))
        unpack(archive, host.code)
        archive.unlink()
        return
    path = Path(host.local(source))
    if path == host.code:
        return
    if path.is_dir():
        shutil.copytree(path, host.code, dirs_exist_ok=True)
    elif tarfile.is_tarfile(path):
        unpack(path, host.code)
    else:
        shutil.copy2(path, host.code)
