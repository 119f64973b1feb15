"""Inference components: the operations on them.

https://docs.aws.amazon.com/sagemaker/latest/dg/inference-components.html
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future

from sm_local.sagemaker.assembly import INSTANCE_THREADS
from sm_local.sagemaker.backend import Place
from sm_local.sagemaker.capacity import Instances
from sm_local.sagemaker.component import Component, Served
from sm_local.sagemaker.config import STARTUP_SECONDS
from sm_local.sagemaker.containers import backend
from sm_local.sagemaker.endpoint import Endpoint
from sm_local.sagemaker.errors import invalid
from sm_local.sagemaker.guardrails import ALL_AT_ONCE, rolling_plan
from sm_local.sagemaker.metrics import COMPONENT, CONTAINER, MULTI_MODEL, Publisher
from sm_local.sagemaker.models import Model
from sm_local.sagemaker.registry import Parameters, Registry
from sm_local.sagemaker.role import AssumedRole
from sm_local.sagemaker.surroundings import Surroundings


class Components:
    """All inference components of the local AWS.

    Args:
        endpoint: Returns the endpoint of a name.
        surroundings: The local AWS.
    """

    def __init__(self, endpoint: Callable[[str], Endpoint], surroundings: Surroundings) -> None:
        self._endpoint = endpoint
        self._surroundings = surroundings
        self._records: Registry[Component] = Registry("inference-component", "inference component")

    def create(self, parameters: Parameters) -> Parameters:
        """Answer at once, as SageMaker does, and start the copies in the background."""
        self.start_creation(parameters)
        return {"InferenceComponentArn": self._records.arn(parameters["InferenceComponentName"])}

    def start_creation(self, parameters: Parameters) -> Future[None]:
        """Begin to create a component; the future ends when it is ``InService`` or raises why it failed."""
        name, endpoint = parameters["InferenceComponentName"], self._endpoint(parameters["EndpointName"])
        if not endpoint.config.hosts_components:
            raise invalid(
                f'Endpoint "{endpoint.arn}" hosts models of its production variants: inference components take an '
                "endpoint configuration without ModelName."
            )
        if endpoint.status != "InService":
            raise invalid(f'Endpoint "{endpoint.arn}" is not in service: {endpoint.status}.')
        variants = [variant.name for variant in endpoint.config.variants]
        variant_name = parameters.get("VariantName", variants[0])
        if variant_name not in variants:
            raise invalid(f'Variant {variant_name} was not found in endpoint "{endpoint.arn}".')
        component = Component(
            name,
            self._records.arn(name),
            endpoint_name=endpoint.name,
            variant_name=variant_name,
            metrics=Publisher(self._surroundings.metrics, COMPONENT, ({"InferenceComponentName": name},)),
            clock=self._surroundings.clock,
            alarms=self._surroundings.alarms,
        )
        copies = parameters.get("RuntimeConfig", {}).get("CopyCount", 1)
        served = self._served(component, endpoint, _specification(parameters, endpoint, variant_name), copies)
        self._records.add(name, component)
        return component.deploy(served, ALL_AT_ONCE, if_it_fails="Failed")

    def update(self, parameters: Parameters) -> Parameters:
        """Answer at once, and exchange the model or change the number of copies in the background."""
        self.start_update(parameters)
        return {"InferenceComponentArn": self._records.arn(parameters["InferenceComponentName"])}

    def start_update(self, parameters: Parameters) -> Future[None]:
        """Begin to update a component; the future ends when that is over, or undone."""
        component = self._records.get(parameters["InferenceComponentName"])
        endpoint = self._endpoint(component.endpoint_name)
        before = component.traffic.fleet
        copies_before = before.copies.count if before else 1
        copies = parameters.get("RuntimeConfig", {}).get("CopyCount", copies_before)
        if "Specification" not in parameters and "Specifications" not in parameters:
            return component.resize(copies)
        deployment = parameters.get("DeploymentConfig")
        planned = rolling_plan(deployment, copies_before)
        specification = _specification(parameters, endpoint, component.variant_name)
        served = self._served(component, endpoint, specification, copies)
        component.begin_update()
        component.last_deployment = deployment
        return component.deploy(served, planned, if_it_fails="InService" if before else "Failed")

    def update_runtime(self, parameters: Parameters) -> Parameters:
        """Answer at once, and change the number of copies in the background."""
        component = self._records.get(parameters["InferenceComponentName"])
        component.resize(parameters["DesiredRuntimeConfig"]["CopyCount"])
        return {"InferenceComponentArn": component.arn}

    def describe(self, parameters: Parameters) -> Parameters:
        """Return the state of a component."""
        component = self._records.get(parameters["InferenceComponentName"])
        shown = self._summary(component)
        if component.failure_reason:
            shown["FailureReason"] = component.failure_reason[:1024]
        if component.last_deployment:
            shown["LastDeploymentConfig"] = component.last_deployment
        if served := component.traffic.fleet:
            shown["Specification"] = _shown(served.specification)
            count = served.copies.count
            shown["RuntimeConfig"] = {"DesiredCopyCount": count, "CurrentCopyCount": count}
        return shown

    def delete(self, parameters: Parameters) -> Parameters:
        """Stop a component and forget it."""
        self._records.remove(parameters["InferenceComponentName"]).delete()
        return {}

    def list(self, parameters: Parameters) -> Parameters:
        """Return the components whose names contain ``NameContains``, on ``EndpointNameEquals``."""
        wanted, endpoint = parameters.get("NameContains", "").lower(), parameters.get("EndpointNameEquals")
        return {
            "InferenceComponents": [
                self._summary(component)
                for name, component in self._records.items()
                if wanted in name.lower() and endpoint in (None, component.endpoint_name)
            ]
        }

    def find(self, name: str, endpoint_name: str) -> Component | None:
        """Return the component of a name if it is on this endpoint."""
        component = self._records.find(name)
        return component if component and component.endpoint_name == endpoint_name else None

    def on(self, endpoint_name: str) -> tuple[str, ...]:
        """Return the names of the components on an endpoint."""
        return tuple(name for name, component in self._records.items() if component.endpoint_name == endpoint_name)

    def shut_down(self) -> None:
        """Stop every process."""
        for component in self._records.clear():
            component.delete()

    def _summary(self, component: Component) -> Parameters:
        return {
            "InferenceComponentName": component.name,
            "InferenceComponentArn": component.arn,
            "EndpointName": component.endpoint_name,
            "EndpointArn": self._endpoint(component.endpoint_name).arn,
            "VariantName": component.variant_name,
            "InferenceComponentStatus": component.status,
            "CreationTime": component.created,
            "LastModifiedTime": component.modified,
        }

    def _served(self, component: Component, endpoint: Endpoint, specification: Parameters, copies: int) -> Served:
        around = self._surroundings
        model = self._model(endpoint, specification)
        role = AssumedRole(model.role_arn)
        directory = around.state.endpoints / endpoint.name / f"{component.name}-{time.time_ns()}"
        startup = specification.get("StartupParameters", {})
        served = backend(
            model,
            Place(
                role=role,
                directory=directory,
                log_file=around.state.endpoint_logs / f"{endpoint.name}.log",
                log_group=f"/aws/sagemaker/InferenceComponents/{component.name}",
                log_stream=f"{component.variant_name}/i-local0001",
                variant_name=component.variant_name,
                startup_seconds=startup.get("ContainerStartupHealthCheckTimeoutInSeconds", STARTUP_SECONDS),
                threads=INSTANCE_THREADS,
                network_isolation=model.network_isolation,
                clock=around.clock,
                multi_model_metrics=Publisher(around.metrics, MULTI_MODEL, ()),
                container_metrics=lambda _name: Publisher(around.metrics, CONTAINER, ()),
            ),
        )
        return Served(specification, Instances(served, copies), directory, role)

    def _model(self, endpoint: Endpoint, specification: Parameters) -> Model:
        if "BaseInferenceComponentName" in specification:
            raise invalid("The local SageMaker does not have adapter inference components.")
        if name := specification.get("ModelName"):
            return self._surroundings.models.get(name)
        container = specification.get("Container")
        if not container:
            raise invalid("Specification must have a ModelName or a Container.")
        definition = {name: container[name] for name in ("Image", "Environment") if name in container}
        if "ArtifactUrl" in container:
            definition["ModelDataUrl"] = container["ArtifactUrl"]
        return self._surroundings.models.parse(
            {
                "ModelName": endpoint.name,
                "ExecutionRoleArn": endpoint.config.parameters["ExecutionRoleArn"],
                "PrimaryContainer": definition,
                "EnableNetworkIsolation": endpoint.config.parameters.get("EnableNetworkIsolation", False),
            }
        )


def _specification(parameters: Parameters, endpoint: Endpoint, variant_name: str) -> Parameters:
    """Return the specification for the variant's instance type."""
    single, several = parameters.get("Specification"), parameters.get("Specifications")
    if bool(single) == bool(several):
        raise invalid("Either Specification or Specifications must be given, and not both.")
    if single:
        return dict(single)
    (instance_type,) = {one.instance_type for one in endpoint.config.variants if one.name == variant_name}
    for one in several or ():
        if one.get("InstanceType") == instance_type:
            return dict(one)
    raise invalid(f"None of the Specifications is for instance type {instance_type}.")


def _shown(specification: Parameters) -> Parameters:
    """Return a specification as ``DescribeInferenceComponent`` shows it."""
    shown = dict(specification)
    if container := specification.get("Container"):
        image = {"SpecifiedImage": container.get("Image"), "ResolvedImage": container.get("Image")}
        others = {name: value for name, value in container.items() if name != "Image"}
        shown["Container"] = {**others, **({"DeployedImage": image} if "Image" in container else {})}
    return shown
