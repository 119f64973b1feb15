"""The SageMaker endpoint."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import assert_never

from aws_cdk import Stack, Token
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from sm_constructs._validation import Problems
from sm_constructs.endpoint.reference import EndpointBase
from sm_constructs.endpoint.variants import RealTime, Serverless, Variant, name_problems
from sm_constructs.model import Model


class Endpoint(EndpointBase):
    """Define an endpoint that serves a model.

    Its configuration is immutable and never named: when the model or the variant changes, CloudFormation makes
    another configuration, moves the endpoint to it without interruption and deletes the old one. One change
    SageMaker refuses: from instances to serverless. Give the construct another id then, which makes another endpoint.

    Args:
        scope: The parent construct.
        construct_id: The id within the parent.
        model: The model to serve.
        variant: How it is served: on instances (:class:`RealTime`) or on demand (:class:`Serverless`).
        encryption_key: The key for the instances' storage volumes. When omitted: a transient key of
            SageMaker's. Serverless variants and instances with NVMe storage take none.
        endpoint_name: The name. When omitted: CloudFormation makes one.

    Attributes:
        endpoint_arn: The ARN.
        endpoint_name: The name, also where CloudFormation makes it.
        variant_names: The names of the production variants.
        log_group_name: Where SageMaker writes the containers' output.
        model: The model.

    Raises:
        InvalidPropsError: Anything that is wrong with the arguments, all at once.

    >>> model = Model(
    ...     stack,
    ...     "Model",
    ...     data=ModelData.from_directory(model_directory),
    ...     framework=Framework.scikit_learn(),
    ... )
    >>> endpoint = Endpoint(stack, "Endpoint", model=model, variant=Serverless(memory_size_mb=1024))
    >>> grant = endpoint.grant_invoke(role)
    >>> alarm = endpoint.metric_invocation_5xx_errors().create_alarm(
    ...     stack, "ModelFails", threshold=1, evaluation_periods=3
    ... )
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        model: Model,
        variant: RealTime | Serverless,
        encryption_key: kms.IKey | None = None,
        endpoint_name: str | None = None,
    ) -> None:
        super().__init__(scope, construct_id, physical_name=endpoint_name)
        problems = Problems()
        problems.extend(name_problems("endpoint_name", endpoint_name))
        problems.extend(variant.problems())
        problems.extend(_unserveable(variant, model, encryption_key))
        problems.raise_for(self)

        self.model = model
        config = sagemaker.CfnEndpointConfig(
            self,
            "Config",
            kms_key_id=encryption_key.key_arn if encryption_key else None,
            production_variants=[_production_variant(variant, model)],
        )
        endpoint = sagemaker.CfnEndpoint(
            self,
            "Resource",
            endpoint_config_name=config.attr_endpoint_config_name,
            endpoint_name=endpoint_name,
        )
        self._variant_names = (variant.variant_name,)
        self._endpoint_name = self._get_resource_name_attribute(endpoint.attr_endpoint_name)
        self._endpoint_arn = self._get_resource_arn_attribute(
            endpoint.ref, service="sagemaker", resource="endpoint", resource_name=_lower(self._physical_name)
        )

    @staticmethod
    def from_endpoint_name(
        scope: Construct,
        construct_id: str,
        endpoint_name: str,
        *,
        variant_names: Sequence[str] = ("AllTraffic",),
    ) -> EndpointBase:
        """Return an endpoint of this account and region that is defined elsewhere.

        Args:
            scope: The parent construct.
            construct_id: The id within the parent.
            endpoint_name: Its name.
            variant_names: The names of its variants, for metrics. When omitted: ``AllTraffic``.

        >>> endpoint = Endpoint.from_endpoint_name(stack, "Theirs", "reviews")
        >>> endpoint.metric_model_latency(statistic="p99").metric_name
        'ModelLatency'
        """
        return _ImportedEndpoint(scope, construct_id, endpoint_name, variant_names)


class _ImportedEndpoint(EndpointBase):
    def __init__(self, scope: Construct, construct_id: str, endpoint_name: str, variant_names: Sequence[str]) -> None:
        super().__init__(scope, construct_id, physical_name=endpoint_name)
        self._endpoint_name = endpoint_name
        self._endpoint_arn = Stack.of(self).format_arn(
            service="sagemaker", resource="endpoint", resource_name=_lower(endpoint_name)
        )
        self._variant_names = tuple(variant_names)


def _production_variant(variant: Variant, model: Model) -> sagemaker.CfnEndpointConfig.ProductionVariantProperty:
    match variant:
        case RealTime():
            return sagemaker.CfnEndpointConfig.ProductionVariantProperty(
                initial_instance_count=variant.instance_count,
                initial_variant_weight=variant.initial_weight,
                instance_type=variant.instance_type,
                model_name=model.model_name,
                variant_name=variant.variant_name,
            )
        case Serverless():
            return sagemaker.CfnEndpointConfig.ProductionVariantProperty(
                initial_variant_weight=1,
                model_name=model.model_name,
                serverless_config=sagemaker.CfnEndpointConfig.ServerlessConfigProperty(
                    max_concurrency=variant.max_concurrency,
                    memory_size_in_mb=variant.memory_size_mb,
                    provisioned_concurrency=variant.provisioned_concurrency,
                ),
                variant_name=variant.variant_name,
            )
        case _:
            assert_never(variant)


def _unserveable(variant: Variant, model: Model, encryption_key: kms.IKey | None) -> Iterator[str]:
    """Yield what SageMaker refuses of this variant, model and key together."""
    match variant:
        case RealTime():
            if encryption_key and variant.has_local_storage:
                yield (
                    f"encryption_key with {variant.instance_type}: its NVMe storage encrypts itself and takes no "
                    "key: leave encryption_key out, or use a type without local storage"
                )
        case Serverless():
            if encryption_key:
                yield "encryption_key with Serverless: there is no volume to encrypt: leave encryption_key out"
            if model.vpc is not None:
                yield "Serverless with a model in a VPC: leave the model's vpc out, or use RealTime"
            if model.network_isolation:
                yield "Serverless with an isolated model: leave network_isolation out, or use RealTime"
        case _:
            assert_never(variant)


def _lower(name: str) -> str:
    """Return the name as it stands in ARNs, which SageMaker writes in lower case."""
    return name if Token.is_unresolved(name) else name.lower()
