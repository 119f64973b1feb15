"""Frameworks: the image of a region, what the container is told, and images of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_s3 as s3
from aws_cdk.assertions import Template

from sm_constructs import Framework, InvalidPropsError, Model, ModelData
from sm_constructs.model.image_table import image_table
from tests.synth.templates import only, statement_for

OWN_IMAGE = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/team/classifier"
DIGEST = f"sha256:{'0123456789abcdef' * 4}"


def stack_in(region: str | None) -> cdk.Stack:
    app = cdk.App(builtin_cloud_formation_validation=False)
    return cdk.Stack(app, "Stack", env=cdk.Environment(region=region) if region else None)


def problems(stack: cdk.Stack, framework: Framework) -> tuple[str, ...]:
    bucket = s3.Bucket.from_bucket_name(stack, "Bucket", "models")
    with pytest.raises(InvalidPropsError) as raised:
        Model(stack, "Model", data=ModelData.from_bucket(bucket, "model.tar.gz"), framework=framework)
    return raised.value.problems


def define(stack: cdk.Stack, framework: Framework, construct_id: str = "Model") -> None:
    bucket = s3.Bucket.from_bucket_name(stack, f"{construct_id}Bucket", "models")
    Model(stack, construct_id, data=ModelData.from_bucket(bucket, "model.tar.gz"), framework=framework)


def image(stack: cdk.Stack) -> Any:
    return only(stack, "AWS::SageMaker::Model")["PrimaryContainer"]["Image"]


def test_the_container_is_told_where_the_script_is() -> None:
    stack = stack_in("us-east-1")

    define(stack, Framework.scikit_learn(entry_point="serve.py"))

    assert only(stack, "AWS::SageMaker::Model")["PrimaryContainer"]["Environment"] == {
        "SAGEMAKER_PROGRAM": "serve.py",
        "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
    }


def test_the_script_has_to_be_in_the_archive() -> None:
    assert Framework.scikit_learn(entry_point="serve.py").required_files == ("code/serve.py",)


@pytest.mark.parametrize(
    ("region", "account"),
    [("us-east-1", "683313688378"), ("cn-north-1", "450853457545"), ("us-gov-west-1", "414596584902")],
)
def test_in_a_known_region_the_image_is_that_regions(region: str, account: str) -> None:
    stack = stack_in(region)

    define(stack, Framework.scikit_learn("1.9-0"))

    name = "sagemaker-scikit-learn:1.9-0-cpu-py3"
    suffix = {"Ref": "AWS::URLSuffix"}  # amazonaws.com.cn in China
    assert image(stack) == {"Fn::Join": ["", [f"{account}.dkr.ecr.{region}.", suffix, f"/{name}"]]}
    resource = statement_for(stack, "ecr:BatchGetImage")["Resource"]["Fn::Join"][1][-1]
    assert resource.endswith(f":ecr:{region}:{account}:repository/sagemaker-scikit-learn")


def test_where_the_region_is_known_at_deployment_a_mapping_finds_the_account() -> None:
    stack = stack_in(None)

    define(stack, Framework.scikit_learn("1.9-0"))

    assert image(stack)["Fn::Join"][1][0] == {
        "Fn::FindInMap": ["ScikitLearn190Images", {"Ref": "AWS::Region"}, "account"]
    }
    mapping = Template.from_stack(stack).to_json()["Mappings"]["ScikitLearn190Images"]
    assert mapping["eu-west-1"] == {"account": "141502667606"}
    assert mapping.keys() == image_table()["scikit-learn"][-1].accounts.keys()


def test_models_on_the_same_version_share_a_mapping_and_other_versions_have_their_own() -> None:
    stack = stack_in(None)

    define(stack, Framework.scikit_learn("1.9-0"), "One")
    define(stack, Framework.scikit_learn("1.9-0"), "Two")
    define(stack, Framework.scikit_learn("1.2-1"), "Three")

    mappings = Template.from_stack(stack).to_json()["Mappings"]
    assert mappings.keys() == {"ScikitLearn190Images", "ScikitLearn121Images"}


def test_another_account_can_hold_the_image_also_in_a_region_without_one_of_awss() -> None:
    stack = stack_in("ap-east-2")

    define(stack, Framework.scikit_learn("1.2-1", account="111122223333"))

    assert image(stack)["Fn::Join"][1][0] == "111122223333.dkr.ecr.ap-east-2."


def test_a_version_that_does_not_exist_is_refused_with_those_that_do() -> None:
    (problem,) = problems(stack_in("us-east-1"), Framework.scikit_learn("2.0"))

    assert problem == (
        "version is '2.0': AWS has scikit-learn cpu images for "
        "'0.20.0', '0.23-1', '1.0-1', '1.2-1', '1.4-2-py312', '1.9-0'"
    )


def test_a_region_without_an_image_is_refused_with_those_that_have_one() -> None:
    (problem,) = problems(stack_in("ap-east-2"), Framework.scikit_learn("1.9-0"))

    assert problem.startswith("region is 'ap-east-2': AWS's scikit-learn images are in af-south-1, ap-east-1, ")
    assert problem.endswith("for another region pass account, or an image of your own")


def test_scikit_learn_can_run_on_an_image_of_ones_own_and_is_told_the_same() -> None:
    stack = stack_in("us-east-1")

    define(stack, Framework.scikit_learn(image=f"{OWN_IMAGE}:v1"))

    primary = only(stack, "AWS::SageMaker::Model")["PrimaryContainer"]
    assert primary["Image"] == f"{OWN_IMAGE}:v1"
    assert primary["Environment"]["SAGEMAKER_PROGRAM"] == "inference.py"


def test_a_repository_and_a_tag_name_an_image() -> None:
    stack = stack_in("us-east-1")
    repository = ecr.Repository.from_repository_name(stack, "Repository", "classifier")

    define(stack, Framework.custom(repository, tag_or_digest="v7"))

    assert image(stack)["Fn::Join"][1][-1] == "/classifier:v7"
    assert statement_for(stack, "ecr:BatchGetImage")["Resource"]["Fn::Join"][1][-1] == ":repository/classifier"


def test_a_repository_and_a_digest_name_an_image() -> None:
    stack = stack_in("us-east-1")
    repository = ecr.Repository.from_repository_name(stack, "Repository", "classifier")

    define(stack, Framework.custom(repository, tag_or_digest=DIGEST))

    assert image(stack)["Fn::Join"][1][-1] == f"/classifier@{DIGEST}"


def test_a_repository_without_a_tag_is_refused() -> None:
    stack = stack_in("us-east-1")
    repository = ecr.Repository.from_repository_name(stack, "Repository", "classifier")

    (problem,) = problems(stack, Framework.custom(repository))

    assert problem.startswith("tag_or_digest is missing")


@pytest.mark.parametrize(
    "uri",
    [
        f"{OWN_IMAGE}:v1",
        f"{OWN_IMAGE}@{DIGEST}",
        f"{OWN_IMAGE}:v1@{DIGEST}",
        "111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn/classifier:v1",
        "111122223333.dkr.ecr-fips.us-east-1.amazonaws.com/classifier:v1",
    ],
)
def test_a_full_uri_names_an_image_and_the_repository_to_pull_from(uri: str) -> None:
    stack = stack_in("us-east-1")

    define(stack, Framework.custom(uri))

    assert image(stack) == uri
    host, _, path = uri.partition("/")
    repository = path.partition("@")[0].partition(":")[0]
    assert statement_for(stack, "ecr:BatchGetImage")["Resource"]["Fn::Join"][1][-1] == (
        f":ecr:{host.split('.')[3]}:111122223333:repository/{repository}"
    )


@pytest.mark.parametrize(
    "uri",
    ["classifier:v1", "public.ecr.aws/team/classifier:v1", "docker.io/library/python:3.13", OWN_IMAGE],
    ids=["no registry", "public registry", "other registry", "neither tag nor digest"],
)
def test_an_image_that_sagemaker_cannot_pull_is_refused(uri: str) -> None:
    (problem,) = problems(stack_in("us-east-1"), Framework.custom(uri))

    assert problem.startswith(f"image is '{uri}': ")
    assert "<account>.dkr.ecr.<region>.amazonaws.com/<repository>:<tag>" in problem


def test_an_own_image_brings_its_environment_and_the_files_it_needs() -> None:
    framework = Framework.custom(f"{OWN_IMAGE}:v1", environment={"WORKERS": "2"}, required_files=("config.json",))

    assert framework.environment == {"WORKERS": "2"}
    assert framework.required_files == ("config.json",)


def test_a_uri_that_is_known_at_deployment_only_is_refused_in_words_of_its_own() -> None:
    stack = stack_in("us-east-1")
    uri = cdk.CfnParameter(stack, "Image").value_as_string

    assert problems(stack, Framework.custom(uri)) == (
        "image is known at deployment only: the permission to pull names the repository: pass an IRepository, whose "
        "name and tag_or_digest may be known at deployment only",
    )


def test_a_repository_and_a_tag_may_be_known_at_deployment_only() -> None:
    stack = stack_in(None)
    name, tag = (cdk.CfnParameter(stack, each).value_as_string for each in ("Name", "Tag"))

    define(stack, Framework.custom(ecr.Repository.from_repository_name(stack, "Images", name), tag_or_digest=tag))

    parts = image(stack)["Fn::Join"][1]
    assert {"Ref": "Name"} in parts
    assert {"Ref": "Tag"} in parts
    assert {"Ref": "Name"} in statement_for(stack, "ecr:BatchGetImage")["Resource"]["Fn::Join"][1]


def test_a_tag_beside_a_full_uri_is_refused() -> None:
    (problem,) = problems(stack_in("us-east-1"), Framework.custom(f"{OWN_IMAGE}:v1", tag_or_digest="v2"))

    assert problem == "tag_or_digest is 'v2': with a URI, write it into the URI"


@pytest.mark.parametrize(
    ("framework", "name"),
    [
        (Framework.pytorch("2.6.0"), "pytorch-inference:2.6.0-cpu-py312"),
        (Framework.pytorch("2.6.0", processor="ml.g5.xlarge"), "pytorch-inference:2.6.0-gpu-py312"),
        (
            Framework.pytorch("2.6.0", processor="ml.c7g.large"),
            "pytorch-inference-arm64:2.6.0-cpu-py312-ubuntu22.04-sagemaker",
        ),
        (Framework.pytorch("1.8.1", python="py3"), "pytorch-inference:1.8.1-cpu-py3"),
        (Framework.tensorflow("2.19.0", processor="gpu"), "tensorflow-inference:2.19.0-gpu"),
        (
            Framework.hugging_face("4.26.0"),
            "huggingface-pytorch-inference:1.13.1-transformers4.26.0-cpu-py39-ubuntu20.04",
        ),
        (
            Framework.hugging_face("4.26.0", base="tensorflow2.11.0", processor="gpu"),
            "huggingface-tensorflow-inference:2.11.0-transformers4.26.0-gpu-py39-cu112-ubuntu20.04",
        ),
        (Framework.scikit_learn("1.0-1", processor="graviton"), "sagemaker-scikit-learn:1.0-1-arm64-cpu-py3"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize(("region", "index"), [("us-east-1", 0), ("cn-north-1", 1), ("us-gov-west-1", 2)])
def test_version_processor_python_and_base_choose_the_image(
    framework: Framework, name: str, region: str, index: int
) -> None:
    stack = stack_in(region)

    define(stack, framework)

    account = (
        ("683313688378", "450853457545", "414596584902")
        if "scikit" in name
        else ("763104351884", "727897471807", "442386744353")
    )[index]
    repository = name.partition(":")[0]
    parts = image(stack)["Fn::Join"][1]
    assert (parts[0], parts[2]) == (f"{account}.dkr.ecr.{region}.", f"/{name}")
    assert statement_for(stack, "ecr:BatchGetImage")["Resource"]["Fn::Join"][1][-1] == (
        f":ecr:{region}:{account}:repository/{repository}"
    )


@pytest.mark.parametrize(
    ("framework", "problem"),
    [
        (
            Framework.scikit_learn("1.9-0", processor="gpu"),
            "processor is 'gpu': AWS has scikit-learn images for 'cpu', 'graviton'",
        ),
        (
            Framework.scikit_learn("1.9-0", processor="graviton"),
            "version is '1.9-0': AWS has scikit-learn graviton images for '1.0-1'",
        ),
        (
            Framework.hugging_face("5.5.3", processor="ml.m7g.large"),
            "processor is 'graviton': AWS has hugging-face images for 'cpu', 'gpu'",
        ),
        (
            Framework.hugging_face("4.26.0", base="pytorch2.0.0"),
            "base is 'pytorch2.0.0': AWS has hugging-face cpu 4.26.0 images for 'pytorch1.13.1', 'tensorflow2.11.0'",
        ),
        (
            Framework.pytorch("2.6.0", python="py311"),
            "python is 'py311': AWS has pytorch cpu 2.6.0 images for 'py312'",
        ),
        (
            Framework.pytorch(processor="ml.inf2.xlarge"),
            "processor is 'ml.inf2.xlarge': must be one of 'cpu', 'gpu', 'graviton', or an instance type with one of "
            "them; for Inferentia and Trainium pass an image of your own",
        ),
    ],
)
def test_what_aws_has_no_image_for_is_refused_with_what_it_has(framework: Framework, problem: str) -> None:
    assert problems(stack_in("us-east-1"), framework) == (problem,)


def test_a_version_of_pytorch_that_does_not_exist_is_refused_with_those_that_do() -> None:
    (problem,) = problems(stack_in("us-east-1"), Framework.pytorch("2.6"))

    assert problem.startswith("version is '2.6': AWS has pytorch cpu images for '1.2.0', '1.3.1', ")
    assert problem.endswith(", '2.5.1', '2.6.0'")


def test_images_for_graviton_have_a_mapping_of_their_own() -> None:
    stack = stack_in(None)

    define(stack, Framework.pytorch("2.6.0"), "One")
    define(stack, Framework.pytorch("2.6.0", processor="gpu"), "Two")
    define(stack, Framework.pytorch("2.6.0", processor="graviton"), "Three")

    mappings = Template.from_stack(stack).to_json()["Mappings"]
    assert mappings.keys() == {"Pytorch260Images", "Pytorch260GravitonImages"}
    assert "ap-east-2" in mappings["Pytorch260Images"]


@pytest.mark.parametrize(
    "framework",
    [
        Framework.pytorch(image=f"{OWN_IMAGE}:v1"),
        Framework.tensorflow(image=f"{OWN_IMAGE}:v1"),
        Framework.hugging_face(image=f"{OWN_IMAGE}:v1"),
    ],
    ids=["pytorch", "tensorflow", "hugging face"],
)
def test_every_framework_can_run_on_an_image_of_ones_own(framework: Framework) -> None:
    stack = stack_in("us-east-1")

    define(stack, framework)

    assert image(stack) == f"{OWN_IMAGE}:v1"


@pytest.mark.parametrize(
    "framework",
    [
        Framework.pytorch(account="111122223333"),
        Framework.tensorflow(account="111122223333"),
        Framework.hugging_face(account="111122223333"),
    ],
    ids=["pytorch", "tensorflow", "hugging face"],
)
def test_every_framework_can_come_from_another_account(framework: Framework) -> None:
    stack = stack_in("ap-nowhere-1")

    define(stack, framework)

    assert image(stack)["Fn::Join"][1][0] == "111122223333.dkr.ecr.ap-nowhere-1."


def test_a_hugging_face_script_is_told_to_the_container_beside_the_task() -> None:
    framework = Framework.hugging_face(task="text-classification", entry_point="serve.py")

    assert framework.environment == {
        "HF_TASK": "text-classification",
        "SAGEMAKER_PROGRAM": "serve.py",
        "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
    }
    assert framework.required_files == ("code/serve.py",)


TRANSFORMER = ["config.json", "model.safetensors", "tokenizer.json"]


@pytest.mark.parametrize(
    ("framework", "files", "missing"),
    [
        (Framework.tensorflow(), ["1/saved_model.pb"], []),
        (Framework.tensorflow(), ["export/reviews/0001/saved_model.pb"], []),
        (Framework.tensorflow(), ["saved_model.pb"], ["<number>/saved_model.pb"]),
        (Framework.tensorflow(), ["v1/saved_model.pb"], ["<number>/saved_model.pb"]),
        (Framework.hugging_face(), TRANSFORMER, []),
        (Framework.hugging_face(), ["config.json", "pytorch_model.bin.index.json", "vocab.txt"], []),
        (Framework.hugging_face(), ["model/config.json", "model.safetensors", "tokenizer.json"], ["config.json"]),
        (
            Framework.hugging_face(),
            ["config.json"],
            [
                "weights (model.safetensors, pytorch_model.bin or tf_model.h5)",
                "tokenizer (tokenizer.json, vocab.txt, vocab.json or a SentencePiece model)",
            ],
        ),
        (Framework.hugging_face(entry_point="inference.py"), ["code/inference.py"], []),
        (Framework.pytorch(), ["model.pt"], ["code/inference.py"]),
    ],
    ids=str,
)
def test_an_archive_needs_what_the_container_loads(
    framework: Framework, files: list[str], missing: list[str], tmp_path: Path
) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("content")

    found = ModelData.from_directory(tmp_path).problems(stack_in("us-east-1"), framework.required_files)

    assert found == [f"model directory '{tmp_path}' has no {each}, which the framework needs" for each in missing]
