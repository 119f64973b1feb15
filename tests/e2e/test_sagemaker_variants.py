"""Variants, shadows, pipelines and many models behind one endpoint of the local SageMaker."""

import json
import time
from collections import Counter
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.exceptions import ClientError
from scipy.stats import binom

from tests.sagemaker_account import BROKEN, IMAGE, LOG, PULL, Account, archive, eventually, metric

pytestmark = pytest.mark.e2e

# One in a million test runs fails although the traffic is split as it should be.
UNLIKELY = 1e-6
UPPER = """
import json
def model_fn(directory): return None
def transform_fn(model, body, content_type, accept):
    return json.dumps({"text": json.loads(body)["text"].upper(), "was": content_type}), "application/json"
"""
COUNT = """
import json
def model_fn(directory): return None
def transform_fn(model, body, content_type, accept):
    data = json.loads(body)
    return json.dumps({**data, "length": len(data["text"])}), "application/json"
"""


@pytest.fixture(scope="module")
def account(session: boto3.Session) -> Account:
    return Account(session)


def split(account: Account, endpoint: str, calls: int = 300) -> Counter[str]:
    return Counter(account.invoke(endpoint)["greeting"] for _ in range(calls))


def within(count: int, calls: int, share: float) -> bool:
    return bool(min(binom.cdf(count, calls, share), binom.sf(count - 1, calls, share)) > UNLIKELY)


@pytest.fixture(scope="module")
def two_variants(account: Account) -> str:
    config = account.config_of(
        account.variant(account.model(GREETING="a"), "A", InitialVariantWeight=3),
        account.variant(account.model(GREETING="b"), "B", InitialVariantWeight=1),
    )
    return account.in_service(account.endpoint_of(config))


def test_traffic_is_split_by_weight_and_metrics_are_published_for_each_variant(
    account: Account, two_variants: str
) -> None:
    before = metric("Invocations", {"EndpointName": two_variants, "VariantName": "B"})
    greetings = split(account, two_variants)

    assert within(greetings["a"], 300, 0.75)
    assert greetings["a"] + greetings["b"] == 300
    after = metric("Invocations", {"EndpointName": two_variants, "VariantName": "B"})
    assert after - before == greetings["b"]


def test_what_the_containers_use_is_published(two_variants: str) -> None:
    variant = {"EndpointName": two_variants, "VariantName": "A"}
    assert metric("MemoryUtilization", variant, "Average", "/aws/sagemaker/Endpoints") > 0


def test_a_target_variant_is_honoured(account: Account, two_variants: str) -> None:
    answer = account.runtime.invoke_endpoint(
        EndpointName=two_variants, Body=b"{}", ContentType="application/json", TargetVariant="B"
    )
    assert answer["InvokedProductionVariant"] == "B"
    assert json.loads(answer["Body"].read())["greeting"] == "b"
    with pytest.raises(ClientError, match=r"Variant C of endpoint .* was not found"):
        account.invoke(two_variants, also={"TargetVariant": "C"})


def test_weights_change_without_a_deployment(account: Account) -> None:
    config = account.config_of(
        account.variant(account.model(GREETING="a"), "A"), account.variant(account.model(GREETING="b"), "B")
    )
    endpoint = account.in_service(account.endpoint_of(config))
    changes: Any = [{"VariantName": "A", "DesiredWeight": 0.0}, {"VariantName": "B", "DesiredWeight": 2.0}]

    account.sagemaker.update_endpoint_weights_and_capacities(EndpointName=endpoint, DesiredWeightsAndCapacities=changes)
    description = account.wait(endpoint)

    assert {one["VariantName"]: one["CurrentWeight"] for one in description["ProductionVariants"]} == {"A": 0, "B": 2}
    assert set(split(account, endpoint, 50)) == {"b"}
    nothing: Any = [{"VariantName": "B", "DesiredWeight": 0.0}]
    with pytest.raises(ClientError, match="must have a weight greater than 0"):
        account.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=endpoint, DesiredWeightsAndCapacities=nothing
        )


def test_a_variant_that_cannot_start_fails_the_endpoint_and_leaves_nothing_running(account: Account) -> None:
    config = account.config_of(
        account.variant(account.model(), "Good"), account.variant(account.model("import nothing_of_this_name"), "Bad")
    )
    endpoint = account.endpoint_of(config)

    description = account.wait(endpoint)

    assert description["EndpointStatus"] == "Failed"
    assert "production variant Bad" in description["FailureReason"]
    with pytest.raises(ClientError, match="not in service: Failed"):
        account.invoke(endpoint)


