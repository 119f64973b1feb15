"""What SageMaker would refuse at deployment, said at synth, all at once."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import aws_cdk as cdk
import botocore
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns

from sm_constructs import Framework, InvalidPropsError, Model
from sm_constructs.endpoint import (
    AllAtOnce,
    Canary,
    CapacitySize,
    DataCapture,
    Endpoint,
    InferenceComponent,
    ManagedInstanceScaling,
    RealTime,
    Rolling,
    Serverless,
)
from sm_constructs.storage import ArtifactPrefix
from tests.synth.endpoint.making import (
    COMPONENT,
    ENDPOINT,
    REAL_TIME,
    SERVERLESS,
    endpoint_in,
    many_in,
    model_in,
    package_in,
    pipeline_in,
    prefix_in,
    queue_in,
    refusal,
    uncompressed_in,
)
from tests.synth.templates import all_of


def real_time(name: str = "AllTraffic", **arguments: Any) -> RealTime:
    return RealTime(**{"instance_type": "ml.m5.large", "instance_count": 1, "variant_name": name, **arguments})


def test_everything_wrong_is_said_at_once(stack: cdk.Stack) -> None:
    found = refusal(
        stack,
        endpoint_name="a_b",
        model=model_in(stack, network_isolation=True),
        variants=[
            real_time("Old", instance_type="ml.g5.xlarge", volume_size_gb=600),
            cast("RealTime", SERVERLESS),
        ],
        shadow=real_time("Old"),
        data_capture=DataCapture(destination=prefix_in(stack), percentage=101),
        deployment=Rolling(batch_size=CapacitySize.percent(60)),
        encryption_key=kms.Key(stack, "Key"),
    )

    assert found == (
        "endpoint_name is 'a_b': must be 1 to 63 letters, digits and hyphens, and neither begin nor end with a hyphen",
        "variant 'Old': volume_size_gb is 600 GB: must be from 1 to 512 GB",
        "variant 'Old': volume_size_gb with ml.g5.xlarge: the size of NVMe storage is fixed: leave volume_size_gb out",
        "variant 'Old': encryption_key with ml.g5.xlarge: its NVMe storage encrypts itself and takes no key: leave "
        "encryption_key out, or use a type without local storage",
        "variant 'AllTraffic': encryption_key with Serverless: there is no volume to encrypt: leave encryption_key out",
        "variant 'AllTraffic': Serverless with an isolated model: leave network_isolation out, or use RealTime",
        "variant_name 'Old' is used 2 times: name each after what tells it from the others",
        "Serverless among several variants: it must be the only one",
        "data_capture with Serverless: SageMaker captures on instances only: leave data_capture out",
        "shadow with 2 variants: it shadows a single one",
        "shadow with Serverless: use RealTime, or leave shadow out",
        "data_capture.percentage is 101: must be from 0 to 100",
        "deployment is Rolling with several variants: use AllAtOnce, Canary or Linear",
        "deployment.batch_size is 60 %: must be from 5 to 50 % of the variant's instances",
        "deployment is Rolling with Serverless: there are no instances to move between: leave deployment out",
    )


@pytest.mark.parametrize(
    ("variant", "problem"),
    [
        (real_time(volume_size_gb=0), "volume_size_gb is 0 GB: must be from 1 to 512 GB"),
        (
            real_time(model_download_timeout=cdk.Duration.seconds(59)),
            "model_download_timeout is 59 seconds: must be from 1 minute to 1 hour",
        ),
        (
            real_time(startup_health_check_timeout=cdk.Duration.minutes(61)),
            "startup_health_check_timeout is 1 hour 1 minute: must be from 1 minute to 1 hour",
        ),
        (
            real_time(managed_instance_scaling=ManagedInstanceScaling(min_instance_count=-1, max_instance_count=1)),
            "managed_instance_scaling.min_instance_count is -1: must be at least 0",
        ),
        (
            real_time(managed_instance_scaling=ManagedInstanceScaling(min_instance_count=0, max_instance_count=0)),
            "managed_instance_scaling.max_instance_count is 0: must be at least 1",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_variant_beyond_sagemakers_limits_is_refused(variant: RealTime, problem: str) -> None:
    assert variant.problems() == [problem]


@pytest.mark.parametrize(
    "variant",
    [
        real_time(volume_size_gb=1),
        real_time(volume_size_gb=512),
        real_time(model_download_timeout=cdk.Duration.minutes(1)),
        real_time(startup_health_check_timeout=cdk.Duration.hours(1)),
        real_time(managed_instance_scaling=ManagedInstanceScaling(min_instance_count=0, max_instance_count=1)),
    ],
    ids=range(5),
)
def test_a_variant_at_sagemakers_limits_is_taken(variant: RealTime) -> None:
    assert variant.problems() == []


def shape(name: str) -> dict[str, Any]:
    """Return a shape of SageMaker's API, as AWS publishes it to its SDKs."""
    path = Path(botocore.__file__).parent / "data" / "sagemaker" / "2017-07-24" / "service-2.json.gz"
    found: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))["shapes"][name]
    return found


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("ProductionVariantVolumeSizeInGB", 1, 512),
        ("ProductionVariantModelDataDownloadTimeoutInSeconds", 60, 3600),
        ("ProductionVariantContainerStartupHealthCheckTimeoutInSeconds", 60, 3600),
        ("MaxConcurrentInvocationsPerInstance", 1, 1000),
        ("ManagedInstanceScalingMinInstanceCount", 0, None),
        ("ManagedInstanceScalingMaxInstanceCount", 1, None),
        ("ProductionVariantList", 1, 10),
        ("SamplingPercentage", 0, 100),
        ("JsonContentTypes", 1, 10),
        ("CsvContentTypes", 1, 10),
        ("WaitIntervalInSeconds", 0, 3600),
        ("TerminationWaitInSeconds", 0, 3600),
        ("MaximumExecutionTimeoutInSeconds", 600, 28_800),
        ("AlarmList", 1, 10),
        ("InferenceComponentCopyCount", 0, None),
        ("NumberOfCpuCores", 0.25, None),
        ("NumberOfAcceleratorDevices", 1, None),
        ("MemoryInMb", 128, None),
    ],
)
def test_the_limits_are_those_of_sagemakers_api(name: str, low: float, high: float | None) -> None:
    assert (shape(name)["min"], shape(name).get("max")) == (low, high)


