"""ResultDatabase: a cluster that pauses, that nothing connects to, and that comes with its schema."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_rds as rds

from sm_constructs import (
    ArtifactStore,
    Endpoint,
    Framework,
    InvalidPropsError,
    LambdaPlatform,
    Model,
    ModelData,
    ResultDatabase,
)
from sm_constructs._sources import source_directory
from sm_constructs.endpoint import Asynchronous
from tests.synth.templates import all_of, changes, only, resources_of, statements, text_of

pytestmark = pytest.mark.usefixtures("bundles")

CLUSTER, INSTANCE = "AWS::RDS::DBCluster", "AWS::RDS::DBInstance"
FUNCTION, LOG_GROUP = "AWS::Lambda::Function", "AWS::Logs::LogGroup"
SCHEMA, SECURITY_GROUP = "Custom::ResultDatabaseSchema", "AWS::EC2::SecurityGroup"
SECRET = "MasterUserSecret.SecretArn"  # noqa: S105 - the name of an attribute


def id_of(stack: cdk.Stack, resource_type: str) -> str:
    (found,) = [name for name, resource in resources_of(stack).items() if resource["Type"] == resource_type]
    return found


def function(stack: cdk.Stack, module: str) -> dict[str, Any]:
    """Return the properties of the function with that handler."""
    (found,) = [
        each["Properties"]
        for each in all_of(stack, FUNCTION)
        if each["Properties"]["Handler"] == f"text_classification.handlers.{module}.handler"
    ]
    assert isinstance(found, dict)
    return found


def reviews(stack: cdk.Stack) -> Any:
    return Endpoint.from_endpoint_name(stack, "Endpoint", "reviews")


def test_the_cluster_pauses_and_is_called_through_the_data_api_by_default(stack: cdk.Stack) -> None:
    ResultDatabase(stack, "Database")

    cluster = only(stack, CLUSTER)

    assert (cluster["Engine"], cluster["EngineVersion"]) == ("aurora-postgresql", "17.7")
    assert cluster["ServerlessV2ScalingConfiguration"] == {"MinCapacity": 0, "MaxCapacity": 4}
    assert cluster["EnableHttpEndpoint"] is True
    assert cluster["DatabaseName"] == "classifications"
    assert cluster["BackupRetentionPeriod"] == 7
    assert "AssociatedRoles" not in cluster


def test_a_second_instance_is_ready_to_take_over_by_default(stack: cdk.Stack) -> None:
    ResultDatabase(stack, "Database")

    instances = [instance["Properties"] for instance in all_of(stack, INSTANCE)]

    assert {instance["DBInstanceClass"] for instance in instances} == {"db.serverless"}
    assert [instance["PromotionTier"] for instance in instances] == [0, 1]
    assert {instance["PubliclyAccessible"] for instance in instances} == {False}


def test_what_the_security_controls_ask_for_is_on_by_default(stack: cdk.Stack) -> None:
    ResultDatabase(stack, "Database")

    cluster = only(stack, CLUSTER)

    assert cluster["StorageEncrypted"] is True
    assert cluster["DeletionProtection"] is True
    assert cluster["EnableIAMDatabaseAuthentication"] is True
    assert cluster["CopyTagsToSnapshot"] is True
    assert cluster["AutoMinorVersionUpgrade"] is True
    assert cluster["EnableCloudwatchLogsExports"] == ["postgresql"]
    assert cluster["Port"] != 5432
    assert cluster["MasterUsername"] not in {"admin", "postgres"}
    parameters = only(stack, "AWS::RDS::DBClusterParameterGroup")["Parameters"]
    assert parameters == {"rds.force_ssl": "1", "log_parameter_max_length_on_error": "0"}
    assert [instance["Properties"]["MonitoringInterval"] for instance in all_of(stack, INSTANCE)] == [60, 60]
    assert {instance["Properties"]["AutoMinorVersionUpgrade"] for instance in all_of(stack, INSTANCE)} == {True}


def test_rds_manages_the_password(stack: cdk.Stack) -> None:
    database = ResultDatabase(stack, "Database")

    cluster = only(stack, CLUSTER)

    assert cluster["ManageMasterUserPassword"] is True
    assert "MasterUserPassword" not in cluster
    assert not all_of(stack, "AWS::SecretsManager::Secret")
    assert stack.resolve(database.secret.secret_arn) == {"Fn::GetAtt": [id_of(stack, CLUSTER), SECRET]}


def test_a_snapshot_is_kept_when_the_stack_is_deleted_by_default(stack: cdk.Stack) -> None:
    ResultDatabase(stack, "Database")

    (cluster,) = all_of(stack, CLUSTER)

    assert (cluster["DeletionPolicy"], cluster["UpdateReplacePolicy"]) == ("Snapshot", "Snapshot")
    assert {group["DeletionPolicy"] for group in all_of(stack, LOG_GROUP)} == {"Delete"}


def test_a_cluster_that_is_kept_keeps_all_that_it_cannot_do_without(stack: cdk.Stack) -> None:
    ResultDatabase(stack, "Database", removal_policy=cdk.RemovalPolicy.RETAIN, endpoint=reviews(stack))

    gone = {name for name, resource in resources_of(stack).items() if resource.get("DeletionPolicy") != "Retain"}

    assert gone, "nothing goes with the stack"
    assert {name for name in gone if not name.startswith(("DatabaseMigrate", "DatabaseSchema", "Layer"))} == set()


def test_the_options_reach_the_cluster(stack: cdk.Stack) -> None:
    ResultDatabase(
        stack,
        "Database",
        database_name="results_2",
        min_capacity=0,
        max_capacity=1.5,
        auto_pause_after=cdk.Duration.hours(1),
        reader_count=0,
        engine_version=rds.AuroraPostgresEngineVersion.VER_16_8,
        backup_retention=cdk.Duration.days(35),
        deletion_protection=False,
        removal_policy=cdk.RemovalPolicy.DESTROY,
        monitoring_interval=cdk.Duration.seconds(0),
    )

    (resource,) = all_of(stack, CLUSTER)
    cluster = resource["Properties"]
    (instance,) = all_of(stack, INSTANCE)

    assert cluster["DatabaseName"] == "results_2"
    assert cluster["ServerlessV2ScalingConfiguration"] == {
        "MinCapacity": 0,
        "MaxCapacity": 1.5,
        "SecondsUntilAutoPause": 3600,
    }
    assert cluster["EngineVersion"] == "16.8"
    assert cluster["BackupRetentionPeriod"] == 35
    assert cluster["DeletionProtection"] is False
    assert resource["DeletionPolicy"] == "Delete"
    assert "MonitoringRoleArn" not in instance["Properties"]
    assert "monitoring.rds.amazonaws.com" not in text_of(stack)
    assert function(stack, "migrate")["Environment"]["Variables"]["DATABASE_NAME"] == "results_2"


def test_a_cluster_that_never_pauses_has_a_least_capacity(stack: cdk.Stack) -> None:
    ResultDatabase(stack, "Database", min_capacity=0.5, max_capacity=1)

    assert only(stack, CLUSTER)["ServerlessV2ScalingConfiguration"] == {"MinCapacity": 0.5, "MaxCapacity": 1}


def test_its_own_vpc_has_no_way_in_or_out(stack: cdk.Stack) -> None:
    ResultDatabase(stack, "Database")

    types = {resource["Type"] for resource in resources_of(stack).values()}

    assert only(stack, "AWS::EC2::VPC")["CidrBlock"] == "10.0.0.0/25"
    assert len(all_of(stack, "AWS::EC2::Subnet")) == 2
    assert {subnet["Properties"]["MapPublicIpOnLaunch"] for subnet in all_of(stack, "AWS::EC2::Subnet")} == {False}
    assert types.isdisjoint({"AWS::EC2::InternetGateway", "AWS::EC2::NatGateway", "AWS::EC2::Route"})
    assert "AWS::EC2::VPCEndpoint" not in types
    assert only(stack, "AWS::EC2::FlowLog")["TrafficType"] == "REJECT"


def test_its_default_security_group_is_closed(stack: cdk.Stack) -> None:
    ResultDatabase(stack, "Database")

    group = {"Fn::GetAtt": [id_of(stack, "AWS::EC2::VPC"), "DefaultSecurityGroup"]}
    (revoking,) = [each for each in statements(stack) if "ec2:RevokeSecurityGroupEgress" in each["Action"]]

    assert function(stack, "close_security_group")["Environment"]["Variables"]["SECURITY_GROUP_ID"] == group
    assert revoking["Action"] == ["ec2:RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress"]
    assert str(revoking["Resource"]).endswith(f"':security-group/', {group}]]}}")
    assert only(stack, "Custom::ClosedSecurityGroup")["ServiceTimeout"] == "120"


def test_nothing_may_connect_to_the_database_nor_it_to_anything(stack: cdk.Stack) -> None:
    ResultDatabase(stack, "Database")

    group = only(stack, SECURITY_GROUP)

    assert "SecurityGroupIngress" not in group
    assert [rule["CidrIp"] for rule in group["SecurityGroupEgress"]] == ["255.255.255.255/32"]
    assert {resource["Type"] for resource in resources_of(stack).values()}.isdisjoint(
        {"AWS::EC2::SecurityGroupIngress", "AWS::EC2::SecurityGroupEgress"}
    )


@pytest.fixture
def vpc(stack: cdk.Stack) -> ec2.IVpc:
    return ec2.Vpc.from_vpc_attributes(
        stack,
        "Vpc",
        vpc_id="vpc-1",
        availability_zones=["us-east-1a", "us-east-1b"],
        private_subnet_ids=["subnet-1", "subnet-2"],
        isolated_subnet_ids=["subnet-3", "subnet-4"],
    )


def test_a_vpc_that_is_handed_in_is_used_and_none_is_made(stack: cdk.Stack, vpc: ec2.IVpc) -> None:
    database = ResultDatabase(stack, "Database", vpc=vpc)

    assert database.vpc is vpc
    assert not all_of(stack, "AWS::EC2::VPC")
    assert not all_of(stack, "AWS::EC2::FlowLog")
    assert not all_of(stack, "Custom::ClosedSecurityGroup")
    assert only(stack, "AWS::RDS::DBSubnetGroup")["SubnetIds"] == ["subnet-1", "subnet-2"]
    assert only(stack, SECURITY_GROUP)["VpcId"] == "vpc-1"


def test_the_subnets_can_be_chosen(stack: cdk.Stack, vpc: ec2.IVpc) -> None:
    isolated = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)
    ResultDatabase(stack, "Database", vpc=vpc, vpc_subnets=isolated)

    assert only(stack, "AWS::RDS::DBSubnetGroup")["SubnetIds"] == ["subnet-3", "subnet-4"]


def test_sql_may_invoke_the_endpoint_and_nothing_else(stack: cdk.Stack) -> None:
    ResultDatabase(stack, "Database", endpoint=reviews(stack))

    ((role, policy),) = [
        (name, resource["Properties"]["PolicyDocument"]["Statement"])
        for name, resource in resources_of(stack).items()
        if resource["Type"] == "AWS::IAM::Policy" and "SqlClassification" in name
    ]
    (association,) = only(stack, CLUSTER)["AssociatedRoles"]

    assert association["FeatureName"] == "SageMaker"
    assert association["RoleArn"]["Fn::GetAtt"][0].startswith("DatabaseSqlClassificationRole")
    assert role.startswith("DatabaseSqlClassificationRole")
    assert [statement["Action"] for statement in policy] == ["sagemaker:InvokeEndpoint"]
    assert str(policy[0]["Resource"]).endswith(":endpoint/reviews']]}")
    assert only(stack, SCHEMA)["EndpointName"] == "reviews"


def test_rds_takes_the_role_only_for_clusters_of_this_account(stack: cdk.Stack) -> None:
    ResultDatabase(stack, "Database", endpoint=reviews(stack))

    (statement,) = [
        statement
        for role in all_of(stack, "AWS::IAM::Role")
        for statement in role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        if statement["Principal"] == {"Service": "rds.amazonaws.com"}
    ]

    assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    assert str(statement["Condition"]["ArnLike"]["aws:SourceArn"]).endswith(":cluster:*']]}")


def test_the_way_to_sagemaker_leads_to_this_endpoint_alone(stack: cdk.Stack) -> None:
    ResultDatabase(stack, "Database", endpoint=reviews(stack))

    interface = only(stack, "AWS::EC2::VPCEndpoint")
    (statement,) = interface["PolicyDocument"]["Statement"]
    database, sagemaker = (group["Properties"] for group in all_of(stack, SECURITY_GROUP))

    assert str(interface["ServiceName"]).endswith(".sagemaker.runtime']]}")
    assert interface["PrivateDnsEnabled"] is True
    assert statement["Action"] == "sagemaker:InvokeEndpoint"
    assert str(statement["Resource"]).endswith(":endpoint/reviews']]}")
    (out,), (into,) = database["SecurityGroupEgress"], sagemaker["SecurityGroupIngress"]
    assert (out["CidrIp"], out["FromPort"], out["ToPort"]) == ("10.0.0.0/25", 443, 443)
    assert (into["CidrIp"], into["FromPort"], into["ToPort"]) == ("10.0.0.0/25", 443, 443)


def test_in_a_vpc_of_yours_the_way_to_sagemaker_is_yours(stack: cdk.Stack, vpc: ec2.IVpc) -> None:
    ResultDatabase(stack, "Database", vpc=vpc, endpoint=reviews(stack))

    (rule,) = only(stack, SECURITY_GROUP)["SecurityGroupEgress"]

    assert not all_of(stack, "AWS::EC2::VPCEndpoint")
    assert (rule["CidrIp"], rule["ToPort"]) == ("0.0.0.0/0", 443)


def test_the_schema_is_applied_when_an_instance_can_answer(stack: cdk.Stack) -> None:
    ResultDatabase(stack, "Database")

    (schema,) = all_of(stack, SCHEMA)
    migrate = function(stack, "migrate")

    assert schema["Properties"]["ServiceTimeout"] == "900"
    assert migrate["Timeout"] < 900
    assert "EndpointName" not in schema["Properties"]
    instances = {name for name, resource in resources_of(stack).items() if resource["Type"] == INSTANCE}
    assert instances < set(schema["DependsOn"])
    assert "VpcConfig" not in migrate


@pytest.mark.parametrize("change", ["another file", "another statement", "another name"])
def test_a_new_migration_updates_the_schema(
    app: cdk.App, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, change: str
) -> None:
    migrations = tmp_path / "text_classification/migrations"
    shutil.copytree(source_directory("lambda_src") / "text_classification/migrations", migrations)
    monkeypatch.setattr("sm_constructs.database.source_directory", lambda _: tmp_path)
    before, after = cdk.Stack(app, "Before"), cdk.Stack(app, "After")
    ResultDatabase(before, "Database")
    first = migrations / "0001_classifications.sql"

    match change:
        case "another file":
            (migrations / "0003_more.sql").write_text("SELECT 1;\n")
        case "another statement":
            first.write_text(first.read_text() + "SELECT 1;\n")
        case _:
            first.rename(migrations / "0001_table.sql")
    ResultDatabase(after, "Database")

    assert changes(before, after)[id_of(after, SCHEMA)] == "updated"


def test_the_function_may_run_statements_in_transactions_on_this_cluster(stack: cdk.Stack) -> None:
    ResultDatabase(stack, "Database")

    found = {str(statement["Action"]): statement["Resource"] for statement in statements(stack)}

    actions = ["BeginTransaction", "CommitTransaction", "ExecuteStatement", "RollbackTransaction"]
    assert str(found[str([f"rds-data:{action}" for action in actions])]).endswith(
        f"':cluster:', {{'Ref': '{id_of(stack, CLUSTER)}'}}]]}}"
    )
    assert found["secretsmanager:GetSecretValue"] == {"Fn::GetAtt": [id_of(stack, CLUSTER), SECRET]}


@pytest.mark.parametrize(
    ("grant", "action"),
    [("grant_read", "rds-data:ExecuteStatement"), ("grant_write", "rds-data:BatchExecuteStatement")],
)
def test_a_grant_is_one_action_on_this_cluster_and_its_secret(stack: cdk.Stack, grant: str, action: str) -> None:
    database = ResultDatabase(stack, "Database")
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))

    granted = getattr(database, grant)(role)

    (policy,) = [
        policy["Properties"]["PolicyDocument"]["Statement"]
        for policy in all_of(stack, "AWS::IAM::Policy")
        if policy["Properties"]["Roles"] == [stack.resolve(role.role_name)]
    ]
    found = {statement["Action"]: statement["Resource"] for statement in policy}
    assert granted.success
    assert found.keys() == {action, "secretsmanager:GetSecretValue"}
    assert "*" not in str(found)


def test_a_grant_includes_the_key(stack: cdk.Stack) -> None:
    key = kms.Key(stack, "Key")
    database = ResultDatabase(stack, "Database", encryption_key=key)
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))

    database.grant_write(role)

    decrypting = [each for each in statements(stack) if each["Action"] == "kms:Decrypt"]
    assert decrypting
    assert {str(each["Resource"]) for each in decrypting} == {str(stack.resolve(key.key_arn))}


def test_a_key_encrypts_storage_secret_logs_and_environment(stack: cdk.Stack) -> None:
    key = kms.Key(stack, "Key")
    ResultDatabase(stack, "Database", encryption_key=key)

    arn = stack.resolve(key.key_arn)
    cluster = only(stack, CLUSTER)

    assert cluster["KmsKeyId"] == arn
    assert cluster["MasterUserSecret"] == {"KmsKeyId": arn}
    assert [each["Properties"]["KmsKeyArn"] for each in all_of(stack, FUNCTION)] == [arn] * 2
    assert [group["Properties"]["KmsKeyId"] for group in all_of(stack, LOG_GROUP)] == [arn] * 4


def test_the_keys_policy_lets_cloudwatch_encrypt_the_clusters_log(stack: cdk.Stack) -> None:
    ResultDatabase(stack, "Database", encryption_key=kms.Key(stack, "Key"))

    policy = only(stack, "AWS::KMS::Key")["KeyPolicy"]["Statement"]

    conditions = [str(statement["Condition"]) for statement in policy if "Condition" in statement]
    assert any(":log-group:/aws/rds/cluster/*" in condition for condition in conditions)


def test_the_clusters_log_group_is_made_before_an_instance_writes_to_it(stack: cdk.Stack) -> None:
    ResultDatabase(stack, "Database", log_retention=logs.RetentionDays.ONE_WEEK)

    named = {
        name: group["Properties"]["LogGroupName"]
        for name, group in resources_of(stack).items()
        if group["Type"] == LOG_GROUP and "LogGroupName" in group["Properties"]
    }

    ((name, log_group_name),) = named.items()
    assert log_group_name == {"Fn::Join": ["", ["/aws/rds/cluster/", {"Ref": id_of(stack, CLUSTER)}, "/postgresql"]]}
    assert all(name in instance["DependsOn"] for instance in all_of(stack, INSTANCE))
    assert {group["Properties"]["RetentionInDays"] for group in all_of(stack, LOG_GROUP)} == {7}


def test_two_databases_fit_into_one_stack(stack: cdk.Stack) -> None:
    first = ResultDatabase(stack, "First", endpoint=reviews(stack))
    second = ResultDatabase(stack, "Second")

    assert len(all_of(stack, CLUSTER)) == len(all_of(stack, SCHEMA)) == 2
    assert stack.resolve(first.cluster.cluster_arn) != stack.resolve(second.cluster.cluster_arn)
    assert "undefined" not in text_of(stack)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (
            {"database_name": "Results"},
            "database_name is 'Results': must be 1 to 63 lower-case letters, digits or underscores, a letter first",
        ),
        (
            {"database_name": "postgres"},
            "database_name is 'postgres': PostgreSQL or RDS uses it itself: choose another one",
        ),
        ({"min_capacity": -1}, "min_capacity is -1: must be from 0 to 256 capacity units, in halves"),
        ({"min_capacity": 0.3}, "min_capacity is 0.3: must be from 0 to 256 capacity units, in halves"),
        ({"max_capacity": 0.5}, "max_capacity is 0.5: must be from 1 to 256 capacity units, in halves"),
        ({"max_capacity": 257}, "max_capacity is 257: must be from 1 to 256 capacity units, in halves"),
        (
            {"min_capacity": 8},
            "min_capacity is 8 and max_capacity 4: the least must not be more than the most",
        ),
        (
            {"min_capacity": 0.5, "auto_pause_after": cdk.Duration.minutes(10)},
            "auto_pause_after with a min_capacity of 0.5: only 0 lets the database pause",
        ),
        (
            {"auto_pause_after": cdk.Duration.seconds(299)},
            "auto_pause_after is 4 minutes 59 seconds: must be from 300 to 86400 seconds",
        ),
        (
            {"auto_pause_after": cdk.Duration.days(2)},
            "auto_pause_after is 2 days: must be from 300 to 86400 seconds",
        ),
        ({"reader_count": 16}, "reader_count is 16: must be from 0 to 15"),
        ({"backup_retention": cdk.Duration.days(36)}, "backup_retention is 36 days: must be whole days from 1 to 35"),
        (
            {"backup_retention": cdk.Duration.hours(36)},
            "backup_retention is 1 day 12 hours: must be whole days from 1 to 35",
        ),
        (
            {"monitoring_interval": cdk.Duration.seconds(20)},
            "monitoring_interval is 20 seconds: must be one of 0, 1, 5, 10, 15, 30, 60 seconds",
        ),
        (
            {"monitoring_interval": cdk.Duration.seconds(cdk.Token.as_number({"Ref": "Seconds"}))},
            "monitoring_interval is known at deployment only: must be known at synth",
        ),
        ({"vpc_subnets": ec2.SubnetSelection()}, "vpc_subnets without vpc: hand in the VPC they are in"),
        (
            {"lambda_platform": LambdaPlatform(python="2.7")},
            "lambda_platform: python is '2.7': must be one of '3.11', '3.12', '3.13', '3.14'",
        ),
    ],
)
def test_an_argument_that_would_be_refused_at_deployment_is_refused(
    stack: cdk.Stack, arguments: dict[str, Any], problem: str
) -> None:
    with pytest.raises(InvalidPropsError) as caught:
        ResultDatabase(stack, "Database", **arguments)

    assert caught.value.problems == (problem,)


def test_an_endpoint_that_answers_later_is_refused_with_the_other_problems(
    stack: cdk.Stack, model_directory: Path
) -> None:
    model = Model(stack, "Model", data=ModelData.from_directory(model_directory), framework=Framework.scikit_learn())
    variant = Asynchronous(
        instance_type="ml.m5.large", instance_count=1, output=ArtifactStore(stack, "Artifacts").results
    )
    endpoint = Endpoint(stack, "Endpoint", model=model, variant=variant)

    with pytest.raises(InvalidPropsError) as caught:
        ResultDatabase(stack, "Database", endpoint=endpoint, reader_count=16)

    assert caught.value.problems == (
        "reader_count is 16: must be from 0 to 15",
        "endpoint has an Asynchronous variant: its callers wait for labels, so pass a real-time or serverless one",
    )


def test_all_that_is_wrong_is_said_at_once(stack: cdk.Stack) -> None:
    with pytest.raises(InvalidPropsError) as caught:
        ResultDatabase(
            stack, "Database", database_name="", max_capacity=0, reader_count=-1, backup_retention=cdk.Duration.days(0)
        )

    assert len(caught.value.problems) == 4


def test_what_is_known_at_deployment_only_is_let_through(stack: cdk.Stack) -> None:
    name = cdk.CfnParameter(stack, "Name", default="results")
    capacity = cdk.CfnParameter(stack, "Capacity", type="Number", default=8)

    ResultDatabase(
        stack, "Database", database_name=name.value_as_string, max_capacity=capacity.value_as_number, reader_count=0
    )

    assert only(stack, CLUSTER)["DatabaseName"] == {"Ref": "Name"}
    assert only(stack, CLUSTER)["ServerlessV2ScalingConfiguration"]["MaxCapacity"] == {"Ref": "Capacity"}
