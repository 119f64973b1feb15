"""One container of a model: its data, its image, its environment."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from aws_cdk import Token
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from sm_constructs.model.bound_data import BoundData
from sm_constructs.model.data import ModelData
from sm_constructs.model.framework import Framework

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ContainerDefinition.html
_HOSTNAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
_VARIABLE = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,1023}")
_ENVIRONMENT_BYTES = 32 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Container:
    """One of a model's containers.

    Args:
        data: Where the container's data comes from.
        framework: The image, and what it needs. Omitted only for a model package, which says it.
        environment: Further environment variables, which win over the framework's. When omitted: none.
        hostname: The container's name in logs and metrics, and in calls to it alone; up to 63 letters, digits and
            hyphens. When omitted: SageMaker names it after its place.
    """

    data: ModelData
    framework: Framework | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    hostname: str | None = None

    @property
    def all_variables(self) -> dict[str, str]:
        """The environment variables, the framework's among them."""
        return {**(self.framework.environment if self.framework else {}), **self.environment}

    def problems(self, scope: Construct) -> Iterator[str]:
        """Yield what SageMaker would refuse, one line each."""
        if self.data.is_package and self.framework:
            yield "framework with a model package: the package says it: leave framework out"
        elif not self.data.is_package and self.framework is None:
            yield "framework is missing: only a model package goes without"
        yield from self.data.problems(scope, self.framework.required_files if self.framework else ())
        if self.framework:
            yield from self.framework.image.problems(scope)
        yield from _environment_problems(self.all_variables)
        if (
            self.hostname is not None
            and not Token.is_unresolved(self.hostname)
            and not _HOSTNAME.fullmatch(self.hostname)
        ):
            yield f"hostname is '{self.hostname}': must be up to 63 letters, digits and, inside, hyphens"

    def definition(self, scope: Construct, bound: BoundData) -> sagemaker.CfnModel.ContainerDefinitionProperty:
        """Return what the template says of the container."""
        return sagemaker.CfnModel.ContainerDefinitionProperty(
            container_hostname=self.hostname,
            environment=self.all_variables or None,
            image=self.framework.image.uri(scope) if self.framework else None,
            mode="MultiModel" if self.data.is_multi_model else None,
            model_data_source=bound.model_data_source,
            model_data_url=bound.model_data_url,
            model_package_name=bound.model_package_name,
            multi_model_config=bound.multi_model_config,
        )


def pipeline_problems(containers: Sequence[Container], *, direct: bool) -> Iterator[str]:
    """Yield what is wrong with several containers together.

    https://docs.aws.amazon.com/sagemaker/latest/dg/inference-pipelines.html
    https://docs.aws.amazon.com/sagemaker/latest/dg/multi-container-create.html
    https://docs.aws.amazon.com/sagemaker/latest/dg/multi-model-endpoints.html
    """
    if not 2 <= len(containers) <= 15:
        yield f"containers are {len(containers)}: must be from 2 to 15; for one pass data and framework"
    hostnames = [container.hostname for container in containers]
    if any(hostnames) and not all(hostnames):
        yield "some containers have a hostname and others none: give one to each or to none"
    if direct and not any(hostnames):
        yield "direct_invocation without hostnames: calls name the container: give each a hostname"
    for name, times in Counter(name for name in hostnames if name and not Token.is_unresolved(name)).items():
        if times > 1:
            yield f"hostname '{name}' is used {times} times: name each after what tells it from the others"
    if sum(container.data.is_multi_model for container in containers) > 1:
        yield "several containers are multi-model: one of them may be"
    processors = {each.framework.image.processor for each in containers if each.framework} - {None}
    if "graviton" in processors and len(processors) > 1:
        yield "some images are for graviton and others are not: all containers run on the same instances"


def environment_size_problems(containers: Sequence[Container]) -> Iterator[str]:
    """Yield that the environments of all containers together are too large."""
    size = sum(len(f"{name}{value}".encode()) for each in containers for name, value in each.all_variables.items())
    if size > _ENVIRONMENT_BYTES:
        yield f"environment variables have {size} bytes together: SageMaker takes at most 32 KB"


def _environment_problems(environment: Mapping[str, str]) -> Iterator[str]:
    if len(environment) > 100:
        yield f"environment has {len(environment)} variables, with the framework's: SageMaker takes at most 100"
    for name, value in environment.items():
        if not _VARIABLE.fullmatch(name):
            yield f"environment variable '{name}': a name is letters, digits and underscores, not a digit first"
        if not Token.is_unresolved(value) and len(value) > 1024:
            yield f"environment variable '{name}' has {len(value)} characters: SageMaker takes at most 1024"
