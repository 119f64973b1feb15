"""The SageMaker endpoint."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from aws_cdk import Stack, Token
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from sm_constructs._validation import Problems
from sm_constructs.endpoint import configuration
from sm_constructs.endpoint.capture import DataCapture
from sm_constructs.endpoint.guardrails import Deployment, VariantProperty
from sm_constructs.endpoint.metrics import Publisher
from sm_constructs.endpoint.names import name_problems
from sm_constructs.endpoint.reference import EndpointBase, ImportedEndpoint, lower, name_of
from sm_constructs.endpoint.refusals import Plan
from sm_constructs.endpoint.scaling import only_once
from sm_constructs.endpoint.variant_scaling import ScalableInstanceCount, ScalableProvisionedConcurrency
from sm_constructs.endpoint.variants import Asynchronous, RealTime, Serverless, Variant
from sm_constructs.model import Model
from sm_constructs.model.permissions import grant_runtime

_PUBLISHERS: dict[type[Variant], Publisher] = {
    RealTime: Publisher.REAL_TIME,
    Serverless: Publisher.SERVERLESS,
    Asynchronous: Publisher.ASYNCHRONOUS,
}


class Endpoint(EndpointBase):
    """Define an endpoint that serves a model, or several.

    Its configuration is immutable and never named: when the model or the variant changes, CloudFormation makes
    another configuration, moves the endpoint to it without interruption and deletes the old one. One change
    SageMaker refuses: from instances to serverless. Give the construct another id then, which makes another endpoint.

    Args:
        scope: The parent construct.
        construct_id: The id within the parent.
        model: The model of the variants that have none of their own. When omitted, and no variant has one: the
            endpoint hosts :class:`InferenceComponent` constructs.
        variant: How it is served: on instances (:class:`RealTime`), on demand (:class:`Serverless`) or from a queue
            (:class:`Asynchronous`).
        variants: Several real-time variants instead, which share the calls by their weights; at most 10.
        shadow: A variant that gets a copy of calls and whose answers nobody sees. When omitted: none.
        data_capture: Which calls are written to S3; of real-time variants. When omitted: none.
        deployment: How it moves to another configuration: :class:`AllAtOnce`, :class:`Canary`, :class:`Linear` or
            :class:`Rolling`. When omitted: all at once, without watching any alarm.
        retain_variant_properties: What a deployment leaves as it has become at run time. When omitted: the number of
            instances, where the endpoint scales it.
        execution_role: The role with which SageMaker runs instances for inference components. When omitted: one is
            made where there are no models. Models have roles of their own.
        encryption_key: The key for the instances' storage volumes. When omitted: a transient key of
            SageMaker's. Serverless variants and instances with NVMe storage take none.
        endpoint_name: The name. When omitted: CloudFormation makes one.

    Attributes:
        endpoint_arn: The ARN.
        endpoint_name: The name, also where CloudFormation makes it.
        variant_names: The names of the production variants.
        variants: The production variants.
        log_group_name: Where SageMaker writes the containers' output.
        model: The model; None where each variant has its own, or there are inference components.
        execution_role: The role for inference components; None where there are models.
        encryption_key: The key for the instances' storage volumes, or None.

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
        model: Model | None = None,
        variant: Variant | None = None,
        variants: Sequence[RealTime] = (),
        shadow: RealTime | None = None,
        data_capture: DataCapture | None = None,
        deployment: Deployment | None = None,
        retain_variant_properties: Sequence[VariantProperty] | None = None,
        execution_role: iam.IRole | None = None,
        encryption_key: kms.IKey | None = None,
        endpoint_name: str | None = None,
    ) -> None:
        super().__init__(scope, construct_id, physical_name=endpoint_name)
        plan = Plan(
            variants=[*([variant] if variant else []), *variants],
            shadow=shadow,
            model=model,
            data_capture=data_capture,
            deployment=deployment,
            encryption_key=encryption_key,
        )
        problems = Problems()
        problems.extend(name_problems("endpoint_name", endpoint_name))
        if variant and variants:
            problems.add("variant and variants: pass one of the two")
        hosts_components = all(plan.model_of(each) is None for each in plan.variants)
        if execution_role and not hosts_components:
            problems.add("execution_role with a model: the model's role is used: hand that in there")
        problems.extend(plan.problems())
        problems.raise_for(self)

        self.model = model
        self.encryption_key = encryption_key
        self.variants: tuple[Variant, ...] = tuple(plan.variants)
        self.execution_role = execution_role or (self._make_role() if hosts_components else None)
        self._config = self._define_config(plan, encryption_key)
        self._retained = retain_variant_properties
        self._resource = sagemaker.CfnEndpoint(
            self,
            "Resource",
            deployment_config=configuration.deployment_config(deployment) if deployment else None,
            endpoint_config_name=self._config.attr_endpoint_config_name,
            endpoint_name=endpoint_name,
        )
        if retain_variant_properties:
            self._retain(retain_variant_properties)
        # SageMaker writes a test object and sends a test message when the endpoint is made: the roles may by then.
        for grant in self._grants(plan):
            grant.apply_before(self._resource)
        self._publishers = {each.variant_name: _PUBLISHERS[type(each)] for each in plan.variants}
        self._containers = {
            each.variant_name: model.container_names if (model := plan.model_of(each)) else () for each in plan.variants
        }
        self._endpoint_name = self._get_resource_name_attribute(self._resource.attr_endpoint_name)
        self._endpoint_arn = self._get_resource_arn_attribute(
            self._resource.ref, service="sagemaker", resource="endpoint", resource_name=lower(self._physical_name)
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
        return ImportedEndpoint(scope, construct_id, endpoint_name=endpoint_name, variant_names=variant_names)

    @staticmethod
    def from_endpoint_arn(
        scope: Construct,
        construct_id: str,
        endpoint_arn: str,
        *,
        variant_names: Sequence[str] = ("AllTraffic",),
    ) -> EndpointBase:
        """Return an endpoint that is defined elsewhere, perhaps in another account or region.

        An ARN has the name in lower case. Where the name has capitals, by which calls and metrics know it, use
        :meth:`from_endpoint_attributes`.

        Args:
            scope: The parent construct.
            construct_id: The id within the parent.
            endpoint_arn: Its ARN.
            variant_names: The names of its variants, for metrics. When omitted: ``AllTraffic``.

        >>> arn = "arn:aws:sagemaker:eu-west-1:111122223333:endpoint/reviews"
        >>> Endpoint.from_endpoint_arn(stack, "Abroad", arn).endpoint_name
        'reviews'
        """
        name = name_of(scope, endpoint_arn)
        return Endpoint.from_endpoint_attributes(
            scope, construct_id, endpoint_arn=endpoint_arn, endpoint_name=name, variant_names=variant_names
        )

    @staticmethod
    def from_endpoint_attributes(
        scope: Construct,
        construct_id: str,
        *,
        endpoint_arn: str,
        endpoint_name: str,
        variant_names: Sequence[str] = ("AllTraffic",),
    ) -> EndpointBase:
        """Return an endpoint that is defined elsewhere, whose ARN and name are both known.

        Args:
            scope: The parent construct.
            construct_id: The id within the parent.
            endpoint_arn: Its ARN.
            endpoint_name: Its name, with its capitals.
            variant_names: The names of its variants, for metrics. When omitted: ``AllTraffic``.
        """
        return ImportedEndpoint(
            scope, construct_id, endpoint_name=endpoint_name, endpoint_arn=endpoint_arn, variant_names=variant_names
        )

    def auto_scale_instance_count(
        self, *, min_capacity: int, max_capacity: int, variant_name: str | None = None
    ) -> ScalableInstanceCount:
        """Let the number of a variant's instances follow what comes; say what with the methods of what you get.

        From then on deployments leave the number as it is, unless ``retain_variant_properties`` says otherwise.

        Args:
            min_capacity: The fewest instances: 1 or more; an asynchronous variant may have 0.
            max_capacity: The most instances.
            variant_name: Which variant. When omitted: the first.

        Raises:
            InvalidPropsError: SageMaker scales no such variant, or not so far, or it scales already.

        >>> model = Model(
        ...     stack,
        ...     "Busy",
        ...     data=ModelData.from_bucket(bucket, "model.tar.gz"),
        ...     framework=Framework.scikit_learn(),
        ... )
        >>> variant = RealTime(instance_type="ml.m5.large", instance_count=2)
        >>> endpoint = Endpoint(stack, "BusyEndpoint", model=model, variant=variant)
        >>> capacity = endpoint.auto_scale_instance_count(min_capacity=2, max_capacity=10)
        >>> capacity.scale_on_invocations("Calls", target_invocations_per_minute=600)
        """
        variant = self._variant(variant_name)
        construct_id = self._scaling_id(variant, "InstanceCount")
        only_once(self, construct_id, f"auto_scale_instance_count of variant '{variant.variant_name}'")
        scaling = ScalableInstanceCount(
            self,
            construct_id,
            endpoint=self,
            variant=variant,
            has_model=bool(variant.model or self.model),
            min_capacity=min_capacity,
            max_capacity=max_capacity,
        )
        if self._retained is None:
            self._retain([VariantProperty.INSTANCE_COUNT])
        return scaling

    def auto_scale_provisioned_concurrency(
        self, *, min_capacity: int, max_capacity: int
    ) -> ScalableProvisionedConcurrency:
        """Let a serverless variant keep more or less of itself warm, as it is used.

        Args:
            min_capacity: The least concurrency that is kept warm, 0 or more.
            max_capacity: The most, at most the variant's ``max_concurrency``.

        Raises:
            InvalidPropsError: The variant is not serverless, has no provisioned concurrency, or not so much, or it
                scales already.
        """
        variant = self._variant(None)
        construct_id = self._scaling_id(variant, "ProvisionedConcurrency")
        only_once(self, construct_id, "auto_scale_provisioned_concurrency")
        return ScalableProvisionedConcurrency(
            self,
            construct_id,
            endpoint=self,
            variant=variant,
            min_capacity=min_capacity,
            max_capacity=max_capacity,
        )

    @property
    def definition(self) -> str:
        """What the template says of the endpoint, its configuration and its model, as JSON with references.

        Known completely when all of the app is defined; without what ``add_property_override`` changes.
        """
        parts = [
            *(getattr(self._config, name) for name in configuration.CONFIG_PROPERTIES),
            *(getattr(self._resource, name) for name in configuration.ENDPOINT_PROPERTIES),
        ]
        models = self.model.definition if self.model else ""
        return json.dumps(Stack.of(self).resolve(parts), sort_keys=True) + models

    @property
    def update_request(self) -> dict[str, object]:
        """What UpdateEndpoint has to be told so that it moves as a deployment of the stack would.

        That is the deployment configuration, and that what variants have become at run time is kept.
        """
        deployment = Stack.of(self).resolve(self._resource.deployment_config)
        on_instances = not any(isinstance(variant, Serverless) for variant in self.variants)
        retained = tuple(VariantProperty) if self._retained is None else self._retained
        excluded = [{"VariantPropertyType": each.value} for each in VariantProperty if each not in retained]
        return {
            **({"DeploymentConfig": configuration.pascal_case(deployment)} if deployment else {}),
            **({"RetainAllVariantProperties": True} if on_instances and retained else {}),
            **({"ExcludeRetainedVariantProperties": excluded} if on_instances and retained and excluded else {}),
        }

    @property
    def configuration_arn(self) -> str:
        """The ARN of the configuration that the stack defines."""
        return self._config.ref

    def _variant(self, name: str | None) -> Variant:
        found = [variant for variant in self.variants if name in {None, variant.variant_name}]
        problems = Problems()
        names = ", ".join(repr(variant.variant_name) for variant in self.variants)
        problems.unless(bool(found), f"variant_name is {name!r}: must be one of {names}")
        problems.raise_for(self)
        return found[0]

    def _scaling_id(self, variant: Variant, what: str) -> str:
        name = variant.variant_name
        return f"Variant{self.variants.index(variant) + 1}{what}" if Token.is_unresolved(name) else f"{name}{what}"

    def _make_role(self) -> iam.Role:
        return iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))

    def _define_config(self, plan: Plan, encryption_key: kms.IKey | None) -> sagemaker.CfnEndpointConfig:
        queue = next((each for each in plan.variants if isinstance(each, Asynchronous)), None)
        return sagemaker.CfnEndpointConfig(
            self,
            "Config",
            async_inference_config=configuration.async_inference_config(queue) if queue else None,
            data_capture_config=configuration.data_capture_config(plan.data_capture) if plan.data_capture else None,
            execution_role_arn=self.execution_role.role_arn if self.execution_role else None,
            kms_key_id=encryption_key.key_arn if encryption_key else None,
            production_variants=[configuration.production_variant(each, plan.model_of(each)) for each in plan.variants],
            shadow_production_variants=[configuration.production_variant(plan.shadow, plan.model_of(plan.shadow))]
            if plan.shadow
            else None,
        )

    def _retain(self, retained: Sequence[VariantProperty]) -> None:
        excluded = [each for each in VariantProperty if each not in retained]
        self._resource.retain_all_variant_properties = True
        self._resource.exclude_retained_variant_properties = [
            sagemaker.CfnEndpoint.VariantPropertyProperty(variant_property_type=each.value) for each in excluded
        ] or None

    def _grants(self, plan: Plan) -> Iterator[iam.Grant]:
        """Grant the roles what SageMaker does with them for this endpoint, beside running the containers."""
        if self.execution_role:
            yield grant_runtime(self.execution_role, Stack.of(self))
        models = dict.fromkeys(model for each in plan.all_variants if (model := plan.model_of(each)))
        for grantee in (*models, *([self.execution_role] if self.execution_role else [])):
            if plan.data_capture:
                yield plan.data_capture.destination.grant_write(grantee)
            if plan.deployment and plan.deployment.alarms:
                yield iam.Grant.add_to_principal(
                    grantee=grantee,
                    actions=["cloudwatch:DescribeAlarms"],
                    resource_arns=[alarm.alarm_arn for alarm in plan.deployment.alarms],
                )
        for each in plan.variants:
            model = plan.model_of(each)
            if isinstance(each, Asynchronous) and model:
                yield from each.grants(model)
