"""The network that the result database is in."""

from __future__ import annotations

from collections.abc import Callable

from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

# Nothing routes to it, so it may be the same in every stack. Room for two subnets of 59 addresses.
_CIDR = "10.0.0.0/25"
_HTTPS = ec2.Port.tcp(443)


class DatabaseNetwork(Construct):
    """Define the security group of a database, and the VPC unless it is handed in.

    Args:
        scope: The parent construct.
        construct_id: The id within the parent.
        vpc: An existing VPC. None: one without a way in or out.
        vpc_subnets: Subnets of the existing VPC. None: private ones.
        endpoint: The endpoint that the database calls itself. None: it calls nothing.
        make_flow_log_group: Makes the log group for refused connections, for a VPC that is made.

    Attributes:
        vpc: The VPC.
        vpc_subnets: The subnets.
        security_group: What lets nothing in, and out only to SageMaker where there is an endpoint.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        vpc: ec2.IVpc | None,
        vpc_subnets: ec2.SubnetSelection | None,
        endpoint: sagemaker.IEndpoint | None,
        make_flow_log_group: Callable[[], logs.ILogGroup],
    ) -> None:
        super().__init__(scope, construct_id)
        self.vpc: ec2.IVpc = vpc or self._isolated_vpc(make_flow_log_group())
        self.vpc_subnets: ec2.SubnetSelection | None = vpc_subnets
        if vpc is None:
            self.vpc_subnets = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)
        self.security_group: ec2.SecurityGroup = ec2.SecurityGroup(
            self,
            "SecurityGroup",
            allow_all_outbound=False,
            description="The result database: nothing connects to it, the Data API needs no rule",
            vpc=self.vpc,
        )
        if endpoint is not None:
            # In a VPC of somebody's own the way to SageMaker is theirs, through a VPC endpoint or a NAT gateway.
            peer = ec2.Peer.any_ipv4() if vpc else ec2.Peer.ipv4(_CIDR)
            self.security_group.add_egress_rule(peer, _HTTPS, "Aurora machine learning calls SageMaker")
            if vpc is None:
                self._way_to(endpoint)

    def _isolated_vpc(self, flow_logs: logs.ILogGroup) -> ec2.Vpc:
        vpc = ec2.Vpc(
            self,
            "Vpc",
            create_internet_gateway=False,
            ip_addresses=ec2.IpAddresses.cidr(_CIDR),
            max_azs=2,
            nat_gateways=0,
            restrict_default_security_group=False,
            subnet_configuration=[
                ec2.SubnetConfiguration(name="Database", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED, cidr_mask=26)
            ],
        )
        vpc.add_flow_log(
            "FlowLog",
            destination=ec2.FlowLogDestination.to_cloud_watch_logs(flow_logs),
            traffic_type=ec2.FlowLogTrafficType.REJECT,
        )
        return vpc

    def _way_to(self, endpoint: sagemaker.IEndpoint) -> None:
        """Define an interface of SageMaker's in the VPC, through which this endpoint can be invoked only."""
        group = ec2.SecurityGroup(
            self,
            "SageMakerSecurityGroup",
            allow_all_outbound=False,
            description="SageMaker for the result database",
            vpc=self.vpc,
        )
        group.add_ingress_rule(ec2.Peer.ipv4(_CIDR), _HTTPS, "Aurora machine learning")
        interface = self.vpc.add_interface_endpoint(
            "SageMaker",
            open=False,
            security_groups=[group],
            service=ec2.InterfaceVpcEndpointAwsService.SAGEMAKER_RUNTIME,
            subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED),
        )
        interface.add_to_policy(
            iam.PolicyStatement(
                actions=["sagemaker:InvokeEndpoint"],
                principals=[iam.AnyPrincipal()],
                resources=[endpoint.endpoint_arn],
            )
        )
