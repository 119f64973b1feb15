"""Models: what ``CreateModel`` keeps, and what serving needs to know of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sm_local.sagemaker.errors import invalid
from sm_local.sagemaker.model_data import ModelData, S3Location
from sm_local.sagemaker.registry import Parameters, Registry
from sm_local.sagemaker.role import AssumedRole


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerDefinition:
    """One container of a model.

    Args:
        name: As errors and logs name it.
        image: Decides only whether the role may pull it: the local AWS serves everything in its own Python.
        data: The model's files; None when the image holds them.
        environment: The container's environment variables.
        many_models: Whether the data is a prefix of archives, one of which each call names.
        cached: Whether such archives stay loaded from one call to the next.
    """

    name: str
    image: str | None
    data: ModelData | None
    environment: Mapping[str, str]
    many_models: bool = False
    cached: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model, ready to be served.

    Args:
        name: Its name.
        role_arn: The execution role.
        containers: One, or several that form a pipeline or are called directly.
        direct: Whether callers choose one of the containers.
        network_isolation: Whether the containers get no credentials.
    """

    name: str
    role_arn: str
    containers: tuple[ContainerDefinition, ...]
    direct: bool = False
    network_isolation: bool = False

    @property
    def many_models(self) -> bool:
        """Whether callers name the archive to use."""
        return any(container.many_models for container in self.containers)


class Models:
    """All models of the local AWS.

    Args:
        describe_package: Answers ``DescribeModelPackage`` for a name or an ARN.
    """

    def __init__(self, describe_package: Callable[[str], Parameters]) -> None:
        self._describe_package = describe_package
        self._records: Registry[Parameters] = Registry("model", "model")

    def create(self, parameters: Parameters) -> Parameters:
        """Keep a model once its role is seen to read the data and pull the images, as SageMaker does."""
        name = parameters["ModelName"]
        if ("PrimaryContainer" in parameters) == bool(parameters.get("Containers")):
            raise invalid("You must specify either PrimaryContainer or Containers, and not both.")
        model = self.parse(parameters)
        role = AssumedRole(model.role_arn)
        for container in model.containers:
            if container.data:
                container.data.check_readable(role)
            if container.image:
                role.check_can_pull(container.image)
        arn = self._records.arn(name)
        self._records.add(name, {**parameters, "ModelArn": arn, "CreationTime": time.time()})
        return {"ModelArn": arn}

    def describe(self, parameters: Parameters) -> Parameters:
        """Return what was created."""
        record = self._records.get(parameters["ModelName"])
        shown = {name: value for name, value in record.items() if name != "Tags"}
        return {"EnableNetworkIsolation": False, **shown}

    def delete(self, parameters: Parameters) -> Parameters:
        """Forget a model; what serves it goes on."""
        self._records.remove(parameters["ModelName"])
        return {}

    def list(self, parameters: Parameters) -> Parameters:
        """Return the models whose names contain ``NameContains``."""
        wanted = parameters.get("NameContains", "").lower()
        return {
            "Models": [
                {"ModelName": name, "ModelArn": record["ModelArn"], "CreationTime": record["CreationTime"]}
                for name, record in self._records.items()
                if wanted in name.lower()
            ]
        }

    def get(self, name: str) -> Model:
        """Return the model of a name.

        Raises:
            SageMakerError: There is none.
        """
        return self.parse(self._records.get(name))

    def parse(self, parameters: Parameters) -> Model:
        """Return the model that ``CreateModel``'s parameters describe.

        Raises:
            SageMakerError: They cannot be served.
        """
        if "ExecutionRoleArn" not in parameters:
            raise invalid("ExecutionRoleArn is required.")
        several = parameters.get("Containers") or []
        definitions = several or [parameters["PrimaryContainer"]]
        containers = tuple(
            self._container(definition, _name(definition, position if several else None))
            for position, definition in enumerate(definitions, start=1)
        )
        if any(container.many_models for container in containers) and len(containers) > 1:
            raise invalid("A model with a MultiModel container cannot have further containers.")
        return Model(
            name=parameters["ModelName"],
            role_arn=parameters["ExecutionRoleArn"],
            containers=containers,
            direct=parameters.get("InferenceExecutionConfig", {}).get("Mode") == "Direct",
            network_isolation=bool(parameters.get("EnableNetworkIsolation")),
        )

    def _container(self, definition: Parameters, name: str) -> ContainerDefinition:
        if package := definition.get("ModelPackageName"):
            definition = {**self._from_package(package), **definition}
        many = definition.get("Mode") == "MultiModel"
        return ContainerDefinition(
            name=name,
            image=definition.get("Image"),
            data=_model_data(definition, many=many),
            environment=definition.get("Environment") or {},
            many_models=many,
            cached=definition.get("MultiModelConfig", {}).get("ModelCacheSetting") != "Disabled",
        )

    def _from_package(self, package: str) -> Parameters:
        described = self._describe_package(package)
        if described.get("ModelApprovalStatus") not in (None, "Approved"):
            raise invalid(f"Model package {package} is not approved: {described['ModelApprovalStatus']}.")
        try:
            (container,) = described["InferenceSpecification"]["Containers"]
        except (KeyError, ValueError) as error:
            raise invalid(f"Model package {package} has no inference specification with one container.") from error
        names = ("Image", "ModelDataUrl", "ModelDataSource", "Environment")
        return {name: container[name] for name in names if name in container}


def _name(definition: Parameters, position: int | None) -> str:
    if position is None:
        return "primary"
    return str(definition.get("ContainerHostname") or f"container-{position}")


def _model_data(definition: Parameters, *, many: bool) -> ModelData | None:
    if source := definition.get("ModelDataSource", {}).get("S3DataSource"):
        prefix = source["S3DataType"] == "S3Prefix"
        if prefix and not source["S3Uri"].endswith("/"):
            raise invalid(f"S3Uri {source['S3Uri']} of an S3Prefix must end with a forward slash.")
        compressed = source["CompressionType"] == "Gzip"
        if prefix and compressed:
            raise invalid("ModelDataSource: CompressionType Gzip takes an S3Object, not an S3Prefix.")
        return ModelData(location=S3Location.parse(source["S3Uri"]), compressed=compressed, prefix=prefix)
    if url := definition.get("ModelDataUrl"):
        return ModelData(location=S3Location.parse(url), prefix=many)
    return None