@pytest.mark.parametrize("count", [0, 11])
def test_no_variant_and_too_many_are_refused(stack: cdk.Stack, count: int) -> None:
    variants = [real_time(f"V{number}") for number in range(count)]

    assert refusal(stack, model=model_in(stack), variants=variants) == (f"variants are {count}: must be from 1 to 10",)


def test_one_variant_and_several_are_not_given_together(stack: cdk.Stack) -> None:
    found = refusal(stack, model=model_in(stack), variant=REAL_TIME, variants=[real_time("Other")])

    assert found == ("variant and variants: pass one of the two",)


def test_a_queue_is_the_only_variant(stack: cdk.Stack) -> None:
    variants = [real_time("Other"), cast("RealTime", queue_in(stack))]

    assert refusal(stack, model=model_in(stack), variants=variants) == (
        "Asynchronous among several variants: it must be the only one",
    )


def test_some_variant_gets_calls(stack: cdk.Stack) -> None:
    variants = [real_time("A", initial_weight=0), real_time("B", initial_weight=0)]

    assert refusal(stack, model=model_in(stack), variants=variants) == (
        "initial_weight is 0 for every variant: no variant would be called: give one a weight above 0",
    )


@pytest.mark.parametrize("kind", ["serverless", "asynchronous"])
def test_only_real_time_variants_have_shadows(stack: cdk.Stack, kind: str) -> None:
    variant = SERVERLESS if kind == "serverless" else queue_in(stack)

    (problem,) = refusal(stack, model=model_in(stack), variant=variant, shadow=real_time("New"))

    assert problem == f"shadow with {kind.capitalize()}: use RealTime, or leave shadow out"


