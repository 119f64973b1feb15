"""The SageMaker model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import jsii
from aws_cdk import Resource, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from sm_constructs._validation import Problems
from sm_constructs.model.data import ModelData, ModelObject
from sm_constructs.model.framework import Framework
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
        environment: Further environment variables of the container. When omitted: the framework's alone.
        role: The role that SageMaker takes to read the data, pull the image and write logs. When omitted: one
            that may do just that; one that is handed in is given the same permissions, where it takes any.
        vpc: The VPC that the containers reach the network through. When omitted: SageMaker's own network.
        vpc_subnets: Which subnets of ``vpc``. When omitted: its private ones.
        security_groups: The containers' security groups in ``vpc``. When omitted: one is made that allows no
            traffic in.
        network_isolation: Whether the containers are cut off from every network; serverless endpoints refuse
            such models. When omitted: no.
        encryption_key: The key that the data is encrypted with, where the bucket does not say so itself. When
            omitted: the bucket's own key.

    Attributes:
        role: The role.
        grant_principal: The role, to grant permissions to the containers.
        connections: The containers' network connections; an error without ``vpc``.
        model_name: The name, made by CloudFormation.
        model_arn: The ARN.

    Raises:
        InvalidPropsError: Anything that is wrong with the arguments, all at once.
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
        problems = Problems()
        problems.extend(data.problems(framework.required_files))
        problems.extend(framework.image.problems(self))
        problems.unless(
            vpc is not None or not (vpc_subnets or security_groups),
            "vpc_subnets or security_groups without vpc: pass the vpc they belong to",
        )
        problems.raise_for(self)

        self.network_isolation = network_isolation
        self.vpc = vpc
        self.role: iam.IRole = role or iam.Role(
            self, "Role", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com")
        )
        self._connections = self._connect(vpc, security_groups)
        subnets = _select(vpc, vpc_subnets) if vpc else None
        model_object = data.bind(self)
        self._resource = sagemaker.CfnModel(
            self,
            "Resource",
            enable_network_isolation=network_isolation or None,
            execution_role_arn=self.role.role_arn,
            primary_container=sagemaker.CfnModel.ContainerDefinitionProperty(
                environment={**framework.environment, **(environment or {})},
                image=framework.image.uri(self),
                model_data_url=model_object.url,
            ),
            vpc_config=self._vpc_config(subnets),
        )
        artifacts = self._artifact_permissions(model_object) if role is None else self.role
        grants = [
            grant_runtime(self.role, Stack.of(self)),
            model_object.grant_read(artifacts),
            framework.image.grant_pull(self, artifacts),
        ]
        if encryption_key:
            grants.append(encryption_key.grant_decrypt(artifacts))
        if subnets:
            groups = self.connections.security_groups
            grants.append(grant_vpc(self.role, Stack.of(self), subnets.subnet_ids, groups))
        # SageMaker takes the role when the model is created and when instances start: permissions come first,
        # those too that are added to the role later.
        self._resource.node.add_dependency(self.role)
        for grant in grants:
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
        """The name, made by CloudFormation."""
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

    def _vpc_config(self, subnets: ec2.SelectedSubnets | None) -> sagemaker.CfnModel.VpcConfigProperty | None:
        if subnets is None:
            return None
        return sagemaker.CfnModel.VpcConfigProperty(
            security_group_ids=[group.security_group_id for group in self.connections.security_groups],
            subnets=list(subnets.subnet_ids),
        )

    def _artifact_permissions(self, model_object: ModelObject) -> iam.IGrantable:
        """Return what the permissions to read the data and pull the image are granted to.

        In a role of our own they are a policy for this version of the model. CloudFormation deletes the last
        version's policy after the endpoint has moved, so that until then, and when it has to move back,
        instances that start with the last version can still read it.
        """
        return iam.Policy(self, f"Artifacts{model_object.fingerprint or ''}", roles=[self.role])


def _select(vpc: ec2.IVpc, subnets: ec2.SubnetSelection | None) -> ec2.SelectedSubnets:
    selection = subnets or ec2.SubnetSelection()
    return vpc.select_subnets(
        availability_zones=selection.availability_zones,
        one_per_az=selection.one_per_az,
        subnet_filters=selection.subnet_filters,
        subnet_group_name=selection.subnet_group_name,
        subnets=selection.subnets,
        subnet_type=selection.subnet_type,
    )
