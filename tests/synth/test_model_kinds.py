"""Kinds of models: files under a prefix, a training job's output, many models, a registered one, several containers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3

from sm_constructs import Framework, InvalidPropsError, Model, ModelData
from sm_constructs.model import Container
from tests.synth.templates import all_of, changes, only, statement_for, statements, text_of

MODEL = "AWS::SageMaker::Model"
OWN_IMAGE = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/team/classifier:v1"
PACKAGE = "arn:aws:sagemaker:eu-west-1:111122223333:model-package/reviews/7"
OWN = Framework.custom(OWN_IMAGE)


@pytest.fixture
def bucket(stack: cdk.Stack) -> s3.IBucket:
    return s3.Bucket.from_bucket_name(stack, "Bucket", "models")


def refusals(stack: cdk.Stack, **arguments: Any) -> list[str]:
    with pytest.raises(InvalidPropsError) as raised:
        Model(stack, "Model", **arguments)
    return list(raised.value.problems)


def resource_of(statement: dict[str, Any]) -> str:
    return "".join(part for part in statement["Resource"]["Fn::Join"][1] if isinstance(part, str))


def actions_on_s3(stack: cdk.Stack) -> list[str]:
    found = [each["Action"] for each in statements(stack)]
    return sorted(action for action in found if isinstance(action, str) and action.startswith("s3:"))


# Files under a prefix


def test_files_under_a_prefix_are_taken_as_they_are(stack: cdk.Stack, bucket: s3.IBucket) -> None:
    model = Model(stack, "Model", data=ModelData.from_prefix(bucket, "reviews/v1/"), framework=OWN)

    assert only(stack, MODEL)["PrimaryContainer"] == {
        "Image": OWN_IMAGE,
        "ModelDataSource": {
            "S3DataSource": {"CompressionType": "None", "S3DataType": "S3Prefix", "S3Uri": "s3://models/reviews/v1/"}
        },
    }
    assert model.has_uncompressed_data
    assert not model.is_multi_model


@pytest.mark.parametrize("kind", [ModelData.from_prefix, ModelData.multi_model], ids=["files", "many models"])
def test_the_role_reads_and_lists_exactly_the_prefix(stack: cdk.Stack, bucket: s3.IBucket, kind: Any) -> None:
    Model(stack, "Model", data=kind(bucket, "reviews/v1/"), framework=OWN)

    assert actions_on_s3(stack) == ["s3:GetObject", "s3:ListBucket"]
    assert resource_of(statement_for(stack, "s3:GetObject")) == "arn::s3:::models/reviews/v1/*"
    listing = statement_for(stack, "s3:ListBucket")
    assert resource_of(listing) == "arn::s3:::models"
    assert listing["Condition"] == {"StringLike": {"s3:prefix": ["reviews/v1/*"]}}


def test_a_prefix_in_an_encrypted_bucket_can_be_decrypted(stack: cdk.Stack) -> None:
    key = kms.Key(stack, "Key")
    bucket = s3.Bucket(stack, "Encrypted", encryption_key=key)

    Model(stack, "Model", data=ModelData.from_prefix(bucket, "v1/"), framework=OWN)

    assert statement_for(stack, "kms:Decrypt")["Resource"] == stack.resolve(key.key_arn)


@pytest.mark.parametrize("kind", [ModelData.from_prefix, ModelData.multi_model], ids=["files", "many models"])
@pytest.mark.parametrize("prefix", ["v1", "", "/", "/v1/"])
def test_a_prefix_that_names_no_part_of_the_bucket_is_refused(
    stack: cdk.Stack, bucket: s3.IBucket, kind: Any, prefix: str
) -> None:
    (problem,) = refusals(stack, data=kind(bucket, prefix), framework=OWN)

    assert problem.startswith(f"prefix is '{prefix}': must name a part of the bucket: end it in a slash")


def test_a_prefix_that_is_known_at_deployment_is_let_through(stack: cdk.Stack, bucket: s3.IBucket) -> None:
    prefix = cdk.CfnParameter(stack, "Prefix").value_as_string

    Model(stack, "Model", data=ModelData.from_prefix(bucket, prefix), framework=OWN)

    source = only(stack, MODEL)["PrimaryContainer"]["ModelDataSource"]["S3DataSource"]
    assert source["S3Uri"] == {"Fn::Join": ["", ["s3://models/", {"Ref": "Prefix"}]]}


# A training job's output


@pytest.mark.parametrize(
    ("prefix", "key"),
    [
        ("trainings", "trainings/job-1/output/model.tar.gz"),
        ("trainings/", "trainings/job-1/output/model.tar.gz"),
        ("", "job-1/output/model.tar.gz"),
    ],
)
def test_a_training_jobs_output_lies_where_the_job_put_it(
    stack: cdk.Stack, bucket: s3.IBucket, prefix: str, key: str
) -> None:
    Model(stack, "Model", data=ModelData.from_training_job(bucket, prefix, "job-1"), framework=OWN)

    assert only(stack, MODEL)["PrimaryContainer"]["ModelDataUrl"] == f"s3://models/{key}"
    assert resource_of(statement_for(stack, "s3:GetObject")) == f"arn::s3:::models/{key}"


def test_a_training_jobs_name_may_be_known_at_deployment(stack: cdk.Stack, bucket: s3.IBucket) -> None:
    job = cdk.CfnParameter(stack, "Job").value_as_string

    Model(stack, "Model", data=ModelData.from_training_job(bucket, "trainings", job), framework=OWN)

    assert only(stack, MODEL)["PrimaryContainer"]["ModelDataUrl"] == {
        "Fn::Join": ["", ["s3://models/trainings/", {"Ref": "Job"}, "/output/model.tar.gz"]]
    }


# Many models


@pytest.mark.parametrize(("cache", "setting"), [(True, "Enabled"), (False, "Disabled")])
def test_many_models_are_loaded_from_a_prefix_as_calls_name_them(
    stack: cdk.Stack, bucket: s3.IBucket, cache: bool, setting: str
) -> None:
    data = ModelData.multi_model(bucket, "customers/", cache_models=cache)

    model = Model(stack, "Model", data=data, framework=OWN)

    assert only(stack, MODEL)["PrimaryContainer"] == {
        "Image": OWN_IMAGE,
        "Mode": "MultiModel",
        "ModelDataUrl": "s3://models/customers/",
        "MultiModelConfig": {"ModelCacheSetting": setting},
    }
    assert model.is_multi_model
    assert not model.has_uncompressed_data


# A registered model


def test_a_registered_model_says_its_image_and_data_itself(stack: cdk.Stack) -> None:
    Model(stack, "Model", data=ModelData.from_model_package(PACKAGE))

    assert only(stack, MODEL)["PrimaryContainer"] == {"ModelPackageName": PACKAGE}
    assert not actions_on_s3(stack)
    assert "ecr:BatchGetImage" not in text_of(stack)


def test_the_role_reads_the_data_and_pulls_the_image_that_a_registered_model_is_said_to_have(
    stack: cdk.Stack, bucket: s3.IBucket
) -> None:
    archive = ModelData.from_bucket(bucket, "v7/model.tar.gz")

    Model(stack, "Model", data=ModelData.from_model_package(PACKAGE, archive=archive, framework=OWN))

    assert resource_of(statement_for(stack, "s3:GetObject")) == "arn::s3:::models/v7/model.tar.gz"
    assert resource_of(statement_for(stack, "ecr:BatchGetImage")).endswith(":repository/team/classifier")


def test_a_registered_model_takes_environment_variables(stack: cdk.Stack) -> None:
    Model(stack, "Model", data=ModelData.from_model_package(PACKAGE), environment={"WORKERS": "2"})

    assert only(stack, MODEL)["PrimaryContainer"]["Environment"] == {"WORKERS": "2"}


def test_what_is_wrong_with_a_registered_model_is_refused_all_at_once(stack: cdk.Stack, bucket: s3.IBucket) -> None:
    data = ModelData.from_model_package(
        "reviews:7",
        archive=ModelData.multi_model(bucket, "customers/"),
        framework=Framework.custom("classifier:v1"),
    )

    framework, package, archive, image = refusals(stack, data=data, framework=OWN)

    assert package.startswith("package_arn is 'reviews:7': must be the ARN or the name of a model package")
    assert archive == "archive of a model package: say where its data lies: from_bucket or from_prefix"
    assert image.startswith("image is 'classifier:v1'")
    assert framework == "framework with a model package: the package says it: leave framework out"


@pytest.mark.parametrize(
    "name", [PACKAGE, "reviews", "reviews/7", "arn:aws-cn:sagemaker:cn-north-1:111122223333:model-package/a-b/1"]
)
def test_a_package_is_named_by_arn_or_name(stack: cdk.Stack, name: str) -> None:
    Model(stack, "Model", data=ModelData.from_model_package(name))

    assert only(stack, MODEL)["PrimaryContainer"]["ModelPackageName"] == name


# Several containers


def container(bucket: s3.IBucket, name: str, **arguments: Any) -> Container:
    return Container(data=ModelData.from_bucket(bucket, f"{name}.tar.gz"), framework=OWN, **arguments)


def test_containers_stand_in_their_order_and_a_call_passes_through_all(stack: cdk.Stack, bucket: s3.IBucket) -> None:
    model = Model(
        stack,
        "Model",
        containers=[
            container(bucket, "words", hostname="words", environment={"LANGUAGE": "zh"}),
            container(bucket, "labels", hostname="labels"),
        ],
    )

    properties = only(stack, MODEL)
    assert "PrimaryContainer" not in properties
    assert "InferenceExecutionConfig" not in properties
    assert properties["Containers"] == [
        {
            "ContainerHostname": "words",
            "Environment": {"LANGUAGE": "zh"},
            "Image": OWN_IMAGE,
            "ModelDataUrl": "s3://models/words.tar.gz",
        },
        {"ContainerHostname": "labels", "Image": OWN_IMAGE, "ModelDataUrl": "s3://models/labels.tar.gz"},
    ]
    assert model.container_count == 2


def test_calls_can_name_the_container(stack: cdk.Stack, bucket: s3.IBucket) -> None:
    containers = [container(bucket, name, hostname=name) for name in ("en", "zh")]

    Model(stack, "Model", containers=containers, direct_invocation=True)

    assert only(stack, MODEL)["InferenceExecutionConfig"] == {"Mode": "Direct"}


def test_the_role_reads_the_data_and_pulls_the_image_of_every_container(stack: cdk.Stack, bucket: s3.IBucket) -> None:
    other = Framework.custom("444455556666.dkr.ecr.eu-west-1.amazonaws.com/words:v3")
    words = Container(data=ModelData.from_prefix(bucket, "words/"), framework=other)

    model = Model(stack, "Model", containers=[words, container(bucket, "labels")])

    text = text_of(stack)
    for part in (
        ":s3:::models/words/*",
        ":s3:::models/labels.tar.gz",
        ":repository/words",
        ":repository/team/classifier",
    ):
        assert part in text
    assert model.has_uncompressed_data


def test_several_directories_in_one_model_are_assets_of_their_own(stack: cdk.Stack, tmp_path: Path) -> None:
    for name in ("words", "labels"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.bin").write_text(name)
    containers = [
        Container(data=ModelData.from_directory(tmp_path / name), framework=OWN) for name in ("words", "labels")
    ]

    Model(stack, "Model", containers=containers)

    urls = [str(each["ModelDataUrl"]) for each in only(stack, MODEL)["Containers"]]
    assert len(set(urls)) == 2


@pytest.mark.parametrize("count", [0, 1, 16])
def test_too_few_and_too_many_containers_are_refused(stack: cdk.Stack, bucket: s3.IBucket, count: int) -> None:
    (problem,) = refusals(stack, containers=[container(bucket, "model")] * count)

    assert problem == f"containers are {count}: must be from 2 to 15; for one pass data and framework"


def test_what_is_wrong_with_several_containers_is_refused_all_at_once(stack: cdk.Stack, bucket: s3.IBucket) -> None:
    many = ModelData.multi_model(bucket, "customers/")
    containers = [
        Container(data=many, framework=Framework.pytorch(processor="graviton"), hostname="same"),
        Container(data=many, framework=Framework.pytorch(processor="gpu"), hostname="same"),
        container(bucket, "labels", hostname="not_a_hostname"),
        container(bucket, "labels", environment={"1ST": "x"}),
        Container(data=ModelData.from_bucket(bucket, "model.zip")),
    ]

    found = refusals(stack, containers=containers)

    assert found == [
        "container not_a_hostname: hostname is 'not_a_hostname': must be up to 63 letters, digits and, inside, hyphens",
        "container 4: environment variable '1ST': a name is letters, digits and underscores, not a digit first",
        "container 5: framework is missing: only a model package goes without",
        "container 5: key is 'model.zip': SageMaker takes a gzipped tar archive: use a key ending in .tar.gz",
        "some containers have a hostname and others none: give one to each or to none",
        "hostname 'same' is used 2 times: name each after what tells it from the others",
        "several containers are multi-model: one of them may be",
        "some images are for graviton and others are not: all containers run on the same instances",
    ]


def test_calls_to_one_container_need_hostnames(stack: cdk.Stack, bucket: s3.IBucket) -> None:
    (problem,) = refusals(stack, containers=[container(bucket, "a"), container(bucket, "b")], direct_invocation=True)

    assert problem == "direct_invocation without hostnames: calls name the container: give each a hostname"


def test_one_container_or_several_have_to_be_said_but_not_both(stack: cdk.Stack, bucket: s3.IBucket) -> None:
    both = [container(bucket, "a"), container(bucket, "b")]

    assert refusals(stack, containers=both, framework=OWN) == [
        "containers with data, framework or environment: say them in each container"
    ]
    assert refusals(cdk.Stack(), direct_invocation=True) == [
        "data is missing: say where the model comes from, or containers",
        "direct_invocation without containers: there is only one",
    ]


def test_environments_that_are_too_large_together_are_refused(stack: cdk.Stack, bucket: s3.IBucket) -> None:
    variables = {f"V{index}": "x" * 1000 for index in range(20)}

    (problem,) = refusals(stack, containers=[container(bucket, name, environment=variables) for name in "ab"])

    assert problem.startswith("environment variables have 40")
    assert problem.endswith(" bytes together: SageMaker takes at most 32 KB")


def test_processors_are_those_of_awss_images(stack: cdk.Stack, bucket: s3.IBucket) -> None:
    data = ModelData.from_bucket(bucket, "model.tar.gz")

    gpu = Model(stack, "Gpu", data=data, framework=Framework.pytorch(processor="ml.g5.xlarge"))
    own = Model(stack, "Own", data=data, framework=OWN)

    assert gpu.processors == {"gpu"}
    assert not own.processors


def test_a_kind_of_data_that_changes_makes_a_new_model_and_a_new_policy_beside_the_old_one(
    cdk_context: dict[str, object],
) -> None:
    def stack_with(prefix: str) -> cdk.Stack:
        app = cdk.App(context=cdk_context, builtin_cloud_formation_validation=False)
        stack = cdk.Stack(app, "Stack")
        bucket = s3.Bucket.from_bucket_name(stack, "Bucket", "models")
        Model(stack, "Model", data=ModelData.from_prefix(bucket, prefix), framework=OWN)
        return stack

    found = sorted(changes(stack_with("v1/"), stack_with("v2/")).values())

    assert found == ["created", "deleted", "replaced"]


def test_an_imported_role_that_takes_no_permissions_is_no_obstacle(stack: cdk.Stack, bucket: s3.IBucket) -> None:
    role = iam.Role.from_role_arn(stack, "Role", "arn:aws:iam::111122223333:role/theirs", mutable=False)

    Model(stack, "Model", data=ModelData.multi_model(bucket, "customers/"), framework=OWN, role=role)

    assert not all_of(stack, "AWS::IAM::Policy")
