"""The SageMaker model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence

import jsii
from aws_cdk import Resource, Stack, Token
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from sm_constructs._validation import Problems
from sm_constructs.model.bound_data import BoundData
from sm_constructs.model.container import Container, environment_size_problems, pipeline_problems
from sm_constructs.model.data import ModelData
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
        data: Where the model's data comes from. Omitted only where ``containers`` says it.
        framework: The container image, and what it needs. Omitted only where ``containers`` says it, and for a
            model package, which has its own.
        environment: Further environment variables of the container, which win over the framework's; at most 100
            in all, of at most 1,024 characters. When omitted: the framework's alone.
        containers: Several containers, from 2 to 15, instead of ``data``, ``framework`` and ``environment``: each
            gets the answer of the one before. Real-time variants alone take such models. When omitted: one container.
        direct_invocation: Whether each call goes to the one of ``containers`` that it names by its hostname
            (``TargetContainerHostname``), and not through all of them.
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
        has_uncompressed_data: Whether a container's data is files under a prefix and no archive.
        container_names: The containers' hostnames, by which each of several is measured; None where
            they are known at deployment only.
        images: The containers' images, as far as they are known.
        processors: What AWS's images among the containers' run on: ``"cpu"``, ``"gpu"``, ``"graviton"``; nothing
            is known of other images.

    Raises:
        InvalidPropsError: Anything that is wrong with the arguments, all at once.

    >>> model = Model(
    ...     stack,
    ...     "Model",
    ...     data=ModelData.from_bucket(bucket, "models/2024-06-01/model.tar.gz"),
    ...     framework=Framework.scikit_learn(),
    ... )
    >>> grant = topic.grant_publish(model)  # the containers may now publish to the topic
    >>> pipeline = Model(
    ...     stack,
    ...     "Pipeline",
    ...     containers=[
    ...         Container(data=ModelData.from_bucket(bucket, "words.tar.gz"), framework=Framework.scikit_learn()),
    ...         Container(data=ModelData.from_bucket(bucket, "labels.tar.gz"), framework=Framework.pytorch()),
    ...     ],
    ... )
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        data: ModelData | None = None,
        framework: Framework | None = None,
        environment: Mapping[str, str] | None = None,
        containers: Sequence[Container] | None = None,
        direct_invocation: bool = False,
        role: iam.IRole | None = None,
        vpc: ec2.IVpc | None = None,
        vpc_subnets: ec2.SubnetSelection | None = None,
        security_groups: Sequence[ec2.ISecurityGroup] | None = None,
        network_isolation: bool = False,
        encryption_key: kms.IKey | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        chosen = list(containers or [])
        if data and not chosen:
            chosen = [Container(data=data, framework=framework, environment=environment or {})]
        problems = Problems()
        problems.unless(
            containers is not None or data is not None, "data is missing: say where the model comes from, or containers"
        )
        problems.unless(
            containers is None or not any([data, framework, environment]),
            "containers with data, framework or environment: say them in each container",
        )
        problems.unless(
            containers is not None or not direct_invocation, "direct_invocation without containers: there is only one"
        )
        for index, container in enumerate(chosen, start=1):
            prefix = f"container {container.hostname or index}: " if containers is not None else ""
            problems.extend(f"{prefix}{problem}" for problem in container.problems(self))
        if containers is not None:
            problems.extend(pipeline_problems(chosen, direct=direct_invocation))
        problems.extend(environment_size_problems(chosen))
        problems.extend(_network_problems(vpc, vpc_subnets, security_groups))
        problems.raise_for(self)

        self.container_count = len(chosen)
        self.container_names = _container_names(chosen)
        self.is_multi_model = any(container.data.is_multi_model for container in chosen)
        self.has_uncompressed_data = any(container.data.is_uncompressed for container in chosen)
        self.network_isolation = network_isolation
        self.vpc = vpc
        self.role: iam.IRole = role or iam.Role(
            self, "Role", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com")
        )
        self._connections = self._connect(vpc, security_groups)
        subnet_ids = _subnet_ids(vpc, vpc_subnets)
        bound = self._bind(chosen)
        images = [container.framework.image if container.framework else data.package_image for container, data in bound]
        self.images = tuple(image for image in images if image)
        self.processors = frozenset(image.processor for image in self.images if image.processor)
        definitions = [container.definition(self, data) for container, data in bound]
        self._resource = sagemaker.CfnModel(
            self,
            "Resource",
            containers=definitions if containers is not None else None,
            enable_network_isolation=network_isolation or None,
            execution_role_arn=self.role.role_arn,
            inference_execution_config=sagemaker.CfnModel.InferenceExecutionConfigProperty(mode="Direct")
            if direct_invocation
            else None,
            primary_container=definitions[0] if containers is None else None,
            vpc_config=self._vpc_config(subnet_ids),
        )
        # SageMaker takes the role when the model is made and when an instance starts, so the permissions come
        # first: those granted here, and through the role those that the app grants later.
        self._resource.node.add_dependency(self.role)
        if encryption_key or any(c.framework or data.location or data.package_image for c, data in bound):
            artifacts = self.role if role else self._artifact_policy(bound, encryption_key)
            for grant in self._grant_artifacts(artifacts, bound, encryption_key):
                grant.apply_before(self._resource)
        for grant in self._grant_runtime(subnet_ids):
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

    @property
    def definition(self) -> str:
        """What the template says of the model, as JSON with references; without ``add_property_override``."""
        names = (
            "containers",
            "primary_container",
            "enable_network_isolation",
            "inference_execution_config",
            "vpc_config",
        )
        parts = [getattr(self._resource, name) for name in (*names, "execution_role_arn")]
        return json.dumps(Stack.of(self).resolve(parts), sort_keys=True)

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

    def _bind(self, containers: Sequence[Container]) -> list[tuple[Container, BoundData]]:
        if len(containers) == 1:
            return [(containers[0], containers[0].data.bind(self))]
        return [
            (container, container.data.bind(Construct(self, f"Container{index}")))
            for index, container in enumerate(containers, start=1)
        ]

    def _artifact_policy(self, bound: Sequence[tuple[Container, BoundData]], key: kms.IKey | None) -> iam.Policy:
        """Define the policy to read this data and pull this image, beside those of the versions before.

        Its id changes with them, so that CloudFormation makes a new policy first and deletes the old one when
        the endpoint has moved. Until then, and if it has to move back, instances of the old version may start.
        """
        parts = []
        for container, data in bound:
            image = container.framework.image if container.framework else data.package_image
            parts += [data.identity, image.identity if image else ""]
        identity = "\n".join([*parts, key.node.path if key else ""])
        version = hashlib.sha256(identity.encode()).hexdigest()[:8]
        return iam.Policy(self, f"Artifacts{version}", roles=[self.role])

    def _grant_artifacts(
        self, grantee: iam.IGrantable, bound: Sequence[tuple[Container, BoundData]], key: kms.IKey | None
    ) -> Iterator[iam.Grant]:
        for container, data in bound:
            yield from data.grant_read(self, grantee)
            if container.framework:
                yield container.framework.image.grant_pull(self, grantee)
        if key:
            yield key.grant_decrypt(grantee)

    def _grant_runtime(self, subnet_ids: list[str]) -> Iterator[iam.Grant]:
        stack = Stack.of(self)
        yield grant_runtime(self.role, stack)
        if self._connections is not None:
            yield grant_vpc(self.role, stack, subnet_ids, self._connections.security_groups)


def _container_names(containers: Sequence[Container]) -> tuple[str, ...] | None:
    """Return the names by which containers are measured: a single one is not measured by itself."""
    if len(containers) == 1:
        return ()
    names = tuple(container.hostname for container in containers if container.hostname)
    return None if not names or any(map(Token.is_unresolved, names)) else names


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
