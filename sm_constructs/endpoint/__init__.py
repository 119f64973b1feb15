"""The endpoint that serves a model, and the ways it can be served."""

from __future__ import annotations

from sm_constructs.endpoint.capture import DataCapture
from sm_constructs.endpoint.endpoint import Endpoint
from sm_constructs.endpoint.guardrails import AllAtOnce, Canary, CapacitySize, Linear, Rolling, VariantProperty
from sm_constructs.endpoint.inference_component import InferenceComponent, ScalableCopyCount
from sm_constructs.endpoint.reference import EndpointBase
from sm_constructs.endpoint.variant_scaling import ScalableInstanceCount, ScalableProvisionedConcurrency
from sm_constructs.endpoint.variants import (
    Asynchronous,
    ManagedInstanceScaling,
    RealTime,
    RoutingStrategy,
    Serverless,
)

__all__ = [
    "AllAtOnce",
    "Asynchronous",
    "Canary",
    "CapacitySize",
    "DataCapture",
    "Endpoint",
    "EndpointBase",
    "InferenceComponent",
    "Linear",
    "ManagedInstanceScaling",
    "RealTime",
    "Rolling",
    "RoutingStrategy",
    "ScalableCopyCount",
    "ScalableInstanceCount",
    "ScalableProvisionedConcurrency",
    "Serverless",
    "VariantProperty",
]
