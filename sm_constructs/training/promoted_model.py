"""Which model is in service: the stack's own, or the one that was promoted last."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import jsii
from aws_cdk import (
    CustomResource,
    Duration,
    IStableStringProducer,
    Lazy,
    RemovalPolicy,
    Stack,
)
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from sm_constructs._function_settings import FunctionSettings
from sm_constructs._names import named, unique_name
from sm_constructs._states import allow
from sm_constructs._validation import Problems
from sm_constructs.endpoint import Endpoint
from sm_constructs.lambda_platform import LambdaPlatform
from sm_constructs.model import ModelData, RequiredFile
from sm_constructs.model.bound_data import BoundData, S3Location
from sm_constructs.storage import ArtifactStore

_TIMEOUT = Duration.minutes(1)


class PromotedModel(Construct):
    """Remember which model is in service, so that no deployment puts an older one back.

    Until a model is promoted it is the stack's own. A promotion (:class:`ModelPromotion`) writes the new model's place
    to a parameter of Systems Manager. Whenever a deployment would change model, endpoint configuration or endpoint, a
    function reads the parameter first, and CloudFormation makes them of the promoted model. The function makes the
    parameter, too, with the first deployment, and deletes it with the stack: CloudFormation would put its own value
    back whenever it changed a tag. To let the stack's own model serve again, start a promotion with
    ``{"initial": true}``.

    What is changed by ``add_property_override`` is not noticed: change something else with it.

    Args:
        scope: The parent construct.
        construct_id: The id within the parent.
        initial: The stack's own model: an archive, so none of many models, packages or files under a prefix.
        artifacts: Where promoted models lie, under ``models/``.
        log_retention: How long logs are kept. When omitted: one month.
        removal_policy: What happens to the logs when the stack is deleted. When omitted: they are kept.
        vpc: The VPC that the function runs in, in its private subnets. When omitted: Lambda's own network.
        encryption_key: The KMS key for environment variables and logs. When omitted: keys that AWS manages.
        lambda_platform: Python version and architecture of the function. When omitted: Python 3.13 on arm64.

    Attributes:
        data: What the model is made of: hand it to :class:`Model`.
        parameter_name: The name of the parameter that remembers.
        initial: The stack's own model.
        endpoint: Where a :class:`ModelPromotion` puts models into service: a deployment that changes this endpoint asks
            for the model. None: nowhere yet.
        name_prefix: How the names of the models and configurations begin that promotions make.
        function: What a deployment asks.

    Raises:
        InvalidPropsError: Anything that is wrong with the arguments, all at once.

    Example: ``docs/examples/training_workflow.py``.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        initial: ModelData,
        artifacts: ArtifactStore,
        log_retention: logs.RetentionDays = logs.RetentionDays.ONE_MONTH,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
        vpc: ec2.IVpc | None = None,
        encryption_key: kms.IKey | None = None,
        lambda_platform: LambdaPlatform | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        platform = lambda_platform or LambdaPlatform()
        problems = Problems()
        problems.extend(_data_problems(initial))
        problems.extend(f"lambda_platform: {problem}" for problem in platform.problems())
        problems.raise_for(self)

        self.initial = initial
        self.artifacts = artifacts
        self.name_prefix: str = unique_name(self)
        self.parameter_name: str = f"{Stack.of(self).stack_name}-{self.name_prefix}-in-service"
        settings = FunctionSettings(
            memory_size_mb=256,
            log_retention=log_retention,
            removal_policy=removal_policy,
            vpc=vpc,
            encryption_key=encryption_key,
            lambda_platform=platform,
        )
        self.function: lambda_.Function = settings.function(
            self, "CurrentModel", handler="current_model", environment={}, timeout=_TIMEOUT
        )
        allow(self.function, ["ssm:DeleteParameter", "ssm:GetParameter", "ssm:PutParameter"], [self.parameter_arn])
        allow_removal(self.function, self.name_prefix)
        self.endpoint: Endpoint | None = None
        self._initial_location: S3Location | None = None
        self.data: ModelData = _Promotable(promoted=self)

    @property
    def parameter_arn(self) -> str:
        """The ARN of the parameter that remembers."""
        return Stack.of(self).format_arn(service="ssm", resource="parameter", resource_name=self.parameter_name)

    @property
    def initial_location(self) -> S3Location:
        """Where the stack's own model lies; known once a :class:`Model` was made of ``data``.

        Raises:
            ValueError: There is no such model yet.
        """
        if self._initial_location is None:
            raise ValueError(f"no model was made of the data of '{self.node.path}': pass it to Model")
        return self._initial_location

    def bind_initial(self, scope: Construct) -> BoundData:
        """Define what the stack's own model needs under ``scope``, and what asks for the one in service."""
        bound = self.initial.bind(scope)
        self._initial_location = bound.location
        current = CustomResource(
            scope,
            "CurrentModel",
            properties={
                "ParameterName": self.parameter_name,
                "InitialModelDataUrl": bound.model_data_url,
                "NamePrefix": self.name_prefix,
                "Serves": Lazy.string(_Definition(self)),
            },
            resource_type="Custom::ModelInService",
            service_timeout=Duration.minutes(5),
            service_token=self.function.function_arn,
        )
        bucket = self.artifacts.models
        return BoundData(
            identity=f"{bound.identity}\n{bucket.bucket.node.path}",
            location=bound.location,
            replacements=S3Location(bucket=bucket.bucket, key=f"{bucket.prefix}*"),
            model_data_url=current.get_att_string("ModelDataUrl"),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Promotable(ModelData):
    """The data of the model in service."""

    promoted: PromotedModel

    def problems(self, scope: Construct, required_files: Sequence[str | RequiredFile]) -> list[str]:
        return self.promoted.initial.problems(scope, required_files)

    def bind(self, scope: Construct) -> BoundData:
        return self.promoted.bind_initial(scope)


@jsii.implements(IStableStringProducer)
class _Definition:
    """A hash that changes when the endpoint, its configuration or its model would be changed."""

    def __init__(self, promoted: PromotedModel) -> None:
        self._promoted = promoted

    def produce(self) -> str:
        endpoint = self._promoted.endpoint
        return hashlib.sha256((endpoint.definition if endpoint else "").encode()).hexdigest()


def allow_removal(function: lambda_.IFunction, name_prefix: str) -> None:
    """Allow to delete the models and configurations whose names begin so, and to find them."""
    stack = Stack.of(function)
    allow(
        function,
        ["sagemaker:ListEndpointConfigs", "sagemaker:ListModels"],
        ["*"],  # the actions have no resources
    )
    allow(
        function,
        ["sagemaker:DeleteEndpointConfig", "sagemaker:DeleteModel"],
        [named(stack, "endpoint-config", name_prefix), named(stack, "model", name_prefix)],
    )


def _data_problems(initial: ModelData) -> Iterator[str]:
    if initial.is_multi_model or initial.is_package or initial.is_uncompressed:
        yield "initial is no single archive: a promotion replaces one model.tar.gz: use from_directory or from_bucket"
