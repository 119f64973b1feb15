"""Putting another model into service at an endpoint, and taking it out again: pure decisions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

# What CreateEndpointConfig takes of what DescribeEndpointConfig answers.
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateEndpointConfig.html
_CONFIG_FIELDS = (
    "AsyncInferenceConfig",
    "DataCaptureConfig",
    "EnableNetworkIsolation",
    "ExecutionRoleArn",
    "ExplainerConfig",
    "KmsKeyId",
    "MetricsConfig",
    "ProductionVariants",
    "ShadowProductionVariants",
    "VpcConfig",
)
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModel.html
_MODEL_FIELDS = ("EnableNetworkIsolation", "ExecutionRoleArn", "InferenceExecutionConfig", "VpcConfig")

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeEndpoint.html
_MOVING = ("Creating", "RollingBack", "SystemUpdating", "Updating")


class PromotionError(Exception):
    """A model cannot be put into service. The message says why, and what can be done."""


class EndpointBusyError(Exception):
    """The endpoint moves to another model, or is about to: it is waited for."""


class DeploymentRunningError(Exception):
    """The stack is being deployed, by what was remembered when that began: it is waited for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Version:
    """A model that is, or was, in service.

    Args:
        model_data: The ``s3://`` URL of its archive.
        model_version: What it calls itself in its answers. None where nobody said.
        training_id: The training that made it. None for the stack's own model.
        model_package_arn: Its version in the Model Registry. None where there is none.
    """

    model_data: str
    model_version: str | None = None
    training_id: str | None = None
    model_package_arn: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """What is remembered of promotions, in a parameter that the next deployment reads.

    Args:
        current: The model that was promoted last. None: the stack's own model is in service.
        previous: What was in service before it, by which a rollback replaces it. None: nothing was promoted yet.
            A version whose ``model_data`` is empty means the stack's own model.
    """

    current: Version | None = None
    previous: Version | None = None

    @classmethod
    def read(cls, value: str) -> Memory:
        """Return what a parameter's value says.

        >>> Memory.read('{"current": null}') == Memory()
        True
        """
        document = json.loads(value)
        return cls(**{name: Version(**found) for name in ("current", "previous") if (found := document.get(name))})

    def write(self) -> str:
        """Return the parameter's value."""
        return json.dumps({"current": _fields(self.current), "previous": _fields(self.previous)})

    def promoted(self, version: Version) -> Memory:
        """Return what is remembered once ``version`` is in service; a rollback takes back what differs from it."""
        current = self.current or Version(model_data="")
        previous = self.previous if version.model_data == current.model_data else current
        return Memory(current=version if version.model_data else None, previous=previous)

    def back(self) -> Version:
        """Return the version that a rollback puts into service; its ``model_data`` is empty for the stack's own.

        Raises:
            PromotionError: Nothing was promoted yet.
        """
        if self.previous is None:
            raise PromotionError("there is nothing to roll back to: no model was promoted yet")
        return self.previous


def target(request: object, memory: Memory) -> Version:
    """Return the version that an execution's input asks for.

    Args:
        request: ``{"model_data": "s3://…", …}`` with the other fields of :class:`Version` as they are known, and
            ``replaces``, see :func:`check_replaced`; or ``{"rollback": true}``; or ``{"initial": true}`` for the
            stack's own model.
        memory: What is remembered.

    Raises:
        PromotionError: It asks for none of these, or there is nothing to roll back to.
    """
    known = {*Version.__dataclass_fields__, "replaces"}
    fields = f"{', '.join(sorted(known))}, or rollback or initial alone"
    if not isinstance(request, Mapping):
        raise PromotionError(f"the input is {str(request)[:40]!r}: must be an object with {fields}")
    if request.get("rollback") is True and len(request) == 1:
        return memory.back()
    if request.get("initial") is True and len(request) == 1:
        return Version(model_data="")
    if unknown := sorted(set(request) - known):
        raise PromotionError(f"unknown: {', '.join(unknown)}; the input has {fields}")
    model_data = request.get("model_data")
    if not (isinstance(model_data, str) and model_data.startswith("s3://") and model_data.endswith(".tar.gz")):
        raise PromotionError(f"model_data is {model_data!r}: must be the s3:// URL of a model.tar.gz")
    return Version(**{name: value for name, value in request.items() if name != "replaces"})


def as_request(version: Version) -> dict[str, object]:
    """Return the request that asks for a version, whatever else is remembered by then.

    >>> as_request(Version(model_data="")), as_request(Version(model_data="s3://b/model.tar.gz", training_id="t"))
    ({'initial': True}, {'model_data': 's3://b/model.tar.gz', 'training_id': 't'})
    """
    return dict(_fields(version) or {}) if version.model_data else {"initial": True}


