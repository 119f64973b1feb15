"""Endpoint configurations: the operations on them."""

from __future__ import annotations

import time

from sm_local.sagemaker.config import EndpointConfig
from sm_local.sagemaker.config_rules import problems
from sm_local.sagemaker.errors import invalid
from sm_local.sagemaker.models import Models
from sm_local.sagemaker.registry import Parameters, Registry


class EndpointConfigs:
    """All endpoint configurations of the local AWS; each is immutable.

    Args:
        models: What variants name.
    """

    def __init__(self, models: Models) -> None:
        self._models = models
        self._records: Registry[EndpointConfig] = Registry("endpoint-config", "endpoint configuration")

    def create(self, parameters: Parameters) -> Parameters:
        """Keep a configuration unless SageMaker would refuse it."""
        name = parameters["EndpointConfigName"]
        config = EndpointConfig(
            name=name,
            arn=self._records.arn(name),
            created=time.time(),
            parameters=parameters,
        )
        named = {variant.model_name for variant in (*config.variants, *config.shadows) if variant.model_name}
        models = {model: self._models.get(model) for model in sorted(named)}
        described = {model: self._models.describe({"ModelName": model}) for model in models}
        if found := problems(config, models, described):
            raise invalid(" ".join(found))
        self._records.add(name, config)
        return {"EndpointConfigArn": config.arn}

    def describe(self, parameters: Parameters) -> Parameters:
        """Return what was created."""
        config = self.get(parameters["EndpointConfigName"])
        shown = {name: value for name, value in config.parameters.items() if name != "Tags"}
        return {**shown, "EndpointConfigArn": config.arn, "CreationTime": config.created}

    def delete(self, parameters: Parameters) -> Parameters:
        """Forget a configuration; endpoints that use it go on."""
        self._records.remove(parameters["EndpointConfigName"])
        return {}

    def list(self, parameters: Parameters) -> Parameters:
        """Return the configurations whose names contain ``NameContains``."""
        wanted = parameters.get("NameContains", "").lower()
        return {
            "EndpointConfigs": [
                {"EndpointConfigName": name, "EndpointConfigArn": config.arn, "CreationTime": config.created}
                for name, config in self._records.items()
                if wanted in name.lower()
            ]
        }

    def get(self, name: str) -> EndpointConfig:
        """Return the configuration of a name.

        Raises:
            SageMakerError: There is none.
        """
        return self._records.get(name)