def test_a_shadow_gets_its_share_of_the_traffic_and_its_failures_are_never_seen(account: Account) -> None:
    endpoint = account.in_service(
        account.endpoint_of(
            account.config_of(
                account.variant(account.model(GREETING="production"), "Production"),
                ShadowProductionVariants=[account.variant(account.model(BROKEN), "Shadow", InitialVariantWeight=0.5)],
            )
        )
    )

    greetings = split(account, endpoint, 200)

    assert greetings == {"production": 200}
    shadow = {"EndpointName": endpoint, "VariantName": "Shadow"}
    eventually(lambda: metric("Invocation5XXErrors", shadow) == metric("Invocations", shadow) > 0)
    time.sleep(1)
    assert within(int(metric("Invocations", shadow)), 200, 0.5)
    assert metric("Invocation5XXErrors", {"EndpointName": endpoint, "VariantName": "Production"}) == 0
    (described,) = account.sagemaker.describe_endpoint(EndpointName=endpoint)["ShadowProductionVariants"]
    assert described["VariantName"] == "Shadow"


def test_the_containers_of_a_pipeline_feed_each_other(account: Account) -> None:
    containers = [account.container(UPPER), {**account.container(COUNT), "ContainerHostname": "counting"}]
    endpoint = account.in_service(account.endpoint(account.model_of(Containers=containers)))

    assert account.invoke(endpoint, text="fine") == {"text": "FINE", "was": "application/json", "length": 4}
    with pytest.raises(ClientError, match=r"Received server error \(500\) from container-1"):
        account.invoke(endpoint, words="fine")
    each = [
        {"EndpointName": endpoint, "VariantName": "AllTraffic", "ContainerName": name}
        for name in ("container-1", "counting")
    ]
    assert [metric("Invocations", one) for one in each] == [2, 1]
    assert [metric("Invocation5XXErrors", one) for one in each] == [1, 0]
    assert [metric("ContainerLatency", one) > 0 for one in each] == [True, True]


def test_a_container_is_called_directly(account: Account) -> None:
    containers = [
        {**account.container(UPPER), "ContainerHostname": "upper"},
        {**account.container(COUNT), "ContainerHostname": "count"},
    ]
    model = account.model_of(Containers=containers, InferenceExecutionConfig={"Mode": "Direct"})
    endpoint = account.in_service(account.endpoint(model))

    assert account.invoke(endpoint, also={"TargetContainerHostname": "count"}, text="fine")["length"] == 4
    with pytest.raises(ClientError, match="must be one of upper, count"):
        account.invoke(endpoint, text="fine")


class ManyModels:
    def __init__(self, account: Account, **container: Any) -> None:
        self.account = account
        self.prefix = f"many-{uuid4().hex[:12]}/"
        definition = {"Image": IMAGE, "ModelDataUrl": f"s3://{account.bucket}/{self.prefix}", "Mode": "MultiModel"}
        model = account.model_of(PrimaryContainer={**definition, **container})
        self.endpoint = account.in_service(account.endpoint(model))

    def add(self, name: str) -> None:
        inference = f'def model_fn(d): return 1\ndef transform_fn(m, b, c, a): return \'{{"greeting": "{name}"}}\''
        body = archive({"code/inference.py": inference})
        self.account.s3.put_object(Bucket=self.account.bucket, Key=f"{self.prefix}{name}.tar.gz", Body=body)

    def invoke(self, name: str) -> str:
        return str(self.account.invoke(self.endpoint, also={"TargetModel": f"{name}.tar.gz"})["greeting"])

    def metric(self, name: str) -> float:
        return metric(name, {"EndpointName": self.endpoint, "VariantName": "AllTraffic"})


def test_many_models_are_loaded_when_called_and_the_least_recently_used_is_unloaded(account: Account) -> None:
    many = ManyModels(account)
    names = ["one", "two", "three", "four", "five"]
    for name in names:
        many.add(name)

    assert [many.invoke(name) for name in names] == names
    eventually(lambda: many.metric("ModelUnloadingTime") > 0)
    assert many.metric("ModelCacheHit") == 0
    assert many.invoke("five") == "five"
    assert many.metric("ModelCacheHit") == 1
    assert many.invoke("one") == "one", "it was unloaded and is loaded again"
    assert many.metric("ModelCacheHit") == 1


def test_a_model_added_later_can_be_called_and_a_missing_one_is_refused(account: Account) -> None:
    many = ManyModels(account)
    with pytest.raises(ClientError, match="Failed to load model data"):
        many.invoke("late")
    many.add("late")
    assert many.invoke("late") == "late"
    with pytest.raises(ClientError, match="TargetModel is required"):
        account.invoke(many.endpoint)


def test_a_model_without_a_cache_is_loaded_for_every_call(account: Account) -> None:
    many = ManyModels(account, MultiModelConfig={"ModelCacheSetting": "Disabled"})
    many.add("one")
    assert [many.invoke("one"), many.invoke("one")] == ["one", "one"]
    assert many.metric("ModelCacheHit") == 0