def check_turn(execution: str, running: Mapping[str, datetime], status: str) -> None:
    """Check that nobody else moves the endpoint, and that no promotion began earlier that still will.

    Args:
        execution: The name of the one that asks.
        running: When each promotion began that has not ended, by its name.
        status: The endpoint's.

    Raises:
        EndpointBusyError: It is another one's turn.
    """
    if status in _MOVING:
        raise EndpointBusyError(f"the endpoint is {status}")
    first = min(running, key=lambda name: (running[name], name), default=execution)
    if first != execution:
        raise EndpointBusyError(f"the promotion {first} began earlier and has not ended")


def is_deployed_now(status: str) -> bool:
    """Return whether a stack is being deployed, by its status. It is not waited for that it is deleted.

    >>> [is_deployed_now(f"{status}_IN_PROGRESS") for status in ("UPDATE", "UPDATE_ROLLBACK", "DELETE")]
    [True, True, False]
    >>> is_deployed_now("UPDATE_ROLLBACK_COMPLETE")
    False
    """
    return status.endswith("_IN_PROGRESS") and status != "DELETE_IN_PROGRESS"


def check_name(taken: bool) -> None:
    """Check that nothing has the name yet of what a promotion makes.

    Args:
        taken: Whether something has.

    Raises:
        PromotionError: It has: Step Functions takes a name again 90 days after its execution.
    """
    if taken:
        raise PromotionError("an earlier promotion of this name has left its model: start it again by another name")


def check_replaced(request: Mapping[str, Any], in_service: str) -> None:
    """Check that the model in service is the one that a new model was compared with.

    Args:
        request: Its ``replaces`` is the ``s3://`` URL of the archive that has to be in service; without it any may be.
        in_service: The one that is.

    Raises:
        PromotionError: Another one is in service.
    """
    if (replaces := request.get("replaces")) is not None and replaces != in_service:
        raise PromotionError(
            f"the model was compared with {replaces}, and meanwhile {in_service} has come into service, which may be "
            "better: train again to compare with it"
        )


def archive_of(model: Mapping[str, Any]) -> str:
    """Return the ``s3://`` URL of a model's archive, of what DescribeModel answers.

    Raises:
        PromotionError: It has several containers, or none with an archive.
    """
    container = model.get("PrimaryContainer") or {}
    url = container.get("ModelDataUrl") or container.get("ModelDataSource", {}).get("S3DataSource", {}).get("S3Uri")
    if not url:
        raise PromotionError("the model in service is not one container with an archive: nothing tells what to replace")
    return str(url)


def model_request(model: Mapping[str, Any], *, name: str, model_data: str) -> dict[str, Any]:
    """Return the request that creates a model like another one, of other data.

    Args:
        model: What DescribeModel answers of the model in service.
        name: The new model's name.
        model_data: The ``s3://`` URL of the new model's archive.

    Raises:
        PromotionError: It has several containers, or none with an archive.
    """
    archive_of(model)
    container = model["PrimaryContainer"]
    kept = {field: container[field] for field in ("ContainerHostname", "Environment", "Image") if container.get(field)}
    return {
        "ModelName": name,
        "PrimaryContainer": {**kept, "ModelDataUrl": model_data},
        **{field: model[field] for field in _MODEL_FIELDS if model.get(field)},
    }


def config_request(config: Mapping[str, Any], *, name: str, old_model: str) -> dict[str, Any]:
    """Return the request that creates a configuration like another one, with a new model instead of an old one.

    Args:
        config: What DescribeEndpointConfig answers of the configuration in service.
        name: The new configuration's name, and that of its model.
        old_model: The name of the model that is replaced.
    """
    request = {field: config[field] for field in _CONFIG_FIELDS if config.get(field)}
    for variants in ("ProductionVariants", "ShadowProductionVariants"):
        if variants in request:
            request[variants] = [
                {**variant, "ModelName": name} if variant.get("ModelName") == old_model else variant
                for variant in request[variants]
            ]
    return {"EndpointConfigName": name, **request}


def model_in_service(config: Mapping[str, Any]) -> str:
    """Return the name of the model that a configuration's first variant serves.

    Raises:
        PromotionError: It serves inference components.
    """
    name = config["ProductionVariants"][0].get("ModelName")
    if not name:
        raise PromotionError("the endpoint serves inference components: it has no model that could be replaced")
    return str(name)


def configs_in_use(endpoint: Mapping[str, Any]) -> set[str]:
    """Return the names of the configurations that an endpoint serves, or is moving to or back to."""
    pending = endpoint.get("PendingDeploymentSummary") or {}
    return {name for name in (endpoint.get("EndpointConfigName"), pending.get("EndpointConfigName")) if name}


def unused(made: Iterable[str], in_use: Iterable[str]) -> list[str]:
    """Return what was made and is not in use, in order of name.

    >>> unused(["p-2", "p-1"], ["p-2", "Model-7"])
    ['p-1']
    """
    return sorted(set(made) - set(in_use))


def _fields(version: Version | None) -> dict[str, str] | None:
    return None if version is None else {name: value for name, value in asdict(version).items() if value is not None}
