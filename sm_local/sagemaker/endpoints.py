"""Endpoints: the operations on them, and calls of them."""

from __future__ import annotations

import time
from concurrent.futures import Future

from sm_local.patches import core
from sm_local.sagemaker import background
from sm_local.sagemaker.async_requests import AsyncCall, AsyncRequest
from sm_local.sagemaker.capacity import Instances, OnDemand
from sm_local.sagemaker.component import Component
from sm_local.sagemaker.components import Components
from sm_local.sagemaker.config import EndpointConfig, ServerlessSettings
from sm_local.sagemaker.configs import EndpointConfigs
from sm_local.sagemaker.descriptions import description, summary
from sm_local.sagemaker.endpoint import Endpoint, Retained
from sm_local.sagemaker.errors import SageMakerError, invalid
from sm_local.sagemaker.fleet import Fleet
from sm_local.sagemaker.guardrails import plan
from sm_local.sagemaker.messages import Answer, Invocation
from sm_local.sagemaker.registry import Parameters, Registry
from sm_local.sagemaker.role import AssumedRole
from sm_local.sagemaker.serving import check_size, serve
from sm_local.sagemaker.surroundings import Surroundings


class Endpoints:
    """All endpoints of the local AWS, and the inference components on them.

    Args:
        configs: Their configurations.
        surroundings: The local AWS.

    Attributes:
        components: The inference components.
    """

    def __init__(self, configs: EndpointConfigs, surroundings: Surroundings) -> None:
        self._configs = configs
        self._surroundings = surroundings
        self._records: Registry[Endpoint] = Registry("endpoint", "endpoint")
        self.components = Components(self._records.get, surroundings)

    # --- the control plane ---

    def create(self, parameters: Parameters) -> Parameters:
        """Answer at once, as SageMaker does, and start the models in the background."""
        self.start_creation(parameters)
        return {"EndpointArn": self._records.arn(parameters["EndpointName"])}

    def start_creation(self, parameters: Parameters) -> Future[None]:
        """Begin to create an endpoint; the future ends when it is ``InService`` or raises why it failed."""
        name = parameters["EndpointName"]
        config = self._configs.get(parameters["EndpointConfigName"])
        endpoint = Endpoint(name, self._records.arn(name), config, self._surroundings)
        endpoint.last_deployment = parameters.get("DeploymentConfig")
        plan(endpoint.last_deployment, config, config)  # refused now rather than at the first update
        self._records.add(name, endpoint)
        return endpoint.create()

    def update(self, parameters: Parameters) -> Parameters:
        """Answer at once, as SageMaker does, and exchange the models in the background."""
        self.start_update(parameters)
        return {"EndpointArn": self._records.arn(parameters["EndpointName"])}

    def start_update(self, parameters: Parameters) -> Future[None]:
        """Begin to move an endpoint to another configuration; the future ends when that is over, or undone."""
        endpoint = self._records.get(parameters["EndpointName"])
        config = self._configs.get(parameters["EndpointConfigName"])
        deployment = parameters.get("DeploymentConfig")
        if parameters.get("RetainDeploymentConfig"):
            if deployment:
                raise invalid("DeploymentConfig cannot be given together with RetainDeploymentConfig.")
            deployment = endpoint.last_deployment
        _check_kind(endpoint, config)
        planned = plan(deployment, endpoint.config, config)
        self._check_alarms(planned.alarms, config)
        started = endpoint.update(config, planned, Retained.parse(parameters))
        endpoint.last_deployment = deployment
        return started

    def update_weights_and_capacities(self, parameters: Parameters) -> Parameters:
        """Answer at once, and change weights and instance counts in the background."""
        endpoint = self._records.get(parameters["EndpointName"])
        changes = parameters["DesiredWeightsAndCapacities"]
        _check_changes(endpoint, changes)
        endpoint.resize(lambda fleet: _resize(fleet, changes))
        return {"EndpointArn": endpoint.arn}

    def describe(self, parameters: Parameters) -> Parameters:
        """Return the state of an endpoint."""
        return description(self._records.get(parameters["EndpointName"]))

    def list(self, parameters: Parameters) -> Parameters:
        """Return the endpoints whose names contain ``NameContains`` and that have the status ``StatusEquals``."""
        wanted, status = parameters.get("NameContains", "").lower(), parameters.get("StatusEquals")
        return {
            "Endpoints": [
                summary(endpoint)
                for name, endpoint in self._records.items()
                if wanted in name.lower() and status in (None, endpoint.status)
            ]
        }

    def delete(self, parameters: Parameters) -> Parameters:
        """Stop an endpoint and forget it.

        Raises:
            SageMakerError: There is none, or it still hosts inference components.
        """
        name = parameters["EndpointName"]
        if components := self.components.on(name):
            names = ", ".join(components)
            raise invalid(f'Cannot delete endpoint "{self._records.arn(name)}" with inference components: {names}.')
        self._records.remove(name).delete()
        return {}

    # --- calls ---

    def invoke(self, name: str, invocation: Invocation) -> tuple[Answer, str]:
        """Call a model; return its answer and the production variant that gave it.

        Raises:
            SageMakerError: No such endpoint, too large a payload, or what the model answered instead of a result.
        """
        endpoint = self._called(name)
        with endpoint.traffic.call() as fleet:
            if fleet is None:
                raise SageMakerError("ValidationError", f"Endpoint {name} is not in service: {endpoint.status}.")
            if fleet.config.asynchronous:
                raise SageMakerError("ValidationError", f"Endpoint {name} is asynchronous: use InvokeEndpointAsync.")
            check_size(invocation, serverless=fleet.config.serverless)
            answer, variant = serve(name, fleet, invocation, self._component(name, invocation))
            return answer, variant.name

    def invoke_async(self, name: str, call: AsyncCall) -> AsyncRequest:
        """Put a request into the queue of an endpoint and return it.

        Raises:
            SageMakerError: No such endpoint, or a wrong request.
        """
        endpoint = self._called(name)
        settings = endpoint.config.asynchronous
        if endpoint.traffic.fleet is None:
            raise SageMakerError("ValidationError", f"Endpoint {name} is not in service: {endpoint.status}.")
        if settings is None or (queue := endpoint.queue) is None:
            raise SageMakerError("ValidationError", f"Endpoint {name} is not asynchronous: use InvokeEndpoint.")
        request = call.request(name, settings, received=time.time(), queued=self._surroundings.clock.now())
        queue.put(request)
        return request

    def get(self, name: str) -> Endpoint:
        """Return the endpoint of a name.

        Raises:
            SageMakerError: There is none.
        """
        return self._records.get(name)

    def shut_down(self) -> None:
        """Stop every model's process."""
        self.components.shut_down()
        deletions = [background.start(endpoint.delete, "sagemaker-end") for endpoint in self._records.clear()]
        for deletion in deletions:
            deletion.exception()

    def _called(self, name: str) -> Endpoint:
        if (endpoint := self._records.find(name)) is None:
            account, _region = core.scope()
            raise SageMakerError("ValidationError", f"Endpoint {name} of account {account} not found.")
        return endpoint

    def _component(self, endpoint_name: str, invocation: Invocation) -> Component | None:
        if invocation.component is None:
            return None
        if (component := self.components.find(invocation.component, endpoint_name)) is None:
            raise SageMakerError(
                "ValidationError", f"Inference Component {invocation.component} not found on endpoint {endpoint_name}."
            )
        return component

    def _check_alarms(self, alarms: tuple[str, ...], config: EndpointConfig) -> None:
        """Refuse alarms that the execution role may not look at.

        https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-configuration.html
        """
        account, region = core.scope()
        wanted = [
            ("cloudwatch:DescribeAlarms", f"arn:aws:cloudwatch:{region}:{account}:alarm:{alarm}") for alarm in alarms
        ]
        for variant in config.variants:
            arn = config.parameters.get("ExecutionRoleArn")
            if variant.model_name:
                arn = self._surroundings.models.get(variant.model_name).role_arn
            if arn and AssumedRole(arn).missing(wanted):
                raise invalid(
                    f'The role "{arn}" lacks cloudwatch:DescribeAlarms on the alarms of AutoRollbackConfiguration: '
                    f"{', '.join(alarms)}."
                )


