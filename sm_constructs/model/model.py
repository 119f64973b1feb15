"""The SageMaker model."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence

import jsii
from aws_cdk import Resource, Stack, Token
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from sm_constructs._validation import Problems
from sm_constructs.model.data import ModelData, ModelObject
from sm_constructs.model.framework import Framework
from sm_constructs.model.images import Image
from sm_constructs.model.permissions import grant_runtime, grant_vpc


@jsii.implements(iam.IGrantable, ec2.IConnectable)
class Model(Resource):
    """Define a SageMaker model and the role that its containers run with.

    A model is immutable: other data or another image make a new one, and an endpoint that serves it moves over
    without interruption. It is never named.

    Args:
        scope: The parent construct.
        construct_id: The id within the parent.
        data: Where the model's archive comes from.
        framework: The container image, and what it needs.
        environment: Further environment variables of the container, which win over the framework's; at most 100
            in all, of at most 1,024 characters. When omitted: the framework's alone.
        role: The role with which SageMaker reads the data, pulls the image and writes logs. When omitted: one that
            may do just that. One that is handed in gets the same permissions, where it takes any.
        vpc: The VPC through which the containers reach the network. When omitted: SageMaker's own network.
        vpc_subnets: Which subnets of ``vpc``. When omitted: its private ones.
        security_groups: The containers' security groups in ``vpc``, at most 5. When omitted: one is made, which
            lets nothing in.
        network_isolation: Whether the containers are cut off from every network, also from AWS; serverless
            variants refuse such models. When omitted: they are not.
        encryption_key: The KMS key of the data, where the bucket does not say which it has. When omitted: the
            bucket's.

    Attributes:
        role: The role.
        vpc: The VPC, or None.
        network_isolation: Whether the containers are cut off from every network.
        container_count: How many containers a request passes through, or may be sent to.
        is_multi_model: Whether a container loads one of many models, which each call names.

    Raises:
        InvalidPropsError: Anything that is wrong with the arguments, all at once.

    >>> model = Model(
    ...     stack,
    ...     "Model",
    ...     data=ModelData.from_bucket(bucket, "models/2024-06-01/model.tar.gz"),
    ...     framework=Framework.scikit_learn(),
    ... )
    >>> grant = topic.grant_publish(model)  # the containers may now publish to the topic
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        data: ModelData,
        framework: Framework,
        environment: Mapping[str, str] | None = None,
        role: iam.IRole | None = None,
        vpc: ec2.IVpc | None = None,
        vpc_subnets: ec2.SubnetSelection | None = None,
        security_groups: Sequence[ec2.ISecurityGroup] | None = None,
        network_isolation: bool = False,
        encryption_key: kms.IKey | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        container_environment = {**framework.environment, **(environment or {})}
        problems = Problems()
        problems.extend(data.problems(framework.required_files))
        problems.extend(framework.image.problems(self))
        problems.extend(_environment_problems(container_environment))
        problems.extend(_network_problems(vpc, vpc_subnets, security_groups))
        problems.raise_for(self)

        self.container_count = 1
        self.is_multi_model = False
        self.network_isolation = network_isolation
        self.vpc = vpc
        self.role: iam.IRole = role or iam.Role(
            self, "Role", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com")
        )
        self._connections = self._connect(vpc, security_groups)
        subnet_ids = _subnet_ids(vpc, vpc_subnets)
        model_object = data.bind(self)
        self._resource = sagemaker.CfnModel(
            self,
            "Resource",
            enable_network_isolation=network_isolation or None,
            execution_role_arn=self.role.role_arn,
            primary_container=sagemaker.CfnModel.ContainerDefinitionProperty(
                environment=container_environment or None,
                image=framework.image.uri(self),
                model_data_url=model_object.url,
            ),
            vpc_config=self._vpc_config(subnet_ids),
        )
        # SageMaker takes the role when the model is made and when an instance starts, so the permissions come
        # first: those granted here, and through the role those that the app grants later.
        self._resource.node.add_dependency(self.role)
        artifacts = self.role if role else self._artifact_policy(model_object, framework.image, encryption_key)
        for grant in (
            *self._grant_artifacts(artifacts, model_object, framework.image, encryption_key),
            *self._grant_runtime(subnet_ids),
        ):
            grant.apply_before(self._resource)

    @property
    def grant_principal(self) -> iam.IPrincipal:
        """The role, to grant permissions to the containers."""
        return self.role.grant_principal

    @property
    def connections(self) -> ec2.Connections:
        """The containers' network connections.

        Raises:
            ValueError: The model is not in a VPC.
        """
        if self._connections is None:
            raise ValueError(f"model '{self.node.path}' has no network connections: pass vpc")
        return self._connections

    @property
    def model_name(self) -> str:
        """The name, which CloudFormation makes."""
        return self._resource.attr_model_name

    @property
    def model_arn(self) -> str:
        """The ARN."""
        return self._resource.ref

    def _connect(
        self, vpc: ec2.IVpc | None, security_groups: Sequence[ec2.ISecurityGroup] | None
    ) -> ec2.Connections | None:
        if vpc is None:
            return None
        groups = list(security_groups or [ec2.SecurityGroup(self, "SecurityGroup", vpc=vpc)])
        return ec2.Connections(security_groups=groups)

    def _vpc_config(self, subnet_ids: list[str]) -> sagemaker.CfnModel.VpcConfigProperty | None:
        if self._connections is None:
            return None
        groups = [group.security_group_id for group in self._connections.security_groups]
        return sagemaker.CfnModel.VpcConfigProperty(security_group_ids=groups, subnets=subnet_ids)

    def _artifact_policy(self, model_object: ModelObject, image: Image, key: kms.IKey | None) -> iam.Policy:
        """Define the policy to read this data and pull this image, beside those of the versions before.

        Its id changes with them, so that CloudFormation makes a new policy first and deletes the old one when
        the endpoint has moved. Until then, and if it has to move back, instances of the old version may start.
        """
        identity = "\n".join([model_object.identity, image.identity, key.node.path if key else ""])
        version = hashlib.sha256(identity.encode()).hexdigest()[:8]
        return iam.Policy(self, f"Artifacts{version}", roles=[self.role])

    def _grant_artifacts(
        self, grantee: iam.IGrantable, model_object: ModelObject, image: Image, key: kms.IKey | None
    ) -> Iterator[iam.Grant]:
        yield model_object.grant_read(grantee)
        yield image.grant_pull(self, grantee)
        if key:
            yield key.grant_decrypt(grantee)

    def _grant_runtime(self, subnet_ids: list[str]) -> Iterator[iam.Grant]:
        stack = Stack.of(self)
        yield grant_runtime(self.role, stack)
        if self._connections is not None:
            yield grant_vpc(self.role, stack, subnet_ids, self._connections.security_groups)


