"""The network that the result database is in."""

from __future__ import annotations

from collections.abc import Callable

from aws_cdk import CustomResource, Duration, Fn, RemovalPolicy, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from sm_constructs._function import RuntimeFunction
from sm_constructs.lambda_platform import LambdaPlatform

# Nothing routes to it, so it may be the same in every stack.
_CIDR = "10.0.0.0/25"
_SUBNET_CIDRS = ("10.0.0.0/26", "10.0.0.64/26")
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
        log_retention: How long the logs of the function are kept that closes its default security group.
        encryption_key: Encrypts that function's environment and logs. None: keys that AWS manages.
        lambda_platform: Python version and architecture of that function.

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
        log_retention: logs.RetentionDays,
        encryption_key: kms.IKey | None,
        lambda_platform: LambdaPlatform,
    ) -> None:
        super().__init__(scope, construct_id)
        self.vpc_subnets: ec2.SubnetSelection | None = vpc_subnets
        if vpc is None:
            own = self._isolated_vpc()
            self.vpc: ec2.IVpc = self._subnets_of(own)
            self.vpc_subnets = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)
            self._log_refused_connections(own, make_flow_log_group())
            self._close_default_security_group(own, log_retention, encryption_key, lambda_platform)
        else:
            self.vpc = vpc
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

    def _isolated_vpc(self) -> ec2.CfnVPC:
        # Not the CDK's ec2.Vpc: it acknowledges findings for the whole stack, where no checker reports them any more.
        return ec2.CfnVPC(self, "Vpc", cidr_block=_CIDR, enable_dns_hostnames=True, enable_dns_support=True)

    def _subnets_of(self, vpc: ec2.CfnVPC) -> ec2.IVpc:
        """Define a subnet in each of two availability zones, and return the VPC as others take it."""
        zones = [Fn.select(number, Fn.get_azs()) for number in range(len(_SUBNET_CIDRS))]
        subnets = [
            ec2.CfnSubnet(
                self,
                f"Subnet{number}",
                availability_zone=zone,
                cidr_block=cidr,
                map_public_ip_on_launch=False,
                vpc_id=vpc.ref,
            )
            for number, (zone, cidr) in enumerate(zip(zones, _SUBNET_CIDRS, strict=True), start=1)
        ]
        routes = ec2.CfnRouteTable(self, "Routes", vpc_id=vpc.ref)  # of its own, with no route to anywhere
        for number, subnet in enumerate(subnets, start=1):
            ec2.CfnSubnetRouteTableAssociation(
                self, f"Subnet{number}Routes", route_table_id=routes.ref, subnet_id=subnet.ref
            )
        return ec2.Vpc.from_vpc_attributes(
            self,
            "VpcWithSubnets",
            availability_zones=zones,
            isolated_subnet_ids=[subnet.ref for subnet in subnets],
            isolated_subnet_route_table_ids=[routes.ref for _ in subnets],
            vpc_cidr_block=_CIDR,
            vpc_id=vpc.ref,
        )

    def _log_refused_connections(self, vpc: ec2.CfnVPC, log_group: logs.ILogGroup) -> None:
        role = iam.Role(self, "FlowLogRole", assumed_by=iam.ServicePrincipal("vpc-flow-logs.amazonaws.com"))
        # https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html
        granted = log_group.grant(role, "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents")
        flow_log = ec2.CfnFlowLog(
            self,
            "FlowLog",
            deliver_logs_permission_arn=role.role_arn,
            log_destination=log_group.log_group_arn,
            log_destination_type="cloud-watch-logs",
            resource_id=vpc.ref,
            resource_type="VPC",
            traffic_type="REJECT",
        )
        granted.apply_before(flow_log)

    def _close_default_security_group(
        self,
        vpc: ec2.CfnVPC,
        log_retention: logs.RetentionDays,
        encryption_key: kms.IKey | None,
        platform: LambdaPlatform,
    ) -> None:
        """Take away what lets everything out of the group that every VPC has, though nothing is in it."""
        group_id = vpc.attr_default_security_group
        function = RuntimeFunction(
            self,
            "CloseDefaultSecurityGroup",
            handler="text_classification.handlers.close_security_group.handler",
            service="close-security-group",
            layers=["core"],
            environment={"SECURITY_GROUP_ID": group_id},
            memory_size_mb=256,
            timeout=Duration.minutes(1),
            reserved_concurrent_executions=None,
            log_retention=log_retention,
            removal_policy=RemovalPolicy.DESTROY,
            vpc=None,
            encryption_key=encryption_key,
            lambda_platform=platform,
        ).function
        iam.Grant.add_to_principal(
            grantee=function,
            actions=["ec2:RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress"],
            resource_arns=[
                Stack.of(self).format_arn(service="ec2", resource="security-group", resource_name=group_id),
            ],
        )
        CustomResource(
            self,
            "DefaultSecurityGroup",
            resource_type="Custom::ClosedSecurityGroup",
            service_timeout=Duration.minutes(2),
            service_token=function.function_arn,
        )

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