def test_shadows_take_models_of_one_container_only(stack: cdk.Stack) -> None:
    shadow = real_time("New", model=pipeline_in(stack))

    assert refusal(stack, model=many_in(stack), variant=REAL_TIME, shadow=shadow) == (
        "shadow with a multi-model model: leave shadow out",
        "shadow with a model of 2 containers: leave shadow out",
    )


@pytest.mark.parametrize("kind", ["Serverless", "Asynchronous"])
@pytest.mark.parametrize(
    ("model", "what"),
    [(pipeline_in, "a model of 2 containers"), (many_in, "a multi-model model")],
    ids=["pipeline", "multi-model"],
)
def test_only_real_time_variants_serve_more_than_one_model(
    stack: cdk.Stack, kind: str, model: Callable[[cdk.Stack], Model], what: str
) -> None:
    variant = Serverless() if kind == "Serverless" else queue_in(stack)

    assert refusal(stack, model=model(stack), variant=variant) == (f"{kind} with {what}: use RealTime",)


@pytest.mark.parametrize("model", [uncompressed_in, package_in], ids=["prefix", "package of a prefix"])
def test_serverless_takes_archives_only(stack: cdk.Stack, model: Callable[[cdk.Stack], Model]) -> None:
    assert refusal(stack, model=model(stack), variant=Serverless()) == (
        "Serverless with uncompressed model data: pack it into an archive, or use RealTime",
    )


@pytest.mark.parametrize("make", [model_in, package_in], ids=["model", "package"])
def test_serverless_runs_no_images_for_gpus(stack: cdk.Stack, make: Callable[..., Model]) -> None:
    model = make(stack, framework=Framework.pytorch(processor="gpu"))

    assert refusal(stack, model=model, variant=Serverless()) == (
        "Serverless with an image for GPUs: take the image for cpu, or use RealTime",
    )


def test_a_queue_neither_captures_nor_runs_on_inf1(stack: cdk.Stack) -> None:
    variant = queue_in(stack, instance_type="ml.inf1.xlarge")
    capture = DataCapture(destination=prefix_in(stack, "Captured"))

    assert refusal(stack, model=model_in(stack), variant=variant, data_capture=capture) == (
        "Asynchronous with ml.inf1.xlarge: SageMaker queues for no Inf1 instances: use another type",
        "data_capture with Asynchronous: inputs and answers are in S3 already: leave data_capture out",
    )


@pytest.mark.parametrize("shadowed", [False, True], ids=["production", "shadow"])
def test_instances_of_a_model_never_go_away_altogether(stack: cdk.Stack, shadowed: bool) -> None:
    scaling = ManagedInstanceScaling(min_instance_count=0, max_instance_count=2)
    one = real_time(managed_instance_scaling=scaling)
    arguments = {"variant": real_time("Old"), "shadow": one} if shadowed else {"variant": one}

    (problem,) = refusal(stack, model=model_in(stack), **arguments)

    assert problem.removeprefix("variant 'AllTraffic': ") == (
        "managed_instance_scaling.min_instance_count is 0 with a model: must be at least 1: only inference components "
        "go away with their instances"
    )


def test_instances_of_a_model_may_be_scaled_by_sagemaker_otherwise(stack: cdk.Stack) -> None:
    scaling = ManagedInstanceScaling(min_instance_count=1, max_instance_count=2)

    Endpoint(stack, "Endpoint", model=model_in(stack), variant=real_time(managed_instance_scaling=scaling))

    assert len(all_of(stack, ENDPOINT)) == 1


