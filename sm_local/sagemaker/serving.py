"""``InvokeEndpoint``: from a request to the answer of a model."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

from sm_local.patches import core
from sm_local.sagemaker import background
from sm_local.sagemaker.component import Component
from sm_local.sagemaker.errors import NoAnswerError, SageMakerError
from sm_local.sagemaker.fleet import Fleet
from sm_local.sagemaker.messages import Answer, Invocation
from sm_local.sagemaker.variant import Variant

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
# https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints-invoke.html
_REAL_TIME_PAYLOAD_BYTES = 6_291_456
_SERVERLESS_PAYLOAD_BYTES = 4_194_304
_MOST_SHADOW_CALLS = 16

_shadow_calls = threading.BoundedSemaphore(_MOST_SHADOW_CALLS)


def check_size(invocation: Invocation, *, serverless: bool) -> None:
    """Refuse a payload that is too large.

    Raises:
        SageMakerError: It is.
    """
    limit = _SERVERLESS_PAYLOAD_BYTES if serverless else _REAL_TIME_PAYLOAD_BYTES
    if (size := len(invocation.body)) > limit:
        raise SageMakerError(
            "ValidationError", f"Request payload size {size} exceeds the limit of {limit} bytes.", status=413
        )


def serve(
    endpoint_name: str, fleet: Fleet, invocation: Invocation, component: Component | None = None
) -> tuple[Answer, Variant]:
    """Call a variant of a fleet, copy the call to its shadow, and capture it.

    Args:
        endpoint_name: The endpoint.
        fleet: The one that the call goes to.
        invocation: The call.
        component: The inference component that is called instead of the variant's own model.

    Returns:
        The answer and the production variant that gave it.

    Raises:
        SageMakerError: What the caller gets instead of an answer.
    """
    if component is not None:
        variant = fleet.choose(component.variant_name)
        log_group = f"/aws/sagemaker/InferenceComponents/{component.name}"
        answer = checked(log_group, lambda: component.invoke(variant, invocation))
        role = component.role or variant.role
    else:
        variant, role = fleet.choose(invocation.target_variant), None
        for shadow in fleet.shadows.values():
            _copy(invocation, shadow, share=shadow.weight / variant.weight if variant.weight else 1.0)
        answer = checked(f"/aws/sagemaker/Endpoints/{endpoint_name}", lambda: variant.invoke(invocation))
    if fleet.capture is not None:
        fleet.capture.keep(variant.name, role or variant.role, invocation, answer)
    return answer, variant


def checked(log_group: str, call: Callable[[], Answer]) -> Answer:
    """Return a model's answer.

    Args:
        log_group: Where the model logs; errors name it.
        call: Calls the model.

    Raises:
        SageMakerError: ``ModelError`` when it refuses or fails, ``InternalFailure`` when it is gone.
    """
    try:
        answer = call()
    except NoAnswerError as error:
        if not error.timed_out:
            raise SageMakerError("InternalFailure", f"The model's process is gone: {error}", status=500) from error
        words = (
            f"Your invocation timed out while waiting for a response from container {error.container}. Review the "
            "latency metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
        )
        raise _model_error(log_group, error.container, 0, words) from error
    if answer.status >= 400:
        raise _model_error(log_group, answer.container, answer.status, answer.body.decode(errors="replace"))
    return answer


def _copy(invocation: Invocation, shadow: Variant, *, share: float) -> None:
    """Send a sampled request to a shadow variant, whose answers and failures nobody sees."""
    if random.random() >= share or not _shadow_calls.acquire(blocking=False):  # noqa: S311 - not a secret
        return

    def call() -> None:
        try:
            shadow.invoke(invocation)
        finally:
            _shadow_calls.release()

    background.start(call, "sagemaker-shadow")


def _model_error(log_group: str, container: str, status: int, original: str) -> SageMakerError:
    account, region = core.scope()
    log_arn = f"arn:aws:logs:{region}:{account}:log-group:{log_group}"
    side = "client" if 400 <= status < 500 else "server"
    return SageMakerError(
        "ModelError",
        f'Received {side} error ({status}) from {container} with message "{original}". See the log group {log_arn}.',
        status=424,
        details={
            "ErrorCode": f"{side.upper()}_ERROR_FROM_MODEL",
            "LogStreamArn": log_arn,
            "OriginalMessage": original,
            "OriginalStatusCode": status,
        },
    )
