"""What the promotion's state machine asks of Lambda: ``plan`` before it makes anything, ``clean_up`` after it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3

from text_classification.gateways.calls import TimeBudget
from text_classification.gateways.cloudformation import stack_status
from text_classification.gateways.hosting import Parameter, SageMakerHosting
from text_classification.handlers.execution_gateways import executions
from text_classification.handlers.hosting_cleanup import remove_unused
from text_classification.handlers.telemetry import logger, tracer
from text_classification.logic.execution_names import short_name
from text_classification.logic.promotion import (
    DeploymentRunningError,
    Memory,
    archive_of,
    as_request,
    check_name,
    check_replaced,
    check_turn,
    config_request,
    configs_in_use,
    is_deployed_now,
    model_in_service,
    model_request,
    target,
)

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

_BUDGET = TimeBudget(total_seconds=20)


def hosting(environment: Mapping[str, str]) -> SageMakerHosting:
    """Return the endpoint that ``ENDPOINT_NAME`` names."""
    client = boto3.client("sagemaker", config=_BUDGET.client_config())
    return SageMakerHosting(client=client, endpoint_name=environment["ENDPOINT_NAME"], budget=_BUDGET)


def parameter(environment: Mapping[str, str]) -> Parameter:
    """Return the parameter that ``PARAMETER_NAME`` names."""
    client = boto3.client("ssm", config=_BUDGET.client_config())
    return Parameter(client=client, name=environment["PARAMETER_NAME"], budget=_BUDGET)


tracer.patch(["botocore"])
_hosting = hosting(os.environ)
_prefix = f"{os.environ['NAME_PREFIX']}-"


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler
def plan(event: Mapping[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Return the requests that put a model into service, after the endpoint's own configuration and model.

    Args:
        event: ``{"execution": name, "state_machine": its ARN, "request": the execution's input}``, see
            :func:`logic.promotion.target`.

    Returns:
        ``create_model``, ``create_endpoint_config`` and ``update_endpoint`` are requests of SageMaker's, ``remember``
        and ``forget``, which takes it back, are Systems Manager's, and ``version`` is what then is in service.
        ``again`` is the request that asks for the same version, whatever is remembered or in service by then.
        ``replaces`` is the endpoint's configuration. What was made before ``planned_at`` is nobody's who is about to
        use it.

    Raises:
        EndpointBusyError: The endpoint moves, or another promotion began earlier: ask again.
        PromotionError: The request is none, or the endpoint's model cannot be replaced.
    """
    endpoint = _hosting.endpoint()
    promotions = executions({"STATE_MACHINE_ARN": event["state_machine"]})
    check_turn(event["execution"], promotions.running(), endpoint["EndpointStatus"])
    remembered = parameter(os.environ)
    memory = Memory.read(remembered.value())
    version = target(event["request"], memory)
    name = f"{_prefix}{short_name(event['execution'])}"
    check_name(_hosting.has_model(name))
    config = _hosting.config(endpoint["EndpointConfigName"])
    old_model = model_in_service(config)
    model = _hosting.model(old_model)
    check_replaced(event["request"], archive_of(model))
    model_data = version.model_data or os.environ["INITIAL_MODEL_DATA"]
    logger.info("promotion planned", model_data=model_data, replaces=old_model)
    return {
        "name": name,
        "planned_at": datetime.now(UTC).isoformat(),
        "version": {
            "model_data": model_data,
            "model_version": version.model_version,
            "training_id": version.training_id,
        },
        "create_model": model_request(model, name=name, model_data=model_data),
        "create_endpoint_config": config_request(config, name=name, old_model=old_model),
        "update_endpoint": {
            "EndpointName": _hosting.endpoint_name,
            "EndpointConfigName": name,
            **json.loads(os.environ["UPDATE_ENDPOINT"]),
        },
        "again": as_request(version),
        "replaces": endpoint["EndpointConfigName"],
        "remember": {"Name": remembered.name, "Value": memory.promoted(version).write(), "Overwrite": True},
        "forget": {"Name": remembered.name, "Value": memory.write(), "Overwrite": True},
    }


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler
def clean_up(event: Mapping[str, Any], _context: LambdaContext) -> dict[str, list[str]]:
    """Delete what promotions made and the endpoint does not use, nor is moving to. May be repeated.

    Args:
        event: ``{"name": what one promotion calls all that it makes}``, or ``{"made_before": time}`` for what is older.

    Returns:
        The names of the ``configs`` and the ``models`` that were deleted.
    """
    before = event.get("made_before")
    return remove_unused(
        _hosting,
        _prefix,
        configs_in_use(_hosting.endpoint()),
        only=event.get("name"),
        made_before=datetime.fromisoformat(before) if before else None,
    )


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler
def in_service(event: Mapping[str, Any], _context: LambdaContext) -> dict[str, str]:
    """Return the ``model_data`` of the model in service, the ``s3://`` URL of its archive.

    Args:
        event: ``{"after_deployments_of": a stack's ARN}``, or nothing.

    Raises:
        DeploymentRunningError: That stack is being deployed: ask again.
    """
    if stack_id := event.get("after_deployments_of"):
        client = boto3.client("cloudformation", config=_BUDGET.client_config())
        status = stack_status(client, stack_id, _BUDGET)
        if is_deployed_now(status):
            raise DeploymentRunningError(f"the stack is {status}")
    model = _hosting.model(model_in_service(_hosting.config(_hosting.endpoint()["EndpointConfigName"])))
    return {"model_data": archive_of(model)}
