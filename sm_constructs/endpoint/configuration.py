"""Endpoint configurations and deployments in CloudFormation's words."""

from __future__ import annotations

from typing import assert_never

from aws_cdk import Duration, Token
from aws_cdk import aws_sagemaker as sagemaker

from sm_constructs.endpoint.capture import DataCapture
from sm_constructs.endpoint.guardrails import (
    AllAtOnce,
    Canary,
    CapacitySize,
    Deployment,
    Linear,
    Rolling,
)
from sm_constructs.endpoint.variants import Asynchronous, RealTime, Serverless, Variant
from sm_constructs.model import Model

_Config = sagemaker.CfnEndpointConfig
_Endpoint = sagemaker.CfnEndpoint

CONFIG_PROPERTIES = (
    "async_inference_config",
    "data_capture_config",
    "execution_role_arn",
    "kms_key_id",
    "production_variants",
    "shadow_production_variants",
)
"""What this library says of a configuration. Another value makes another configuration."""

ENDPOINT_PROPERTIES = (
    "deployment_config",
    "endpoint_name",
    "exclude_retained_variant_properties",
    "retain_all_variant_properties",
)
"""What it says of an endpoint, beside its configuration. Another value makes a deployment."""


def pascal_case(value: object) -> object:
    """Return resolved properties as requests name them, with tokens for references: JSON text keeps those alone.

    >>> pascal_case({"alarms": [{"alarmName": "Failing"}]})
    {'Alarms': [{'AlarmName': 'Failing'}]}
    """
    if isinstance(value, list):
        return [pascal_case(each) for each in value]
    if isinstance(value, dict):
        if any(name.startswith("Fn::") or name == "Ref" for name in value):
            return Token.as_any(value)
        return {f"{name[0].upper()}{name[1:]}": pascal_case(each) for name, each in value.items()}
    return value


def production_variant(variant: Variant, model: Model | None) -> _Config.ProductionVariantProperty:
    """Return a variant that serves a model, or inference components where there is none."""
    match variant:
        case RealTime() | Asynchronous():
            return _on_instances(variant, model)
        case Serverless():
            return _Config.ProductionVariantProperty(
                initial_variant_weight=1,
                model_name=model.model_name if model else None,
                serverless_config=_Config.ServerlessConfigProperty(
                    max_concurrency=variant.max_concurrency,
                    memory_size_in_mb=variant.memory_size_mb,
                    provisioned_concurrency=variant.provisioned_concurrency,
                ),
                variant_name=variant.variant_name,
            )
        case _:
            assert_never(variant)


def _on_instances(variant: RealTime | Asynchronous, model: Model | None) -> _Config.ProductionVariantProperty:
    real_time = variant if isinstance(variant, RealTime) else None
    scaling = real_time.managed_instance_scaling if real_time else None
    routing = real_time.routing_strategy if real_time else None
    return _Config.ProductionVariantProperty(
        container_startup_health_check_timeout_in_seconds=_seconds(variant.startup_health_check_timeout),
        inference_ami_version=variant.inference_ami_version,
        initial_instance_count=variant.instance_count,
        # Weights share calls out, and inference components are called by their names.
        initial_variant_weight=(real_time.initial_weight if real_time else 1) if model else None,
        instance_type=variant.instance_type,
        managed_instance_scaling=_Config.ManagedInstanceScalingProperty(
            max_instance_count=scaling.max_instance_count,
            min_instance_count=scaling.min_instance_count,
            status="ENABLED",
        )
        if scaling
        else None,
        model_data_download_timeout_in_seconds=_seconds(variant.model_download_timeout),
        model_name=model.model_name if model else None,
        routing_config=_Config.RoutingConfigProperty(routing_strategy=routing.value) if routing else None,
        variant_name=variant.variant_name,
        volume_size_in_gb=variant.volume_size_gb,
    )


