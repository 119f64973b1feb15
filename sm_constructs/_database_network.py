"""The network that the result database is in."""

from __future__ import annotations

from collections.abc import Callable

from aws_cdk import CustomResource, Duration, RemovalPolicy, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from sm_constructs._function import RuntimeFunction
from sm_constructs.lambda_platform import LambdaPlatform

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
        self.vpc: ec2.IVpc = vpc or self._isolated_vpc(make_flow_log_group())
        self.vpc_subnets: ec2.SubnetSelection | None = vpc_subnets
        if vpc is None:
            self.vpc_subnets = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)
            self._close_default_security_group(log_retention, encryption_key, lambda_platform)
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
            restrict_default_security_group=False,  # by a function of ours, whose role the template shows whole
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

    def _close_default_security_group(
        self, log_retention: logs.RetentionDays, encryption_key: kms.IKey | None, platform: LambdaPlatform
    ) -> None:
        """Take away what lets everything out of the group that every VPC has, though nothing is in it."""
        group_id = self.vpc.node.default_child.attr_default_security_group  # type: ignore[union-attr]
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