def test_model_data_may_be_a_prefix_of_files(account: Account) -> None:
    prefix = f"files-{uuid4().hex[:12]}/"
    inference = "def model_fn(d): return open(d + '/words.txt').read()\ndef transform_fn(m, b, c, a): return m"
    for name, text in {"code/inference.py": inference, "words.txt": '{"greeting": "from files"}'}.items():
        account.s3.put_object(Bucket=account.bucket, Key=prefix + name, Body=text.encode())
    source = {"S3Uri": f"s3://{account.bucket}/{prefix}", "S3DataType": "S3Prefix", "CompressionType": "None"}

    container = {"Image": IMAGE, "ModelDataSource": {"S3DataSource": source}}
    endpoint = account.in_service(account.endpoint(account.model_of(PrimaryContainer=container)))

    assert account.invoke(endpoint) == {"greeting": "from files"}


def test_a_prefix_takes_the_permission_to_list_it(account: Account) -> None:
    source = {"S3Uri": f"s3://{account.bucket}/any/", "S3DataType": "S3Prefix", "CompressionType": "None"}
    role = account.role({"Action": "s3:GetObject"}, PULL, LOG)
    with pytest.raises(ClientError, match="Could not access model data"):
        account.model_of(role, PrimaryContainer={"Image": IMAGE, "ModelDataSource": {"S3DataSource": source}})


def test_a_registered_model_package_brings_image_and_data(account: Account) -> None:
    group = f"group-{uuid4().hex[:12]}"
    account.sagemaker.create_model_package_group(ModelPackageGroupName=group)

    def package(approval: Any) -> str:
        container: Any = account.container(GREETING="from the registry")
        specification: Any = {"Containers": [container], "SupportedContentTypes": ["application/json"]}
        answer = account.sagemaker.create_model_package(
            ModelPackageGroupName=group, InferenceSpecification=specification, ModelApprovalStatus=approval
        )
        return str(answer["ModelPackageArn"])

    approved = account.model_of(PrimaryContainer={"ModelPackageName": package("Approved")})
    endpoint = account.in_service(account.endpoint(approved))

    assert account.invoke(endpoint)["greeting"] == "from the registry"
    with pytest.raises(ClientError, match="not approved: PendingManualApproval"):
        account.model_of(PrimaryContainer={"ModelPackageName": package("PendingManualApproval")})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"VolumeSizeInGB": 513}, "Member must have value less than or equal to 512"),
        ({"InstanceType": "ml.pentium.large"}, "Member must satisfy enum value set"),
        ({"ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 5}}, "and not both"),
        ({"InitialVariantWeight": 0}, "InitialVariantWeight greater than 0"),
        ({"VariantName": "no spaces"}, "Member must satisfy regular expression pattern"),
    ],
)
def test_a_wrong_variant_is_refused(account: Account, change: dict[str, Any], words: str) -> None:
    variant = {**account.variant(account.model()), **change}
    with pytest.raises(ClientError, match=words):
        account.config_of(variant)


@pytest.mark.parametrize(
    ("serverless", "others", "words"),
    [
        ({"MemorySizeInMB": 7168}, {}, "less than or equal to 6144"),
        ({"MemorySizeInMB": 2000}, {}, "valid values are 1024, 2048"),
        ({"MaxConcurrency": 201}, {}, "less than or equal to 200"),
        ({"ProvisionedConcurrency": 6}, {}, "ProvisionedConcurrency must be less than or equal"),
        ({}, {"DataCaptureConfig": True}, "DataCaptureConfig is not supported for serverless"),
        ({}, {"AsyncInferenceConfig": {"OutputConfig": {}}}, "AsyncInferenceConfig is not supported for serverless"),
    ],
)
def test_what_serverless_endpoints_cannot_do_is_refused(
    account: Account, serverless: dict[str, Any], others: dict[str, Any], words: str
) -> None:
    variant = account.variant(
        account.model(), ServerlessConfig={"MemorySizeInMB": 2048, "MaxConcurrency": 5, **serverless}
    )
    if "DataCaptureConfig" in others:
        others["DataCaptureConfig"] = {
            "InitialSamplingPercentage": 100,
            "DestinationS3Uri": f"s3://{account.bucket}/capture",
            "CaptureOptions": [{"CaptureMode": "Input"}],
        }
    with pytest.raises(ClientError, match=words):
        account.config_of(variant, **others)


def test_serverless_endpoints_take_one_variant_of_one_container(account: Account) -> None:
    serverless: Any = {"ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 5}}
    model = account.model()
    pipeline = account.model_of(Containers=[account.container(UPPER), account.container(COUNT)])
    with pytest.raises(ClientError, match="take one production variant"):
        account.config_of(account.variant(model, "A", **serverless), account.variant(model, "B", **serverless))
    with pytest.raises(ClientError, match="several containers are not supported for serverless"):
        account.config_of(account.variant(pipeline, **serverless))
