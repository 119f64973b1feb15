"""Which model an endpoint serves now, whoever put it there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from text_classification.gateways.calls import TimeBudget, call_service
from text_classification.gateways.errors import MisconfiguredError


@dataclass(frozen=True, kw_only=True, slots=True)
class ServedModel:
    """The model of an endpoint.

    Args:
        client: Of SageMaker, made with ``budget.client_config()``.
        endpoint_name: The endpoint.
        budget: How long a call may take, repetitions included.
    """

    client: Any
    endpoint_name: str
    budget: TimeBudget

    def name(self) -> str:
        """Return the name of the model in service; of several variants that of the one with the largest weight.

        While an endpoint is updated it is the model from before: it is in service until the update has succeeded.

        Raises:
            GatewayError: SageMaker failed, or the endpoint's variants have no models of their own.
        """
        endpoint = call_service(lambda: self.client.describe_endpoint(EndpointName=self.endpoint_name), self.budget)
        config_name = endpoint["EndpointConfigName"]
        config = call_service(lambda: self.client.describe_endpoint_config(EndpointConfigName=config_name), self.budget)
        weights = {each["VariantName"]: each.get("CurrentWeight", 1) for each in endpoint.get("ProductionVariants", ())}
        models = {each["VariantName"]: each.get("ModelName") for each in config["ProductionVariants"]}
        variant = max(models, key=lambda name: weights.get(name, 0))
        if not models[variant]:
            message = f"variant {variant} of endpoint {self.endpoint_name} has no model, but inference components"
            raise MisconfiguredError(message, {"endpoint": self.endpoint_name})
        return str(models[variant])
