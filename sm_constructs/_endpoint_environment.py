"""What everything that classifies asks of an endpoint, and what its functions are told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from aws_cdk import aws_sagemaker as sagemaker

from sm_constructs.endpoint.endpoint import Endpoint
from sm_constructs.endpoint.variants import Asynchronous, RealTime

if TYPE_CHECKING:
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


def endpoint_problems(endpoint: sagemaker.IEndpoint | None) -> Iterator[str]:
    """Yield why an endpoint of this app cannot label texts for a caller who waits for that."""
    if not isinstance(endpoint, Endpoint):
        return
    if any(isinstance(variant, Asynchronous) for variant in endpoint.variants):
        yield "endpoint has an Asynchronous variant: its callers wait for labels, so pass a real-time or serverless one"
    if endpoint.execution_role:
        yield "endpoint has inference components, of which each call would have to name one: pass one with a model"


def max_payload_bytes(endpoint: sagemaker.IEndpoint) -> int:
    """Return what one call may send: 6 MB, serverless 4 MB; of an endpoint made elsewhere the kind is not known."""
    real_time = isinstance(endpoint, Endpoint) and all(isinstance(each, RealTime) for each in endpoint.variants)
    return (6 if real_time else 4) * _MEBIBYTE
