"""What functions that classify are told of the endpoint and of the functions that annotate."""

from __future__ import annotations

from aws_cdk import aws_sagemaker as sagemaker

from sm_constructs.endpoint.endpoint import Endpoint
from sm_constructs.endpoint.variants import RealTime
from sm_constructs.preprocessing import TextPreprocessor

_MEBIBYTE = 1024 * 1024


def endpoint_environment(
    endpoint: sagemaker.IEndpoint, preprocessor: TextPreprocessor | None, seconds: float
) -> dict[str, str]:
    """Return the environment of a function whose calls of them take at most so many seconds, repetitions included."""
    return {
        "ENDPOINT_NAME": endpoint.endpoint_name,
        "ENDPOINT_TIMEOUT_SECONDS": f"{seconds:.1f}",
        **(preprocessor.environment if preprocessor else {}),
    }


def max_payload_bytes(endpoint: sagemaker.IEndpoint) -> int:
    """Return what one call may send: 6 MB, serverless 4 MB; of an endpoint made elsewhere the kind is not known."""
    real_time = isinstance(endpoint, Endpoint) and all(isinstance(each, RealTime) for each in endpoint.variants)
    return (6 if real_time else 4) * _MEBIBYTE