def _check_kind(endpoint: Endpoint, config: EndpointConfig) -> None:
    """Refuse what cannot be changed in place.

    https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints.html#serverless-endpoints-how-it-works-exclusions
    """
    if config.serverless and not endpoint.config.serverless:
        raise invalid(f'Cannot update the instance-based endpoint "{endpoint.arn}" to a serverless one.')
    if bool(config.asynchronous) != bool(endpoint.config.asynchronous):
        kinds = ["real-time", "asynchronous"]
        old, new = kinds if config.asynchronous else kinds[::-1]
        raise invalid(f'Cannot update the {old} endpoint "{endpoint.arn}" to an {new} one.')


def _check_changes(endpoint: Endpoint, changes: list[Parameters]) -> None:
    fleet = endpoint.traffic.fleet
    variants = fleet.variants if fleet else {}
    weights = {name: variant.weight for name, variant in variants.items()}
    for change in changes:
        name = change["VariantName"]
        if name not in variants:
            raise invalid(f'Variant {name} was not found in endpoint "{endpoint.arn}".')
        weights[name] = change.get("DesiredWeight", weights[name])
        config = endpoint.config
        if change.get("DesiredInstanceCount") == 0 and not (config.asynchronous or config.hosts_components):
            raise invalid("DesiredInstanceCount 0 takes an asynchronous endpoint or inference components.")
        if "DesiredInstanceCount" in change and config.serverless:
            raise invalid("DesiredInstanceCount is not supported for serverless variants.")
    if sum(weights.values()) <= 0:
        raise invalid("At least one production variant must have a weight greater than 0.")


def _resize(fleet: Fleet, changes: list[Parameters]) -> None:
    for change in changes:
        variant = fleet.variants[change["VariantName"]]
        variant.weight = change.get("DesiredWeight", variant.weight)
        match variant.capacity:
            case Instances() as instances if "DesiredInstanceCount" in change:
                instances.resize(change["DesiredInstanceCount"])
            case OnDemand() as serverless if "ServerlessUpdateConfig" in change:
                serverless.settings = ServerlessSettings.parse(
                    {**serverless.settings.parameters, **change["ServerlessUpdateConfig"]}
                )
