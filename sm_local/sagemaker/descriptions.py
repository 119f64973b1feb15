"""What ``DescribeEndpoint`` and ``ListEndpoints`` say."""

from __future__ import annotations

from sm_local.sagemaker.config import VariantSettings
from sm_local.sagemaker.endpoint import Endpoint, Pending
from sm_local.sagemaker.fleet import Fleet
from sm_local.sagemaker.registry import Parameters


def summary(endpoint: Endpoint) -> Parameters:
    """Return an entry of ``ListEndpoints``."""
    return {
        "EndpointName": endpoint.name,
        "EndpointArn": endpoint.arn,
        "EndpointStatus": endpoint.status,
        "CreationTime": endpoint.created,
        "LastModifiedTime": endpoint.modified,
    }


def description(endpoint: Endpoint) -> Parameters:
    """Return the answer of ``DescribeEndpoint``."""
    shown = {**summary(endpoint), "EndpointConfigName": endpoint.config.name}
    if endpoint.failure_reason:
        shown["FailureReason"] = endpoint.failure_reason[:1024]
    if endpoint.last_deployment:
        shown["LastDeploymentConfig"] = endpoint.last_deployment
    if fleet := endpoint.traffic.fleet:
        shown |= _fleet(fleet)
    if pending := endpoint.pending:
        shown["PendingDeploymentSummary"] = _pending(pending, endpoint.traffic.green)
    return shown


def _fleet(fleet: Fleet) -> Parameters:
    shown: Parameters = {"ProductionVariants": [variant.description for variant in fleet.variants.values()]}
    if fleet.shadows:
        shown["ShadowProductionVariants"] = [variant.description for variant in fleet.shadows.values()]
    if fleet.capture:
        shown["DataCaptureConfig"] = fleet.capture.settings.description
    if fleet.config.asynchronous:
        shown["AsyncInferenceConfig"] = fleet.config.asynchronous.parameters
    return shown


def _pending(pending: Pending, green: Fleet | None) -> Parameters:
    status = [{"Status": pending.stage, "StartTime": pending.began}]
    running = {**green.variants, **green.shadows} if green else {}

    def variants(settings: tuple[VariantSettings, ...]) -> list[Parameters]:
        return [
            {
                **(running[one.name].description if one.name in running else _planned(one)),
                "VariantStatus": status,
            }
            for one in settings
        ]

    shown: Parameters = {
        "EndpointConfigName": pending.config.name,
        "ProductionVariants": variants(pending.config.variants),
        "StartTime": pending.began,
    }
    if pending.config.shadows:
        shown["ShadowProductionVariants"] = variants(pending.config.shadows)
    return shown


def _planned(settings: VariantSettings) -> Parameters:
    if settings.serverless:
        return {"VariantName": settings.name, "DesiredServerlessConfig": settings.serverless.parameters}
    return {
        "VariantName": settings.name,
        "CurrentInstanceCount": 0,
        "DesiredInstanceCount": settings.instance_count,
        "CurrentWeight": 0.0,
        "DesiredWeight": settings.weight,
    }
