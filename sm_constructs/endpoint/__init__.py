"""The endpoint that serves a model, and the ways it can be served."""

from __future__ import annotations

from sm_constructs.endpoint.endpoint import Endpoint
from sm_constructs.endpoint.reference import EndpointBase
from sm_constructs.endpoint.variants import RealTime, Serverless

__all__ = ["Endpoint", "EndpointBase", "RealTime", "Serverless"]
