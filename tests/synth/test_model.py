"""The model: its container, its role, its network."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns

from sm_constructs import Framework, InvalidPropsError, Model, ModelData
from tests.synth.templates import all_of, by_type, changes, only, resources_of, statement_for, text_of

MODEL, POLICY, ROLE = "AWS::SageMaker::Model", "AWS::IAM::Policy", "AWS::IAM::Role"
OWN_IMAGE = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/team/classifier:v1"


@pytest.fixture
def bucket(stack: cdk.Stack) -> s3.IBucket:
    return s3.Bucket.from_bucket_name(stack, "Bucket", "models")


@pytest.fixture
def data(bucket: s3.IBucket) -> ModelData:
    return ModelData.from_bucket(bucket, "v1/model.tar.gz")


def vpc_of(stack: cdk.Stack) -> ec2.Vpc:
    return ec2.Vpc(stack, "Vpc", max_azs=2, restrict_default_security_group=False)


def dependencies(stack: cdk.Stack) -> set[str]:
    """Return the types of what the model waits for, with the actions that the policies among it allow."""
    resources = resources_of(stack)
    (model,) = [each for each in resources.values() if each["Type"] == MODEL]
    found = set()
    for name in model["DependsOn"]:
        found.add(resources[name]["Type"])
        if resources[name]["Type"] == POLICY:
            for statement in resources[name]["Properties"]["PolicyDocument"]["Statement"]:
                actions = statement["Action"]
                found |= {actions} if isinstance(actions, str) else set(actions)
    return found


def test_a_model_has_data_image_environment_and_role_but_no_name(stack: cdk.Stack, data: ModelData) -> None:
    model = Model(stack, "Model", data=data, framework=Framework.custom(OWN_IMAGE))

    properties = only(stack, MODEL)
    assert properties == {
        "ExecutionRoleArn": stack.resolve(model.role.role_arn),
        "PrimaryContainer": {"Image": OWN_IMAGE, "ModelDataUrl": "s3://models/v1/model.tar.gz"},
    }


def test_only_sagemaker_may_take_the_role(stack: cdk.Stack, data: ModelData) -> None:
    Model(stack, "Model", data=data, framework=Framework.custom(OWN_IMAGE))

    (statement,) = only(stack, ROLE)["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "sagemaker.amazonaws.com"}
    assert "ManagedPolicyArns" not in only(stack, ROLE)


def test_the_role_reads_exactly_the_models_object(stack: cdk.Stack, data: ModelData) -> None:
    Model(stack, "Model", data=data, framework=Framework.custom(OWN_IMAGE))

    statement = statement_for(stack, "s3:GetObject")
    assert statement["Action"] == "s3:GetObject"
    assert statement["Resource"]["Fn::Join"][1] == ["arn:", {"Ref": "AWS::Partition"}, ":s3:::models/v1/model.tar.gz"]


def test_the_role_pulls_exactly_the_images_repository(stack: cdk.Stack, data: ModelData) -> None:
    Model(stack, "Model", data=data, framework=Framework.custom(OWN_IMAGE))

    statement = statement_for(stack, "ecr:BatchGetImage")
    assert sorted(statement["Action"]) == [
        "ecr:BatchCheckLayerAvailability",
        "ecr:BatchGetImage",
        "ecr:GetDownloadUrlForLayer",
    ]
    assert statement["Resource"]["Fn::Join"][1][-1] == ":ecr:eu-west-1:111122223333:repository/team/classifier"


def test_the_role_writes_endpoint_logs_and_instance_metrics_and_nothing_else(stack: cdk.Stack, data: ModelData) -> None:
    Model(stack, "Model", data=data, framework=Framework.custom(OWN_IMAGE))

    assert statement_for(stack, "logs:PutLogEvents")["Resource"]["Fn::Join"][1][-1] == (
        ":log-group:/aws/sagemaker/Endpoints/*"
    )
    assert statement_for(stack, "cloudwatch:PutMetricData")["Condition"] == {
        "StringEquals": {"cloudwatch:namespace": ["/aws/sagemaker/Endpoints", "/aws/sagemaker/InferenceComponents"]}
    }
    everywhere = [each for each in _statements(stack) if each["Resource"] == "*"]
    assert [each["Action"] for each in everywhere] == ["cloudwatch:PutMetricData", "ecr:GetAuthorizationToken"]


def test_the_model_waits_for_its_role_and_every_policy_of_it(stack: cdk.Stack, data: ModelData) -> None:
    Model(stack, "Model", data=data, framework=Framework.custom(OWN_IMAGE))

    assert dependencies(stack) >= {ROLE, POLICY, "s3:GetObject", "ecr:BatchGetImage", "logs:PutLogEvents"}


def test_the_model_waits_for_permissions_that_the_app_grants_later(stack: cdk.Stack, data: ModelData) -> None:
    model = Model(stack, "Model", data=data, framework=Framework.custom(OWN_IMAGE))

    sns.Topic(stack, "Topic").grant_publish(model)

    assert "sns:Publish" in dependencies(stack)


def test_a_role_that_is_handed_in_gets_the_permissions_and_is_waited_for(stack: cdk.Stack, data: ModelData) -> None:
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))

    model = Model(stack, "Model", data=data, framework=Framework.custom(OWN_IMAGE), role=role)

    assert model.role is role
    assert len(all_of(stack, ROLE)) == 1
    assert dependencies(stack) >= {ROLE, "s3:GetObject", "ecr:BatchGetImage", "ecr:GetAuthorizationToken"}


def test_an_imported_role_gets_the_permissions_in_a_policy_of_its_own(stack: cdk.Stack, data: ModelData) -> None:
    role = iam.Role.from_role_arn(stack, "Role", "arn:aws:iam::111122223333:role/theirs")

    Model(stack, "Model", data=data, framework=Framework.custom(OWN_IMAGE), role=role)

    assert only(stack, POLICY)["Roles"] == ["theirs"]
    assert dependencies(stack) >= {"s3:GetObject", "ecr:BatchGetImage", "logs:PutLogEvents"}


def test_an_imported_role_that_takes_no_permissions_gets_none(stack: cdk.Stack, data: ModelData) -> None:
    role = iam.Role.from_role_arn(stack, "Role", "arn:aws:iam::111122223333:role/theirs", mutable=False)

    Model(stack, "Model", data=data, framework=Framework.custom(OWN_IMAGE), role=role)

    assert not all_of(stack, POLICY)
    assert only(stack, MODEL)["ExecutionRoleArn"] == role.role_arn


def test_data_under_the_buckets_own_key_can_be_decrypted(stack: cdk.Stack) -> None:
    key = kms.Key(stack, "Key")
    bucket = s3.Bucket(stack, "Encrypted", encryption_key=key)

    Model(
        stack,
        "Model",
        data=ModelData.from_bucket(bucket, "model.tar.gz"),
        framework=Framework.custom(OWN_IMAGE),
    )

    assert statement_for(stack, "kms:Decrypt")["Resource"] == stack.resolve(key.key_arn)
    assert "kms:Decrypt" in dependencies(stack)


def test_data_under_a_key_that_the_bucket_does_not_name_can_be_decrypted(stack: cdk.Stack, data: ModelData) -> None:
    key = kms.Key.from_key_arn(stack, "Key", "arn:aws:kms:us-east-1:111122223333:key/k")

    Model(stack, "Model", data=data, framework=Framework.custom(OWN_IMAGE), encryption_key=key)

    assert statement_for(stack, "kms:Decrypt")["Resource"] == key.key_arn


def test_the_environment_adds_to_the_frameworks_and_wins_over_it(stack: cdk.Stack, data: ModelData) -> None:
    Model(
        stack,
        "Model",
        data=data,
        framework=Framework.custom(OWN_IMAGE, environment={"A": "framework", "B": "framework"}),
        environment={"B": "model", "C": "model"},
    )

    environment = only(stack, MODEL)["PrimaryContainer"]["Environment"]
    assert environment == {"A": "framework", "B": "model", "C": "model"}


def test_an_isolated_model_says_so(stack: cdk.Stack, data: ModelData) -> None:
    Model(stack, "Model", data=data, framework=Framework.custom(OWN_IMAGE), network_isolation=True)

    assert only(stack, MODEL)["EnableNetworkIsolation"] is True


def test_in_a_vpc_the_containers_stand_in_private_subnets_behind_a_group_that_lets_nothing_in(
    stack: cdk.Stack, data: ModelData
) -> None:
    vpc = vpc_of(stack)

    Model(stack, "Model", data=data, framework=Framework.custom(OWN_IMAGE), vpc=vpc)

    config = only(stack, MODEL)["VpcConfig"]
    assert config["Subnets"] == [stack.resolve(subnet.subnet_id) for subnet in vpc.private_subnets]
    assert len(config["SecurityGroupIds"]) == 1
    assert "SecurityGroupIngress" not in only(stack, "AWS::EC2::SecurityGroup")


def test_in_a_vpc_the_role_places_network_interfaces_in_those_subnets_and_groups_alone(
    stack: cdk.Stack, data: ModelData
) -> None:
    vpc = vpc_of(stack)
    group = ec2.SecurityGroup.from_security_group_id(stack, "Group", "sg-12345678")

    Model(stack, "Model", data=data, framework=Framework.custom(OWN_IMAGE), vpc=vpc, security_groups=[group])

    places = [arn["Fn::Join"][1] for arn in statement_for(stack, "ec2:CreateNetworkInterface")["Resource"]]
    subnets = [stack.resolve(subnet.subnet_id) for subnet in vpc.private_subnets]
    assert [place[-1] for place in places if place[-1] not in subnets] == [
        ":network-interface/*",
        ":security-group/sg-12345678",
    ]
    assert [place[-1] for place in places if str(place[-2]).endswith(":subnet/")] == subnets
    assert "ec2:DescribeSubnets" in dependencies(stack)


def test_subnets_and_groups_can_be_chosen(stack: cdk.Stack, data: ModelData) -> None:
    vpc = vpc_of(stack)

    Model(
        stack,
        "Model",
        data=data,
        framework=Framework.custom(OWN_IMAGE),
        vpc=vpc,
        vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PUBLIC, one_per_az=True),
        security_groups=[ec2.SecurityGroup.from_security_group_id(stack, "Group", "sg-12345678")],
    )

    assert only(stack, MODEL)["VpcConfig"] == {
        "SecurityGroupIds": ["sg-12345678"],
        "Subnets": [stack.resolve(subnet.subnet_id) for subnet in vpc.public_subnets],
    }


def test_a_model_is_a_grantee_and_a_connectable_for_cdks_own_constructs(stack: cdk.Stack, data: ModelData) -> None:
    vpc = vpc_of(stack)
    model = Model(stack, "Model", data=data, framework=Framework.custom(OWN_IMAGE), vpc=vpc)
    database = ec2.SecurityGroup(stack, "Database", vpc=vpc)

    database.connections.allow_from(model, ec2.Port.tcp(5432))
    s3.Bucket(stack, "Words").grant_read(model)

    (rule,) = all_of(stack, "AWS::EC2::SecurityGroupIngress")
    assert rule["Properties"]["FromPort"] == 5432
    assert statement_for(stack, "s3:List*")
    assert "undefined" not in text_of(stack)


def test_connections_without_a_vpc_are_an_error_that_names_the_model(stack: cdk.Stack, data: ModelData) -> None:
    model = Model(stack, "Model", data=data, framework=Framework.custom(OWN_IMAGE))

    with pytest.raises(ValueError, match="model 'Stack/Model' has no network connections: pass vpc"):
        _ = model.connections


def test_two_models_live_in_one_stack(stack: cdk.Stack, model_directory: Path) -> None:
    for name in ("One", "Two"):
        data = ModelData.from_directory(model_directory)
        Model(stack, name, data=data, framework=Framework.scikit_learn())

    assert len(all_of(stack, MODEL)) == 2
    assert len(all_of(stack, ROLE)) == 2


def test_a_model_names_its_name_and_arn_by_reference(stack: cdk.Stack, data: ModelData) -> None:
    model = Model(stack, "Model", data=data, framework=Framework.custom(OWN_IMAGE))

    (logical_id,) = [name for name, each in resources_of(stack).items() if each["Type"] == MODEL]
    assert stack.resolve(model.model_name) == {"Fn::GetAtt": [logical_id, "ModelName"]}
    assert stack.resolve(model.model_arn) == {"Ref": logical_id}


def test_everything_wrong_is_said_at_once(stack: cdk.Stack, tmp_path: Path) -> None:
    group = ec2.SecurityGroup.from_security_group_id(stack, "Group", "sg-12345678")

    with pytest.raises(InvalidPropsError) as raised:
        Model(
            stack,
            "Model",
            data=ModelData.from_directory(tmp_path / "none"),
            framework=Framework.scikit_learn("9.9"),
            environment={"1ST": "x", "LONG": "x" * 1025},
            vpc_subnets=ec2.SubnetSelection(),
            security_groups=[group] * 6,
        )

    assert raised.value.subject == "Model 'Stack/Model'"
    assert [problem.split(":")[0] for problem in raised.value.problems] == [
        f"model directory '{tmp_path / 'none'}' does not exist",
        "version is '9.9'",
        "environment variable '1ST'",
        "environment variable 'LONG' has 1025 characters",
        "vpc_subnets without vpc",
        "security_groups without vpc",
        "security_groups are 6",
    ]


def test_more_than_100_environment_variables_are_refused(stack: cdk.Stack, data: ModelData) -> None:
    environment = {f"V{number}": "x" for number in range(101)}

    with pytest.raises(InvalidPropsError, match="environment has 101 variables"):
        Model(stack, "Model", data=data, framework=Framework.custom(OWN_IMAGE), environment=environment)


def test_a_value_known_at_deployment_is_let_through(stack: cdk.Stack, data: ModelData) -> None:
    Model(
        stack,
        "Model",
        data=data,
        framework=Framework.custom(OWN_IMAGE),
        environment={"ACCOUNT": cdk.Aws.ACCOUNT_ID},
    )

    assert only(stack, MODEL)["PrimaryContainer"]["Environment"] == {"ACCOUNT": {"Ref": "AWS::AccountId"}}


def version(
    *, key: str = "v1/model.tar.gz", image: str = OWN_IMAGE, encryption_key: str | None = None, **arguments: Any
) -> cdk.Stack:
    """Return a stack with a model; stacks with other arguments are what it may become."""
    stack = cdk.Stack(cdk.App(builtin_cloud_formation_validation=False), "Stack")
    if encryption_key:
        arn = f"arn:aws:kms:us-east-1:111122223333:key/{encryption_key}"
        arguments["encryption_key"] = kms.Key.from_key_arn(stack, encryption_key, arn)
    bucket = s3.Bucket.from_bucket_name(stack, "Bucket", "models")
    data = ModelData.from_bucket(bucket, key)
    Model(stack, "Model", data=data, framework=Framework.custom(image), **arguments)
    return stack


@pytest.mark.parametrize(
    "change",
    [{"key": "v2/model.tar.gz"}, {"image": OWN_IMAGE.replace("/team/", "/other/")}],
    ids=["data", "repository"],
)
def test_the_old_versions_permissions_go_only_after_the_new_version_has_its_own(change: dict[str, str]) -> None:
    before, after = version(), version(**change)

    found = changes(before, after)

    assert by_type(after, found) == {MODEL: "replaced", POLICY: "created"}
    assert sorted(found.values()) == ["created", "deleted", "replaced"]


def test_the_permission_to_decrypt_with_the_old_key_goes_only_after_there_is_one_for_the_new() -> None:
    before, after = version(encryption_key="old"), version(encryption_key="new")

    assert sorted(changes(before, after).values()) == ["created", "deleted"]


def test_another_tag_replaces_the_model_and_leaves_the_permissions() -> None:
    before, after = version(), version(image=OWN_IMAGE.replace(":v1", ":v2"))

    assert by_type(after, changes(before, after)) == {MODEL: "replaced"}


def test_nothing_changes_between_two_synths() -> None:
    assert changes(version(), version()) == {}


def test_another_environment_replaces_the_model_alone() -> None:
    before, after = version(), version(environment={"LOG_LEVEL": "DEBUG"})

    assert by_type(after, changes(before, after)) == {MODEL: "replaced"}


def test_an_image_in_a_repository_of_this_stack_can_be_pulled(stack: cdk.Stack, data: ModelData) -> None:
    repository = ecr.Repository(stack, "Repository")

    Model(stack, "Model", data=data, framework=Framework.custom(repository, tag_or_digest="v7"))

    assert statement_for(stack, "ecr:BatchGetImage")["Resource"] == stack.resolve(repository.repository_arn)
    assert re.search(r":v7\"", text_of(stack))


def _statements(stack: cdk.Stack) -> list[dict[str, Any]]:
    return [
        statement
        for policy in all_of(stack, POLICY)
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
    ]
