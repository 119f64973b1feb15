"""The documentation's apps with endpoints, deployed to the local AWS by the CDK CLI and called as on AWS."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.local_aws import LocalAws
from tests.sagemaker_account import eventually

pytestmark = pytest.mark.e2e

SPAM = {"texts": ["click for a free prize", "thanks for the patch"]}
Deploy = Callable[[str, str], dict[str, str]]


@pytest.fixture(scope="module")
def deploy(local_aws: LocalAws) -> Deploy:
    def deployed(example: str, stack: str) -> dict[str, str]:
        """Deploy an example and return its stack's outputs."""
        answer = local_aws.cdk(
            "deploy",
            "--all",
            "--require-approval=never",
            "--build=true",
            f"--app={sys.executable} docs/examples/{example}.py",
            f"--output={local_aws.state.root / f'cdk.out.{example}'}",
        )
        assert answer.returncode == 0, answer.stdout
        (found,) = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in found["Outputs"]}

    return deployed


def call(endpoint: str, **arguments: str) -> tuple[list[str], str]:
    """Return the labels of two texts, and the variant that found them."""
    answer = boto3.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=endpoint, Body=json.dumps(SPAM), ContentType="application/json", **arguments
    )
    labels = [result["label"] for result in json.loads(answer["Body"].read())["results"]]
    return labels, answer["InvokedProductionVariant"]


def test_the_serverless_endpoint_answers(deploy: Deploy) -> None:
    outputs = deploy("serverless_endpoint", "ServerlessEndpointExample")

    labels, variant = call(outputs["EndpointName"])

    assert (labels, variant) == (["spam", "not spam"], "AllTraffic")


def object_at(location: str) -> Any:
    """Return an object by its URL, or None while there is none."""
    bucket, _, key = location.removeprefix("s3://").partition("/")
    try:
        return boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] in {"NoSuchKey", "404"}:
            return None
        raise


def test_the_asynchronous_endpoint_answers_into_s3_and_tells_failures_apart(deploy: Deploy) -> None:
    outputs = deploy("asynchronous_endpoint", "AsynchronousEndpointExample")
    bucket, runtime = outputs["BucketName"], boto3.client("sagemaker-runtime")
    s3 = boto3.client("s3")
    s3.put_object(Bucket=bucket, Key="datasets/good.json", Body=json.dumps(SPAM))
    s3.put_object(Bucket=bucket, Key="datasets/bad.json", Body="this is no JSON")

    good, bad = (
        runtime.invoke_endpoint_async(
            EndpointName=outputs["EndpointName"],
            InputLocation=f"s3://{bucket}/datasets/{name}.json",
            ContentType="application/json",
        )
        for name in ("good", "bad")
    )

    answer = json.loads(eventually(lambda: object_at(good["OutputLocation"])))
    assert [result["label"] for result in answer["results"]] == ["spam", "not spam"]
    assert good["OutputLocation"].startswith(f"s3://{bucket}/results/")
    assert eventually(lambda: object_at(bad["FailureLocation"]))
    assert object_at(bad["OutputLocation"]) is None


def test_the_variants_share_the_calls_and_the_shadow_answers_nobody(deploy: Deploy) -> None:
    outputs = deploy("several_variants_endpoint", "SeveralVariantsEndpointExample")

    compared = Counter(call(outputs["ComparedName"])[1] for _ in range(100))
    shadowed = Counter(call(outputs["ShadowedName"])[1] for _ in range(10))

    assert compared.keys() == {"Current", "Candidate"}
    assert compared["Current"] > compared["Candidate"]
    assert shadowed.keys() == {"Current"}
    assert call(outputs["ComparedName"], TargetVariant="Candidate")[1] == "Candidate"


def test_the_inference_components_answer_by_their_names(deploy: Deploy) -> None:
    outputs = deploy("inference_components_endpoint", "InferenceComponentsEndpointExample")

    for component in ("ReviewsComponentName", "MailComponentName"):
        labels, _ = call(outputs["EndpointName"], InferenceComponentName=outputs[component])
        assert labels == ["spam", "not spam"]
    with pytest.raises(ClientError):
        call(outputs["EndpointName"])


def test_the_guarded_endpoint_keeps_a_fifth_of_the_calls(deploy: Deploy) -> None:
    outputs = deploy("guarded_endpoint", "GuardedEndpointExample")
    endpoint = outputs["EndpointName"]

    for _ in range(50):
        assert call(endpoint)[0] == ["spam", "not spam"]

    description = boto3.client("sagemaker").describe_endpoint(EndpointName=endpoint)
    capture = description["DataCaptureConfig"]
    assert (capture["EnableCapture"], capture["CurrentSamplingPercentage"]) == (True, 20)
    bucket, _, prefix = capture["DestinationS3Uri"].removeprefix("s3://").partition("/")
    where = f"{prefix.rstrip('/')}/{endpoint}/AllTraffic/"
    list_objects = boto3.client("s3").list_objects_v2
    found = eventually(lambda: list_objects(Bucket=bucket, Prefix=where).get("Contents"), seconds=90)
    lines = object_at(f"s3://{bucket}/{found[0]['Key']}").splitlines()
    captured = json.loads(lines[0])["captureData"]
    assert json.loads(captured["endpointInput"]["data"]) == SPAM
    assert captured["endpointOutput"]["encoding"] == "JSON"
