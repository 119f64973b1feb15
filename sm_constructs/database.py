"""The database that keeps a row for each text that was classified."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import cast

from aws_cdk import ArnFormat, CfnResource, CustomResource, Duration, RemovalPolicies, RemovalPolicy, Stack, Token
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_rds as rds
from aws_cdk import aws_sagemaker as sagemaker
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from sm_constructs._database_network import DatabaseNetwork
from sm_constructs._endpoint_environment import endpoint_problems
from sm_constructs._function import RuntimeFunction
from sm_constructs._log_groups import log_group
from sm_constructs._sources import source_directory
from sm_constructs._validation import Problems
from sm_constructs.lambda_platform import LambdaPlatform

_DATABASE_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_RESERVED_NAMES = ("postgres", "rdsadmin", "template0", "template1")
# Neither the port nor the name that everybody tries first.
_PORT = 5460
_MASTER_USER = "results_admin"

# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-serverless-v2.setting-capacity.html
_MOST_CAPACITY = 256
_MIGRATION_MINUTES = 14

# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/USER_Monitoring.OS.Enabling.html
_MONITORING_SECONDS = (0, 1, 5, 10, 15, 30, 60)


class ResultDatabase(Construct):
    """Define an Aurora PostgreSQL Serverless v2 cluster with the table ``classifications`` and views of it.

    It is called through the RDS Data API, by functions that are in no VPC, and is reached over the network by
    nothing else: its security group lets nothing in. It pauses while nobody calls, and then costs its storage and
    what stands beside it (``docs/result-database.md``); the first call after a pause takes about 15 seconds, in which
    the Data API answers ``DatabaseResumingException``.

    The schema comes with the construct: numbered SQL files in ``lambda_src``, which a function applies during the
    deployment, once each. A file that fails is rolled back, and the deployment with it.

    The storage is encrypted, connections need TLS, PostgreSQL's log goes to CloudWatch, and the master user's
    password is RDS's, which replaces it every seven days.

    Args:
        scope: The parent construct.
        construct_id: The id within the parent.
        database_name: The database's name: 1 to 63 lower-case letters, digits and underscores, a letter first. When
            omitted: ``"classifications"``.
        min_capacity: Aurora capacity units (about 2 GB of memory each) that an instance has at least, in halves; 0
            lets it pause. When omitted: 0.
        max_capacity: Aurora capacity units that an instance has at most, 1 to 256 in halves. When omitted: 4.
        auto_pause_after: How long nobody calls before an instance pauses, 300 to 86,400 seconds; only with a
            ``min_capacity`` of 0. When omitted: 300 seconds.
        reader_count: Instances in other availability zones, one of which takes over when the first one fails, 0 to
            15. They pause with it. When omitted: 1.
        engine_version: The version of Aurora PostgreSQL, of those that can pause. When omitted: 17.7.
        endpoint: The endpoint that SQL can label texts by, as in ``SELECT (classify(text)).label FROM reviews``, a
            real-time or serverless one: Aurora machine learning, with a role that may invoke this endpoint only. When
            omitted: there is no such function.
        vpc: The VPC that the cluster is in. With an ``endpoint`` it must reach SageMaker from there. When omitted: a
            VPC of its own in two availability zones, without a way out, but one to SageMaker with an ``endpoint``.
        vpc_subnets: Its subnets in ``vpc``. When omitted: private ones.
        backup_retention: For how long the database can be brought back to any second, 1 to 35 days. When omitted: 7
            days.
        deletion_protection: Whether the cluster refuses to be deleted. When omitted: it does.
        removal_policy: What happens to the cluster when the stack is deleted. When omitted: ``SNAPSHOT``, it is
            deleted and a snapshot is kept. ``RETAIN`` keeps it, with the network it is in.
        encryption_key: The KMS key of the storage, the backups, the secret and the logs. Its policy is made to let
            CloudWatch Logs use it, which for an imported key is up to its owner. When omitted: keys that AWS manages.
        monitoring_interval: How often the operating system is looked at (enhanced monitoring), 0 (never), 1, 5, 10,
            15, 30 or 60 seconds. When omitted: 60 seconds.
        log_retention: How long logs are kept. When omitted: one month.
        lambda_platform: Python version and architecture of the functions. When omitted: Python 3.13 on arm64.

    Attributes:
        cluster: The cluster.
        secret: The master user's name and password.
        database_name: The database's name.
        schema: The schema. What writes as soon as it is there depends on it.
        migrate_function: The function that applies migrations.
        vpc: The VPC that the cluster is in.

    Raises:
        InvalidPropsError: Arguments that RDS would refuse, all of them at once; or the functions' dependencies have
            not been bundled, with the command that does it.

    Example: ``docs/examples/result_database.py``.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        database_name: str = "classifications",
        min_capacity: float = 0,
        max_capacity: float = 4,
        auto_pause_after: Duration | None = None,
        reader_count: int = 1,
        engine_version: rds.AuroraPostgresEngineVersion | None = None,
        endpoint: sagemaker.IEndpoint | None = None,
        vpc: ec2.IVpc | None = None,
        vpc_subnets: ec2.SubnetSelection | None = None,
        backup_retention: Duration | None = None,
        deletion_protection: bool = True,
        removal_policy: RemovalPolicy = RemovalPolicy.SNAPSHOT,
        encryption_key: kms.IKey | None = None,
        monitoring_interval: Duration | None = None,
        log_retention: logs.RetentionDays = logs.RetentionDays.ONE_MONTH,
        lambda_platform: LambdaPlatform | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        platform = lambda_platform or LambdaPlatform()
        backup_retention = backup_retention or Duration.days(7)
        monitoring_interval = monitoring_interval or Duration.seconds(60)

        problems = Problems()
        problems.extend(_name_problems(database_name))
        problems.extend(_capacity_problems(min_capacity, max_capacity))
        problems.extend(_pause_problems(auto_pause_after, min_capacity))
        problems.between("reader_count", reader_count, 0, 15)
        problems.extend(_backup_problems(backup_retention))
        problems.extend(_monitoring_problems(monitoring_interval))
        problems.unless(vpc is not None or vpc_subnets is None, "vpc_subnets without vpc: hand in the VPC they are in")
        problems.extend(endpoint_problems(endpoint))
        problems.extend(f"lambda_platform: {problem}" for problem in platform.problems())
        problems.raise_for(self)

        # Logs of what is gone need not outlive it, but those of a cluster that is kept do.
        logs_removal = RemovalPolicy.RETAIN if removal_policy == RemovalPolicy.RETAIN else RemovalPolicy.DESTROY

        def make_log_group(log_group_id: str, logs_of_cluster: str | None = None) -> logs.LogGroup:
            return log_group(
                self,
                log_group_id,
                retention=log_retention,
                removal_policy=logs_removal,
                encryption_key=encryption_key,
                logs_of_cluster=logs_of_cluster,
            )

        network = DatabaseNetwork(
            self,
            "Network",
            vpc=vpc,
            vpc_subnets=vpc_subnets,
            endpoint=endpoint,
            make_flow_log_group=lambda: make_log_group("FlowLogs"),
            log_retention=log_retention,
            encryption_key=encryption_key,
            lambda_platform=platform,
        )
        self.vpc: ec2.IVpc = network.vpc
        self.database_name: str = database_name
        self.cluster: rds.DatabaseCluster = rds.DatabaseCluster(
            self,
            "Cluster",
            engine=rds.DatabaseClusterEngine.aurora_postgres(
                version=engine_version or rds.AuroraPostgresEngineVersion.VER_17_7
            ),
            auto_minor_version_upgrade=True,
            backup=rds.BackupProps(retention=backup_retention),
            cloudwatch_logs_exports=["postgresql"],
            copy_tags_to_snapshot=True,
            credentials=rds.Credentials.from_username(_MASTER_USER, encryption_key=encryption_key),
            default_database_name=database_name,
            deletion_protection=deletion_protection,
            enable_data_api=True,
            iam_authentication=True,
            manage_master_user_password=True,
            monitoring_interval=monitoring_interval,
            monitoring_role=_monitoring_role(self) if monitoring_interval.to_seconds() else None,
            # Statements are in the log when they fail, but never their parameters: texts are parameters.
            parameters={"rds.force_ssl": "1", "log_parameter_max_length_on_error": "0"},
            port=_PORT,
            readers=[
                # With the writer's capacity it can take over at once, and it pauses when the writer does.
                rds.ClusterInstance.serverless_v2(
                    f"Reader{number}",
                    scale_with_writer=True,
                    auto_minor_version_upgrade=True,
                    publicly_accessible=False,
                )
                for number in range(1, reader_count + 1)
            ],
            removal_policy=removal_policy,
            security_groups=[network.security_group],
            serverless_v2_auto_pause_duration=auto_pause_after,
            serverless_v2_max_capacity=max_capacity,
            serverless_v2_min_capacity=min_capacity,
            storage_encrypted=True,
            storage_encryption_key=encryption_key,
            vpc=network.vpc,
            vpc_subnets=network.vpc_subnets,
            writer=rds.ClusterInstance.serverless_v2(
                "Writer", auto_minor_version_upgrade=True, publicly_accessible=False
            ),
        )
        cluster_logs = make_log_group("ClusterLogs", self.cluster.cluster_identifier)
        for child in self.cluster.node.find_all():
            if isinstance(child, rds.CfnDBInstance):
                # Made before the first instance writes, or RDS makes it, unencrypted and kept for ever.
                child.add_resource_dependency(cast(CfnResource, cluster_logs.node.default_child))
        self.secret: secretsmanager.ISecret = secretsmanager.Secret.from_secret_attributes(
            self,
            "Secret",
            encryption_key=encryption_key,
            secret_complete_arn=self._cfn_cluster.attr_master_user_secret_secret_arn,
        )
        self._encryption_key = encryption_key
        if endpoint is not None:
            self._let_sql_classify(endpoint)
        if removal_policy == RemovalPolicy.RETAIN:
            RemovalPolicies.of(self).retain()  # with all that the cluster cannot do without
        self.migrate_function: lambda_.Function = self._migrate_function(platform, log_retention, encryption_key)
        self.schema: CustomResource = self._schema(endpoint)

    @property
    def environment(self) -> dict[str, str]:
        """What a function has to know to save rows, when :meth:`grant_write` lets it."""
        return {
            "RESULT_DATABASE_CLUSTER_ARN": self.cluster.cluster_arn,
            "RESULT_DATABASE_SECRET_ARN": self.secret.secret_arn,
            "RESULT_DATABASE_NAME": self.database_name,
        }

    def grant_read(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow to run single SQL statements through the Data API, and to read the secret that this needs.

        IAM tells calls apart, not statements: what the statements may do is what the master user may do.
        """
        return self._grant(grantee, "rds-data:ExecuteStatement")

    def grant_write(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow to run SQL statements with many sets of parameters, and to read the secret that this needs.

        It is what ``text_classification.gateways.result_database`` needs to save rows, and no more.
        """
        return self._grant(grantee, "rds-data:BatchExecuteStatement")

    def _grant(self, grantee: iam.IGrantable, *actions: str) -> iam.Grant:
        calls = iam.Grant.add_to_principal(
            grantee=grantee, actions=list(actions), resource_arns=[self.cluster.cluster_arn]
        )
        reading = iam.Grant.add_to_principal(
            grantee=grantee, actions=["secretsmanager:GetSecretValue"], resource_arns=[self.secret.secret_arn]
        )
        grant = calls.combine(reading)
        return grant.combine(self._encryption_key.grant_decrypt(grantee)) if self._encryption_key else grant

    @property
    def _cfn_cluster(self) -> rds.CfnDBCluster:
        return cast(rds.CfnDBCluster, self.cluster.node.default_child)

    def _let_sql_classify(self, endpoint: sagemaker.IEndpoint) -> None:
        stack = Stack.of(self)
        clusters = stack.format_arn(
            service="rds", resource="cluster", resource_name="*", arn_format=ArnFormat.COLON_RESOURCE_NAME
        )
        role = iam.Role(
            self,
            "SqlClassificationRole",
            assumed_by=iam.ServicePrincipal(
                "rds.amazonaws.com",
                # Not this cluster alone: its ARN is known only when it exists, which needs the role.
                conditions={
                    "StringEquals": {"aws:SourceAccount": stack.account},
                    "ArnLike": {"aws:SourceArn": clusters},
                },
            ),
        )
        endpoint.grant_invoke(role)
        self._cfn_cluster.associated_roles = [
            rds.CfnDBCluster.DBClusterRoleProperty(role_arn=role.role_arn, feature_name="SageMaker")
        ]

    def _migrate_function(
        self, platform: LambdaPlatform, log_retention: logs.RetentionDays, encryption_key: kms.IKey | None
    ) -> lambda_.Function:
        function = RuntimeFunction(
            self,
            "Migrate",
            handler="text_classification.handlers.migrate.handler",
            service="migrate",
            layers=["core"],
            environment={
                "CLUSTER_ARN": self.cluster.cluster_arn,
                "SECRET_ARN": self.secret.secret_arn,
                "DATABASE_NAME": self.database_name,
            },
            memory_size_mb=256,
            timeout=Duration.minutes(_MIGRATION_MINUTES),
            reserved_concurrent_executions=None,
            log_retention=log_retention,
            removal_policy=RemovalPolicy.DESTROY,
            vpc=None,
            encryption_key=encryption_key,
            lambda_platform=platform,
        ).function
        self._grant(
            function,
            "rds-data:BeginTransaction",
            "rds-data:CommitTransaction",
            "rds-data:ExecuteStatement",
            "rds-data:RollbackTransaction",
        )
        return function

    def _schema(self, endpoint: sagemaker.IEndpoint | None) -> CustomResource:
        schema = CustomResource(
            self,
            "Schema",
            properties={
                "Migrations": _migrations_hash(),
                **({"EndpointName": endpoint.endpoint_name} if endpoint else {}),
            },
            resource_type="Custom::ResultDatabaseSchema",
            # What the function cannot answer in time it will never answer.
            service_timeout=Duration.minutes(_MIGRATION_MINUTES + 1),
            service_token=self.migrate_function.function_arn,
        )
        schema.node.add_dependency(self.cluster)  # with its instances: without one nobody answers
        return schema


def _monitoring_role(scope: Construct) -> iam.Role:
    """Return what RDS writes the metrics of the operating system with.

    Not AmazonRDSEnhancedMonitoringRole: AWS changes its managed policies, and nobody sees them in the template.
    """
    role = iam.Role(scope, "MonitoringRole", assumed_by=iam.ServicePrincipal("monitoring.rds.amazonaws.com"))
    # RDS calls the log group of a whole region RDSOSMetrics.
    group = Stack.of(scope).format_arn(service="logs", resource="log-group:RDSOSMetrics")
    role.add_to_policy(
        iam.PolicyStatement(actions=["logs:CreateLogGroup", "logs:PutRetentionPolicy"], resources=[group])
    )
    role.add_to_policy(
        iam.PolicyStatement(
            actions=["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:GetLogEvents", "logs:PutLogEvents"],
            resources=[f"{group}:log-stream:*"],
        )
    )
    return role


def _migrations_hash() -> str:
    """Return a hash that changes with the migrations, so that CloudFormation applies them."""
    directory = source_directory("lambda_src") / "text_classification" / "migrations"
    files = sorted(directory.glob("*.sql"))
    return hashlib.sha256(b"".join(file.name.encode() + file.read_bytes() for file in files)).hexdigest()


def _name_problems(name: str) -> Iterator[str]:
    if Token.is_unresolved(name):
        return
    if not _DATABASE_NAME.fullmatch(name):
        yield f"database_name is {name!r}: must be 1 to 63 lower-case letters, digits or underscores, a letter first"
    elif name in _RESERVED_NAMES:
        yield f"database_name is {name!r}: PostgreSQL or RDS uses it itself: choose another one"


def _capacity_problems(low: float, high: float) -> Iterator[str]:
    for name, value, least in (("min_capacity", low, 0), ("max_capacity", high, 1)):
        if not Token.is_unresolved(value) and not (least <= value <= _MOST_CAPACITY and value * 2 == int(value * 2)):
            yield f"{name} is {value:g}: must be from {least} to {_MOST_CAPACITY} capacity units, in halves"
    if not (Token.is_unresolved(low) or Token.is_unresolved(high)) and low > high:
        yield f"min_capacity is {low:g} and max_capacity {high:g}: the least must not be more than the most"


def _pause_problems(after: Duration | None, min_capacity: float) -> Iterator[str]:
    if after is None:
        return
    if not Token.is_unresolved(min_capacity) and min_capacity > 0:
        yield f"auto_pause_after with a min_capacity of {min_capacity:g}: only 0 lets the database pause"
    if not after.is_unresolved() and not 300 <= after.to_seconds(integral=False) <= 86_400:
        yield f"auto_pause_after is {after.to_human_string()}: must be from 300 to 86400 seconds"


def _backup_problems(retention: Duration) -> Iterator[str]:
    if not retention.is_unresolved() and retention.to_days(integral=False) not in range(1, 36):
        yield f"backup_retention is {retention.to_human_string()}: must be whole days from 1 to 35"


def _monitoring_problems(interval: Duration) -> Iterator[str]:
    if interval.is_unresolved():
        yield "monitoring_interval is known at deployment only: must be known at synth"
    elif interval.to_seconds(integral=False) not in _MONITORING_SECONDS:
        allowed = ", ".join(map(str, _MONITORING_SECONDS))
        yield f"monitoring_interval is {interval.to_human_string()}: must be one of {allowed} seconds"
