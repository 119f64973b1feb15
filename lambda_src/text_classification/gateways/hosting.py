"""The endpoint, its configurations and models: SageMaker's control plane, and the parameter that remembers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from text_classification.gateways.calls import TimeBudget, call_service
from text_classification.gateways.errors import GatewayError

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_ssm import SSMClient

_NO_PARAMETER = "ParameterNotFound"
_NO_MODEL = "ValidationException"  # which DescribeModel has no other use for: a name that is none is not asked for


class Hosting(Protocol):
    """What SageMaker knows of an endpoint. Everything raises GatewayError."""

    def endpoint(self) -> dict[str, Any]:
        """Return what DescribeEndpoint answers."""
        ...

    def config(self, name: str) -> dict[str, Any]:
        """Return what DescribeEndpointConfig answers."""
        ...

    def model(self, name: str) -> dict[str, Any]:
        """Return what DescribeModel answers."""
        ...

    def configs(self, prefix: str, made_before: datetime | None = None) -> list[str]:
        """Return the names of the configurations that begin with ``prefix``, where a time is given: of older ones."""
        ...

    def models(self, prefix: str, made_before: datetime | None = None) -> list[str]:
        """Return the names of the models that begin with ``prefix``, where a time is given: of older ones."""
        ...

    def delete_config(self, name: str) -> None:
        """Delete a configuration."""
        ...

    def delete_model(self, name: str) -> None:
        """Delete a model."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class SageMakerHosting:
    """An endpoint of SageMaker.

    Args:
        client: Made with ``budget.client_config()``.
        endpoint_name: The endpoint.
        budget: How long a call may take, repetitions included.
    """

    client: SageMakerClient
    endpoint_name: str
    budget: TimeBudget

    def endpoint(self) -> dict[str, Any]:
        """Return what DescribeEndpoint answers."""
        return dict(call_service(lambda: self.client.describe_endpoint(EndpointName=self.endpoint_name), self.budget))

    def config(self, name: str) -> dict[str, Any]:
        """Return what DescribeEndpointConfig answers."""
        return dict(call_service(lambda: self.client.describe_endpoint_config(EndpointConfigName=name), self.budget))

    def model(self, name: str) -> dict[str, Any]:
        """Return what DescribeModel answers."""
        return dict(call_service(lambda: self.client.describe_model(ModelName=name), self.budget))

    def has_model(self, name: str) -> bool:
        """Return whether there is a model of that name. Raises GatewayError."""
        try:
            self.model(name)
        except GatewayError as error:
            if error.facts.get("error") != _NO_MODEL:
                raise
            return False
        return True

    def configs(self, prefix: str, made_before: datetime | None = None) -> list[str]:
        """Return the names of the configurations that begin with ``prefix``, where a time is given: of older ones."""
        pages = self._pages(lambda **page: self.client.list_endpoint_configs(NameContains=prefix, **page))
        made = {each["EndpointConfigName"]: each["CreationTime"] for page in pages for each in page["EndpointConfigs"]}
        return _older(made, prefix, made_before)

    def models(self, prefix: str, made_before: datetime | None = None) -> list[str]:
        """Return the names of the models that begin with ``prefix``, where a time is given: of older ones."""
        pages = self._pages(lambda **page: self.client.list_models(NameContains=prefix, **page))
        made = {each["ModelName"]: each["CreationTime"] for page in pages for each in page["Models"]}
        return _older(made, prefix, made_before)

    def delete_config(self, name: str) -> None:
        """Delete a configuration."""
        call_service(lambda: self.client.delete_endpoint_config(EndpointConfigName=name), self.budget)

    def delete_model(self, name: str) -> None:
        """Delete a model."""
        call_service(lambda: self.client.delete_model(ModelName=name), self.budget)

    def _pages(self, call: Callable[..., Any]) -> Iterator[Any]:
        token: dict[str, str] = {}
        while True:
            page = call_service(lambda: call(**token), self.budget)  # noqa: B023 - called at once
            yield page
            if not page.get("NextToken"):
                return
            token = {"NextToken": page["NextToken"]}


def _older(made: Mapping[str, datetime], prefix: str, than: datetime | None) -> list[str]:
    return [name for name, at in made.items() if name.startswith(prefix) and (than is None or at < than)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameter:
    """A parameter of Systems Manager.

    Args:
        client: Made with ``budget.client_config()``.
        name: The parameter.
        budget: How long a call may take, repetitions included.
    """

    client: SSMClient
    name: str
    budget: TimeBudget

    def value(self) -> str:
        """Return what it says. Raises GatewayError."""
        return call_service(lambda: self.client.get_parameter(Name=self.name), self.budget)["Parameter"]["Value"]

    def value_or(self, first: str) -> str:
        """Return what it says, and make it, saying ``first``, where there is none. Raises GatewayError."""
        try:
            return self.value()
        except GatewayError as error:
            if error.facts.get("error") != _NO_PARAMETER:
                raise
        call_service(
            lambda: self.client.put_parameter(
                Name=self.name, Type="String", Value=first, Description="The model in service: promotions write it"
            ),
            self.budget,
        )
        return first

    def delete(self) -> None:
        """Delete it, if it is there. Raises GatewayError."""
        try:
            call_service(lambda: self.client.delete_parameter(Name=self.name), self.budget)
        except GatewayError as error:
            if error.facts.get("error") != _NO_PARAMETER:
                raise