def async_inference_config(variant: Asynchronous) -> _Config.AsyncInferenceConfigProperty:
    """Return where an asynchronous variant puts answers and whom it tells."""
    told = {"SUCCESS_NOTIFICATION_TOPIC": variant.success_topic, "ERROR_NOTIFICATION_TOPIC": variant.error_topic}
    included = [name for name, topic in told.items() if topic and variant.include_response_in_notifications]
    concurrency = variant.max_concurrent_invocations_per_instance
    key = variant.output.encryption_key
    return _Config.AsyncInferenceConfigProperty(
        client_config=_Config.AsyncInferenceClientConfigProperty(max_concurrent_invocations_per_instance=concurrency)
        if concurrency is not None
        else None,
        output_config=_Config.AsyncInferenceOutputConfigProperty(
            kms_key_id=key.key_arn if key else None,
            notification_config=_Config.AsyncInferenceNotificationConfigProperty(
                error_topic=variant.error_topic.topic_arn if variant.error_topic else None,
                include_inference_response_in=included or None,
                success_topic=variant.success_topic.topic_arn if variant.success_topic else None,
            )
            if any(told.values())
            else None,
            s3_failure_path=variant.failures.url() if variant.failures else None,
            s3_output_path=variant.output.url(),
        ),
    )


def data_capture_config(capture: DataCapture) -> _Config.DataCaptureConfigProperty:
    """Return which calls are written, and where."""
    key = capture.destination.encryption_key
    return _Config.DataCaptureConfigProperty(
        capture_content_type_header=_Config.CaptureContentTypeHeaderProperty(
            csv_content_types=list(capture.csv_content_types) or None,
            json_content_types=list(capture.json_content_types) or None,
        )
        if capture.csv_content_types or capture.json_content_types
        else None,
        capture_options=[_Config.CaptureOptionProperty(capture_mode=mode) for mode in capture.modes],
        destination_s3_uri=capture.destination.url(),
        enable_capture=True,
        initial_sampling_percentage=capture.percentage,
        kms_key_id=key.key_arn if key else None,
    )


def deployment_config(deployment: Deployment) -> _Endpoint.DeploymentConfigProperty:
    """Return how an endpoint moves to a new configuration."""
    return _Endpoint.DeploymentConfigProperty(
        auto_rollback_configuration=_Endpoint.AutoRollbackConfigProperty(
            alarms=[_Endpoint.AlarmProperty(alarm_name=alarm.alarm_name) for alarm in deployment.alarms]
        )
        if deployment.alarms
        else None,
        blue_green_update_policy=None if isinstance(deployment, Rolling) else _blue_green(deployment),
        rolling_update_policy=_rolling(deployment) if isinstance(deployment, Rolling) else None,
    )


def _blue_green(deployment: AllAtOnce | Canary | Linear) -> _Endpoint.BlueGreenUpdatePolicyProperty:
    return _Endpoint.BlueGreenUpdatePolicyProperty(
        maximum_execution_timeout_in_seconds=_seconds(deployment.maximum_execution_timeout),
        termination_wait_in_seconds=_seconds(deployment.termination_wait),
        traffic_routing_configuration=_traffic_routing(deployment),
    )


def _traffic_routing(deployment: AllAtOnce | Canary | Linear) -> _Endpoint.TrafficRoutingConfigProperty:
    wait = _seconds(deployment.bake_time)
    match deployment:
        case AllAtOnce():
            return _Endpoint.TrafficRoutingConfigProperty(type="ALL_AT_ONCE", wait_interval_in_seconds=wait)
        case Canary():
            return _Endpoint.TrafficRoutingConfigProperty(
                type="CANARY", canary_size=_capacity(deployment.canary_size), wait_interval_in_seconds=wait
            )
        case Linear():
            return _Endpoint.TrafficRoutingConfigProperty(
                type="LINEAR", linear_step_size=_capacity(deployment.step_size), wait_interval_in_seconds=wait
            )
        case _:
            assert_never(deployment)


def _rolling(deployment: Rolling) -> _Endpoint.RollingUpdatePolicyProperty:
    back = deployment.rollback_batch_size
    return _Endpoint.RollingUpdatePolicyProperty(
        maximum_batch_size=_capacity(deployment.batch_size),
        maximum_execution_timeout_in_seconds=_seconds(deployment.maximum_execution_timeout),
        rollback_maximum_batch_size=_capacity(back) if back else None,
        wait_interval_in_seconds=deployment.bake_time.to_seconds(),
    )


def _capacity(size: CapacitySize) -> _Endpoint.CapacitySizeProperty:
    return _Endpoint.CapacitySizeProperty(type=size.kind, value=size.value)


def _seconds(duration: Duration | None) -> float | None:
    return duration.to_seconds() if duration else None