@pytest.mark.parametrize(
    ("instance_type", "image", "fits"),
    [
        ("ml.c7g.large", "cpu", False),
        ("ml.m5.large", "graviton", False),
        ("ml.c7g.large", "graviton", True),
        ("ml.m5.large", "cpu", True),
        ("ml.g5.xlarge", "gpu", True),
        ("ml.g5.xlarge", "cpu", True),
    ],
)
def test_an_image_for_arm_needs_instances_with_it(stack: cdk.Stack, instance_type: str, image: str, fits: bool) -> None:
    model = model_in(stack, framework=Framework.pytorch(processor=image))
    variant = real_time(instance_type=instance_type)

    if fits:
        Endpoint(stack, "Endpoint", model=model, variant=variant)
    else:
        (problem,) = refusal(stack, model=model, variant=variant)
        assert problem.startswith(f"{instance_type} with an image for {image}: take the image for ")


def test_inf1_has_neither_shadows_nor_guardrails(stack: cdk.Stack) -> None:
    inf1 = real_time(instance_type="ml.inf1.xlarge")

    found = refusal(stack, model=model_in(stack), variant=inf1, shadow=real_time("New"), deployment=AllAtOnce())

    assert found == (
        "shadow with ml.inf1.xlarge: SageMaker shadows no Inf1 instances: use another type",
        "deployment with ml.inf1.xlarge: SageMaker guards no Inf1 instances: use another type, or leave deployment out",
    )


def test_serverless_has_no_guardrails(stack: cdk.Stack) -> None:
    (problem,) = refusal(stack, model=model_in(stack), variant=SERVERLESS, deployment=Canary())

    assert problem == (
        "deployment is Canary with Serverless: there are no instances to move between: leave deployment out"
    )


def test_an_asynchronous_variants_values_are_checked(stack: cdk.Stack) -> None:
    variant = queue_in(
        stack,
        instance_count=0,
        max_concurrent_invocations_per_instance=1001,
        include_response_in_notifications=True,
        failures=prefix_in(stack, "Failures", encryption_key=kms.Key(stack, "Key")),
    )

    assert refusal(stack, model=model_in(stack), variant=variant) == (
        "instance_count is 0: must be at least 1",
        "max_concurrent_invocations_per_instance is 1001: must be from 1 to 1000",
        "include_response_in_notifications without a topic: pass success_topic or error_topic",
        "failures has another key than output: SageMaker encrypts both with one: use the same",
    )


def test_failures_are_put_under_the_same_key_however_it_was_looked_up(stack: cdk.Stack) -> None:
    arn = "arn:aws:kms:us-east-1:111122223333:key/k"
    one, two = (kms.Key.from_key_arn(stack, name, arn) for name in ("One", "Two"))
    variant = queue_in(
        stack,
        output=prefix_in(stack, encryption_key=one),
        failures=prefix_in(stack, "Failures", encryption_key=two),
    )

    Endpoint(stack, "Endpoint", model=model_in(stack), variant=variant)

    assert len(all_of(stack, ENDPOINT)) == 1


@pytest.mark.parametrize("kind", ["serverless", "asynchronous"])
def test_only_real_time_variants_host_inference_components(stack: cdk.Stack, kind: str) -> None:
    variant = SERVERLESS if kind == "serverless" else queue_in(stack)

    (problem,) = refusal(stack, variant=variant)

    assert problem == f"{kind.capitalize()} without a model: pass model; inference components need RealTime"


def test_a_model_is_for_all_variants_or_for_none(stack: cdk.Stack) -> None:
    found = refusal(stack, variants=[real_time("A", model=model_in(stack)), real_time("B")])

    assert found == ("some variants have a model and others none: pass model, or leave it out of all of them",)


def test_a_shadow_has_a_model(stack: cdk.Stack) -> None:
    found = refusal(stack, variant=real_time(model=model_in(stack)), shadow=real_time("New"))

    assert found == ("shadow without a model: give it the model to try",)


