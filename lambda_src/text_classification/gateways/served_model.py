"""Which model an endpoint serves now, whoever put it there."""

from __future__ import annotations

from dataclasses import dataclass

from text_classification.gateways.errors import MisconfiguredError
from text_classification.gateways.hosting import Hosting


@dataclass(frozen=True, kw_only=True, slots=True)
class ServedModel:
    """The model of an endpoint.

    Args:
        hosting: What SageMaker knows of the endpoint.
    """

    hosting: Hosting

    def name(self) -> str:
        """Return the name of the model in service; of several variants that of the one with the largest weight.

        While an endpoint is updated it is the model from before: it is in service until the update has succeeded.

        Raises:
            GatewayError: SageMaker failed, or the endpoint's variants have no models of their own.
        """
        endpoint = self.hosting.endpoint()
        config = self.hosting.config(endpoint["EndpointConfigName"])
        weights = {each["VariantName"]: each.get("CurrentWeight", 1) for each in endpoint.get("ProductionVariants", ())}
        models = {each["VariantName"]: each.get("ModelName") for each in config["ProductionVariants"]}
        variant = max(models, key=lambda name: weights.get(name, 0))
        if not models[variant]:
            name = endpoint["EndpointName"]
            message = f"variant {variant} of endpoint {name} has no model, but inference components"
            raise MisconfiguredError(message, {"endpoint": name})
        return str(models[variant])