def _subnet_ids(vpc: ec2.IVpc | None, subnets: ec2.SubnetSelection | None) -> list[str]:
    if vpc is None:
        return []
    selection = subnets or ec2.SubnetSelection()
    selected = vpc.select_subnets(
        availability_zones=selection.availability_zones,
        one_per_az=selection.one_per_az,
        subnet_filters=selection.subnet_filters,
        subnet_group_name=selection.subnet_group_name,
        subnets=selection.subnets,
        subnet_type=selection.subnet_type,
    )
    return list(selected.subnet_ids)


def _network_problems(
    vpc: ec2.IVpc | None,
    subnets: ec2.SubnetSelection | None,
    security_groups: Sequence[ec2.ISecurityGroup] | None,
) -> Iterator[str]:
    if vpc is None and subnets is not None:
        yield "vpc_subnets without vpc: pass the vpc they belong to"
    if vpc is None and security_groups:
        yield "security_groups without vpc: pass the vpc they belong to"
    if security_groups and len(security_groups) > 5:
        yield f"security_groups are {len(security_groups)}: SageMaker takes at most 5"


def _environment_problems(environment: Mapping[str, str]) -> Iterator[str]:
    if len(environment) > 100:
        yield f"environment has {len(environment)} variables, with the framework's: SageMaker takes at most 100"
    for name, value in environment.items():
        if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]{0,1023}", name):
            yield f"environment variable '{name}': a name is letters, digits and underscores, not a digit first"
        if not Token.is_unresolved(value) and len(value) > 1024:
            yield f"environment variable '{name}' has {len(value)} characters: SageMaker takes at most 1024"