def test_a_role_is_only_taken_where_it_is_used(stack: cdk.Stack) -> None:
    role = iam.Role.from_role_arn(stack, "Role", "arn:aws:iam::111122223333:role/mine")

    found = refusal(stack, model=model_in(stack), variant=REAL_TIME, execution_role=role)

    assert found == ("execution_role with a model: the model's role is used: hand that in there",)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"percentage": -1}, "data_capture.percentage is -1: must be from 0 to 100"),
        (
            {"requests": False, "responses": False},
            "data_capture has neither requests nor responses: there is nothing to write: leave data_capture out",
        ),
        (
            {"json_content_types": ["json"]},
            "data_capture.json_content_types has 'json': must be like application/json",
        ),
        (
            {"csv_content_types": [f"text/csv{number}" for number in range(11)]},
            "data_capture.csv_content_types are 11: SageMaker takes at most 10",
        ),
        (
            {"json_content_types": ["text/csv"]},
            "'text/csv' is in data_capture's json_content_types and csv_content_types: it can be one only",
        ),
    ],
)
def test_data_capture_beyond_sagemakers_limits_is_refused(
    stack: cdk.Stack, arguments: dict[str, Any], problem: str
) -> None:
    capture = DataCapture(destination=prefix_in(stack), **arguments)

    assert refusal(stack, model=model_in(stack), variant=REAL_TIME, data_capture=capture) == (problem,)


def test_everything_wrong_with_an_inference_component_is_said_at_once(stack: cdk.Stack) -> None:
    with pytest.raises(InvalidPropsError) as raised:
        InferenceComponent(
            stack,
            "Component",
            endpoint=endpoint_in(stack),
            model=model_in(stack, "Other"),
            memory_size_mb=127,
            max_memory_size_mb=126,
            cpu_cores=0.2,
            accelerators=0,
            copy_count=-1,
            model_download_timeout=cdk.Duration.hours(2),
            startup_health_check_timeout=cdk.Duration.seconds(1),
            variant_name="Blue",
            inference_component_name="a_b",
        )

    rule = "must be 1 to 63 letters, digits and hyphens, and neither begin nor end with a hyphen"
    assert raised.value.problems == (
        "memory_size_mb is 127 MB: must be at least 128",
        "max_memory_size_mb is 126 MB: must be at least memory_size_mb, 127 MB",
        "cpu_cores is 0.2: must be at least 0.25",
        "accelerators is 0: must be at least 1",
        "copy_count is -1: must be at least 0",
        "model_download_timeout is 2 hours: must be from 1 minute to 1 hour",
        "startup_health_check_timeout is 1 second: must be from 1 minute to 1 hour",
        f"inference_component_name is 'a_b': {rule}",
        "variant_name is 'Blue': must be one of 'AllTraffic'",
        "endpoint serves a model: make one of RealTime variants without model to host inference components",
    )


@pytest.mark.parametrize(
    ("model", "what"),
    [(pipeline_in, "a model of 2 containers"), (many_in, "a multi-model model")],
    ids=["pipeline", "multi-model"],
)
def test_a_component_runs_one_model_in_one_container(
    stack: cdk.Stack, model: Callable[[cdk.Stack], Model], what: str
) -> None:
    endpoint = Endpoint(stack, "Host", variant=real_time())

    with pytest.raises(InvalidPropsError) as raised:
        InferenceComponent(stack, "Component", endpoint=endpoint, model=model(stack), memory_size_mb=512)

    assert raised.value.problems == (
        f"component with {what}: it runs one model in one container: use RealTime with that model",
    )


def test_a_component_fits_the_instances_of_its_variant(stack: cdk.Stack) -> None:
    variants = [real_time("Gpu", instance_type="ml.g5.xlarge"), real_time("Arm", instance_type="ml.c7g.large")]
    arguments: dict[str, Any] = {
        "endpoint": Endpoint(stack, "Host", variants=variants),
        "model": model_in(stack, framework=Framework.pytorch(processor="gpu")),
        "memory_size_mb": 512,
        "accelerators": 1,
    }

    InferenceComponent(stack, "Fits", **arguments)
    with pytest.raises(InvalidPropsError) as raised:
        InferenceComponent(stack, "Unfit", **arguments, variant_name="Arm")

    assert raised.value.problems == (
        "ml.c7g.large with an image for gpu: take the image for graviton, or other instances",
        "accelerators with ml.c7g.large: it has none: leave accelerators out, or use another type",
    )


