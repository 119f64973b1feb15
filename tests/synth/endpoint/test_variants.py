"""The ways to serve a model, as CloudFormation gets them, and what the roles may do for them."""

from __future__ import annotations

from typing import Any, cast

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns

from sm_constructs.endpoint import (
    DataCapture,
    Endpoint,
    InferenceComponent,
    ManagedInstanceScaling,
    RealTime,
    RoutingStrategy,
)
from tests.synth.endpoint.making import (
    COMPONENT,
    CONFIG,
    ENDPOINT,
    REAL_TIME,
    endpoint_in,
    model_in,
    prefix_in,
    queue_in,
    variants_of,
)
from tests.synth.templates import all_of, only, resources_of, statement_for, statements, text_of

SHADOW = RealTime(instance_type="ml.m5.large", instance_count=1, variant_name="Candidate", initial_weight=0.5)


def policy_ids(stack: cdk.Stack) -> set[str]:
    return {name for name, each in resources_of(stack).items() if each["Type"] == "AWS::IAM::Policy"}


def endpoint_waits_for(stack: cdk.Stack) -> set[str]:
    (endpoint,) = all_of(stack, ENDPOINT)
    return set(endpoint.get("DependsOn", []))


def test_every_option_of_a_variant_on_instances_arrives(stack: cdk.Stack) -> None:
    model = model_in(stack)
    variant = RealTime(
        instance_type="ml.g5.xlarge",
        instance_count=3,
        variant_name="Blue",
        initial_weight=0.5,
        model_download_timeout=cdk.Duration.minutes(20),
        startup_health_check_timeout=cdk.Duration.minutes(5),
        inference_ami_version="al2-ami-sagemaker-inference-gpu-2",
        managed_instance_scaling=ManagedInstanceScaling(min_instance_count=1, max_instance_count=4),
        routing_strategy=RoutingStrategy.LEAST_OUTSTANDING_REQUESTS,
    )

    Endpoint(stack, "Endpoint", model=model, variant=variant)

    assert variants_of(stack) == [
        {
            "ContainerStartupHealthCheckTimeoutInSeconds": 300,
            "InferenceAmiVersion": "al2-ami-sagemaker-inference-gpu-2",
            "InitialInstanceCount": 3,
            "InitialVariantWeight": 0.5,
            "InstanceType": "ml.g5.xlarge",
            "ManagedInstanceScaling": {"MaxInstanceCount": 4, "MinInstanceCount": 1, "Status": "ENABLED"},
            "ModelDataDownloadTimeoutInSeconds": 1200,
            "ModelName": stack.resolve(model.model_name),
            "RoutingConfig": {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"},
            "VariantName": "Blue",
        }
    ]


def test_the_size_of_the_volumes_arrives(stack: cdk.Stack) -> None:
    endpoint_in(stack, RealTime(instance_type="ml.m5.large", instance_count=1, volume_size_gb=64))

    assert variants_of(stack)[0]["VolumeSizeInGB"] == 64


def test_several_variants_share_the_calls_and_each_may_have_a_model(stack: cdk.Stack) -> None:
    old, new = model_in(stack, "Old"), model_in(stack, "New")

    endpoint = Endpoint(
        stack,
        "Endpoint",
        model=old,
        variants=[
            RealTime(instance_type="ml.m5.large", instance_count=1, variant_name="Old", initial_weight=9),
            RealTime(instance_type="ml.m5.large", instance_count=1, variant_name="New", model=new),
        ],
    )

    found = [(each["VariantName"], each["ModelName"], each["InitialVariantWeight"]) for each in variants_of(stack)]
    assert found == [("Old", stack.resolve(old.model_name), 9), ("New", stack.resolve(new.model_name), 1)]
    assert endpoint.variant_names == ["Old", "New"]


def test_a_shadow_variant_stands_apart(stack: cdk.Stack) -> None:
    candidate = model_in(stack, "CandidateModel")
    shadow = RealTime(instance_type="ml.m5.large", instance_count=1, variant_name="Candidate", model=candidate)

    endpoint = Endpoint(stack, "Endpoint", model=model_in(stack), variant=REAL_TIME, shadow=shadow)

    (found,) = only(stack, CONFIG)["ShadowProductionVariants"]
    assert (found["VariantName"], found["ModelName"]) == ("Candidate", stack.resolve(candidate.model_name))
    assert [each["VariantName"] for each in variants_of(stack)] == ["AllTraffic"]
    assert endpoint.variant_names == ["AllTraffic"]


# Asynchronous


def test_an_asynchronous_variant_puts_answers_into_s3(stack: cdk.Stack) -> None:
    endpoint_in(stack, queue_in(stack))

    assert only(stack, CONFIG)["AsyncInferenceConfig"] == {"OutputConfig": {"S3OutputPath": "s3://results/results/"}}
    (variant,) = variants_of(stack)
    assert (variant["InstanceType"], variant["InitialInstanceCount"]) == ("ml.m5.large", 1)


def test_every_option_of_an_asynchronous_variant_arrives(stack: cdk.Stack) -> None:
    key = kms.Key(stack, "Key")
    good, bad = sns.Topic(stack, "Good"), sns.Topic(stack, "Bad")

    endpoint_in(
        stack,
        queue_in(
            stack,
            output=prefix_in(stack, "Answers", encryption_key=key),
            failures=prefix_in(stack, "Failures", encryption_key=key),
            success_topic=good,
            error_topic=bad,
            include_response_in_notifications=True,
            max_concurrent_invocations_per_instance=4,
        ),
    )

    assert only(stack, CONFIG)["AsyncInferenceConfig"] == {
        "ClientConfig": {"MaxConcurrentInvocationsPerInstance": 4},
        "OutputConfig": {
            "KmsKeyId": stack.resolve(key.key_arn),
            "NotificationConfig": {
                "ErrorTopic": stack.resolve(bad.topic_arn),
                "IncludeInferenceResponseIn": ["SUCCESS_NOTIFICATION_TOPIC", "ERROR_NOTIFICATION_TOPIC"],
                "SuccessTopic": stack.resolve(good.topic_arn),
            },
            "S3FailurePath": "s3://failures/failures/",
            "S3OutputPath": "s3://answers/answers/",
        },
    }


def test_an_answer_is_only_included_for_topics_that_there_are(stack: cdk.Stack) -> None:
    topic = sns.Topic(stack, "Bad")

    endpoint_in(stack, queue_in(stack, error_topic=topic, include_response_in_notifications=True))

    notification = only(stack, CONFIG)["AsyncInferenceConfig"]["OutputConfig"]["NotificationConfig"]
    assert notification["IncludeInferenceResponseIn"] == ["ERROR_NOTIFICATION_TOPIC"]


def test_the_models_role_may_do_what_an_asynchronous_variant_does_and_no_more(stack: cdk.Stack) -> None:
    topic = sns.Topic(stack, "Bad", master_key=kms.Key(stack, "Key"))
    variant = queue_in(
        stack, inputs=prefix_in(stack, "Inputs"), failures=prefix_in(stack, "Failures"), error_topic=topic
    )

    endpoint_in(stack, variant)

    written = [arn["Fn::Join"][1][-1] for arn in statement_for(stack, "s3:PutObject")["Resource"]]
    assert written == [":s3:::failures/failures/*", ":s3:::results/results/*"]
    read = [each for each in statements(stack) if each["Action"] == "s3:GetObject" and "inputs/*" in str(each)]
    assert len(read) == 1
    assert statement_for(stack, "sns:Publish")["Resource"] == stack.resolve(topic.topic_arn)
    assert statement_for(stack, "kms:GenerateDataKey*")["Effect"] == "Allow"


def test_reading_inputs_is_the_callers_to_grant_when_they_are_not_named(stack: cdk.Stack) -> None:
    endpoint_in(stack, queue_in(stack))

    assert [each["Resource"] for each in statements(stack) if each["Action"] == "s3:ListBucket"] == []


def test_the_endpoint_waits_for_what_the_role_must_be_allowed(stack: cdk.Stack) -> None:
    topic = sns.Topic(stack, "Good")

    endpoint_in(stack, queue_in(stack, success_topic=topic))

    allowing = {name for name in policy_ids(stack) if "sns:Publish" in str(resources_of(stack)[name])}
    assert allowing
    assert allowing <= endpoint_waits_for(stack)


# Data capture


def test_data_capture_writes_requests_and_responses_as_text(stack: cdk.Stack) -> None:
    key = kms.Key(stack, "Key")
    capture = DataCapture(destination=prefix_in(stack, "Captured", encryption_key=key), percentage=20)

    Endpoint(stack, "Endpoint", model=model_in(stack), variant=REAL_TIME, data_capture=capture)

    assert only(stack, CONFIG)["DataCaptureConfig"] == {
        "CaptureContentTypeHeader": {
            "CsvContentTypes": ["text/csv"],
            "JsonContentTypes": ["application/json", "application/jsonlines"],
        },
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "DestinationS3Uri": "s3://captured/captured/",
        "EnableCapture": True,
        "InitialSamplingPercentage": 20,
        "KmsKeyId": stack.resolve(key.key_arn),
    }
    assert "captured/*" in str(statement_for(stack, "s3:PutObject")["Resource"])
    assert statement_for(stack, "kms:GenerateDataKey")["Resource"] == stack.resolve(key.key_arn)


def test_data_capture_can_be_of_responses_only_and_of_no_known_type(stack: cdk.Stack) -> None:
    capture = DataCapture(
        destination=prefix_in(stack, "Captured"), requests=False, json_content_types=(), csv_content_types=()
    )

    Endpoint(stack, "Endpoint", model=model_in(stack), variant=REAL_TIME, data_capture=capture)

    found = only(stack, CONFIG)["DataCaptureConfig"]
    assert found["CaptureOptions"] == [{"CaptureMode": "Output"}]
    assert "CaptureContentTypeHeader" not in found
    assert "KmsKeyId" not in found


def test_the_roles_of_all_models_may_write_what_is_captured(stack: cdk.Stack) -> None:
    capture = DataCapture(destination=prefix_in(stack, "Captured"))
    shadow = RealTime(
        instance_type="ml.m5.large", instance_count=1, variant_name="New", model=model_in(stack, "NewModel")
    )

    Endpoint(stack, "Endpoint", model=model_in(stack), variant=REAL_TIME, shadow=shadow, data_capture=capture)

    assert len([each for each in statements(stack) if "s3:PutObject" in each["Action"]]) == 2


# Inference components


def host_in(stack: cdk.Stack, *, instance_type: str = "ml.m5.large", **arguments: Any) -> Endpoint:
    scaling = ManagedInstanceScaling(min_instance_count=0, max_instance_count=2)
    variant = RealTime(instance_type=instance_type, instance_count=1, managed_instance_scaling=scaling)
    return Endpoint(stack, "Host", variant=variant, **arguments)


def test_an_endpoint_for_inference_components_has_a_role_and_no_model(stack: cdk.Stack) -> None:
    endpoint = host_in(stack)

    assert endpoint.execution_role is not None
    assert only(stack, CONFIG)["ExecutionRoleArn"] == stack.resolve(endpoint.execution_role.role_arn)
    assert variants_of(stack) == [
        {
            "InitialInstanceCount": 1,
            "InstanceType": "ml.m5.large",
            "ManagedInstanceScaling": {"MaxInstanceCount": 2, "MinInstanceCount": 0, "Status": "ENABLED"},
            "VariantName": "AllTraffic",
        }
    ]
    assert policy_ids(stack) <= endpoint_waits_for(stack)
    assert statement_for(stack, "logs:PutLogEvents")["Effect"] == "Allow"


def test_the_role_for_inference_components_can_be_handed_in(stack: cdk.Stack) -> None:
    role = iam.Role.from_role_arn(stack, "Mine", "arn:aws:iam::111122223333:role/mine")

    endpoint = host_in(stack, execution_role=role)

    assert endpoint.execution_role is role
    assert only(stack, CONFIG)["ExecutionRoleArn"] == "arn:aws:iam::111122223333:role/mine"
    assert not all_of(stack, "AWS::IAM::Role")


def test_an_inference_component_runs_copies_of_a_model_on_the_endpoint(stack: cdk.Stack) -> None:
    endpoint, model = host_in(stack), model_in(stack)

    component = InferenceComponent(stack, "Component", endpoint=endpoint, model=model, memory_size_mb=1024)

    assert only(stack, COMPONENT) == {
        "EndpointName": stack.resolve(endpoint.endpoint_name),
        "InferenceComponentName": component.inference_component_name,
        "RuntimeConfig": {"CopyCount": 1},
        "Specification": {
            "ComputeResourceRequirements": {"MinMemoryRequiredInMb": 1024},
            "ModelName": stack.resolve(model.model_name),
        },
        "VariantName": "AllTraffic",
    }
    assert component.inference_component_name.startswith("stack-component-")
    assert len(component.inference_component_name) <= 63
    assert component.inference_component_name == component.inference_component_name.lower()
    assert stack.resolve(component.inference_component_arn) == {
        "Ref": stack.get_logical_id(component.node.default_child)  # type: ignore[arg-type]
    }


def test_every_option_of_an_inference_component_arrives(stack: cdk.Stack) -> None:
    InferenceComponent(
        stack,
        "Component",
        endpoint=host_in(stack, instance_type="ml.g5.xlarge"),
        model=model_in(stack),
        memory_size_mb=1024,
        max_memory_size_mb=2048,
        cpu_cores=0.5,
        accelerators=1,
        copy_count=0,
        model_download_timeout=cdk.Duration.minutes(2),
        startup_health_check_timeout=cdk.Duration.minutes(1),
        variant_name="AllTraffic",
        inference_component_name="Reviews",
    )

    found = only(stack, COMPONENT)
    assert found["InferenceComponentName"] == "Reviews"
    assert found["RuntimeConfig"] == {"CopyCount": 0}
    assert found["Specification"]["ComputeResourceRequirements"] == {
        "MaxMemoryRequiredInMb": 2048,
        "MinMemoryRequiredInMb": 1024,
        "NumberOfAcceleratorDevicesRequired": 1,
        "NumberOfCpuCoresRequired": 0.5,
    }
    assert found["Specification"]["StartupParameters"] == {
        "ContainerStartupHealthCheckTimeoutInSeconds": 60,
        "ModelDataDownloadTimeoutInSeconds": 120,
    }


def test_two_components_share_one_endpoint_under_names_of_their_own(stack: cdk.Stack) -> None:
    endpoint, model = host_in(stack), model_in(stack)

    one = InferenceComponent(stack, "One", endpoint=endpoint, model=model, memory_size_mb=512)
    two = InferenceComponent(stack, "Two", endpoint=endpoint, model=model, memory_size_mb=512)

    assert one.inference_component_name != two.inference_component_name
    assert "undefined" not in text_of(stack)


def component_on(variant_name: str, endpoint_id: str, endpoint_name: str | None) -> tuple[str, str]:
    """Return the name and the logical id of a component on an endpoint, in a stack and an app of their own."""
    stack = cdk.Stack(cdk.App(analytics_reporting=False), "Stack")
    variant = RealTime(instance_type="ml.m5.large", instance_count=1, variant_name=variant_name)
    endpoint = Endpoint(stack, endpoint_id, variant=variant, endpoint_name=endpoint_name)
    component = InferenceComponent(stack, "Component", endpoint=endpoint, model=model_in(stack), memory_size_mb=512)
    return component.inference_component_name, stack.get_logical_id(cast(cdk.CfnElement, component.node.default_child))


def test_a_component_on_another_endpoint_or_variant_has_another_name_and_id() -> None:
    places = [("Blue", "Host", None), ("Green", "Host", None), ("Blue", "Other", None), ("Blue", "Host", "reviews")]

    found = [component_on(*place) for place in places]

    assert len({name for name, _ in found}) == len({logical_id for _, logical_id in found}) == len(places)
    assert component_on(*places[0]) == found[0]


def test_the_name_of_a_component_depends_on_nothing_that_is_known_at_deployment_only() -> None:
    one, two = (component_on(cdk.Fn.import_value("Variant"), "Host", cdk.Fn.import_value("Name")) for _ in range(2))

    assert one == two