@pytest.mark.parametrize("instance_type", ["ml.g5.xlarge", "ml.inf2.xlarge", "ml.trn1.2xlarge", "ml.dl1.24xlarge"])
def test_instances_with_accelerators_give_components_some(stack: cdk.Stack, instance_type: str) -> None:
    endpoint = Endpoint(stack, "Host", variant=real_time(instance_type=instance_type))

    InferenceComponent(stack, "Component", endpoint=endpoint, model=model_in(stack), memory_size_mb=512, accelerators=1)

    assert len(all_of(stack, COMPONENT)) == 1


def test_values_known_at_deployment_are_let_through(stack: cdk.Stack) -> None:
    number = cast(int, cdk.CfnParameter(stack, "Number", type="Number").value_as_number)
    name = cdk.CfnParameter(stack, "Text").value_as_string
    seconds = cdk.Duration.seconds(number)
    bucket = s3.Bucket.from_bucket_name(stack, "Bucket", name)
    size = CapacitySize.percent(number)
    hosted = real_time(
        name,
        instance_type=name,
        instance_count=number,
        initial_weight=number,
        volume_size_gb=number,
        model_download_timeout=seconds,
        startup_health_check_timeout=seconds,
        managed_instance_scaling=ManagedInstanceScaling(min_instance_count=number, max_instance_count=number),
    )

    host = Endpoint(stack, "Host", variant=hosted)
    InferenceComponent(
        stack,
        "Component",
        endpoint=host,
        model=model_in(stack, "Hosted"),
        memory_size_mb=number,
        max_memory_size_mb=number,
        cpu_cores=number,
        accelerators=number,
        copy_count=number,
        model_download_timeout=seconds,
        startup_health_check_timeout=seconds,
        inference_component_name=name,
    )
    Endpoint(
        stack,
        "Queue",
        model=model_in(stack, "Queued"),
        variant=queue_in(
            stack,
            instance_type=name,
            instance_count=number,
            output=ArtifactPrefix(bucket=bucket, prefix=name),
            success_topic=sns.Topic.from_topic_arn(stack, "Topic", name),
            max_concurrent_invocations_per_instance=number,
        ),
        deployment=Canary(
            canary_size=size, bake_time=seconds, termination_wait=seconds, maximum_execution_timeout=seconds
        ),
    )
    Endpoint(
        stack,
        "Rolling",
        model=model_in(stack, "Rolled"),
        variant=real_time(instance_count=number),
        data_capture=DataCapture(
            destination=ArtifactPrefix(bucket=bucket, prefix=name), percentage=number, json_content_types=[name]
        ),
        deployment=Rolling(batch_size=size, bake_time=seconds, rollback_batch_size=size),
    )

    assert len(all_of(stack, ENDPOINT)) == 3
    assert len(all_of(stack, COMPONENT)) == 1


def test_two_variants_whose_names_are_known_at_deployment_may_differ(stack: cdk.Stack) -> None:
    one = cdk.CfnParameter(stack, "One").value_as_string
    two = cdk.CfnParameter(stack, "Two").value_as_string

    Endpoint(stack, "Endpoint", model=model_in(stack), variants=[real_time(one), real_time(two)])

    assert len(all_of(stack, ENDPOINT)) == 1


def test_a_serverless_variant_among_its_like_is_refused_too(stack: cdk.Stack) -> None:
    variants = [cast("RealTime", Serverless(variant_name=name)) for name in ("A", "B")]

    assert refusal(stack, model=model_in(stack), variants=variants) == (
        "Serverless among several variants: it must be the only one",
    )
