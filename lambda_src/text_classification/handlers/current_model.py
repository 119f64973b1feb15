"""The custom resource that tells a deployment which model is in service: the promoted one, or the stack's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import boto3

from text_classification.gateways.calls import TimeBudget
from text_classification.gateways.cloudformation import answer
from text_classification.gateways.errors import GatewayError
from text_classification.gateways.hosting import Parameter, SageMakerHosting
from text_classification.handlers.hosting_cleanup import remove_unused
from text_classification.handlers.telemetry import logger, tracer
from text_classification.logic.promotion import Memory

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

_BUDGET = TimeBudget(total_seconds=20)


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
def handler(event: Mapping[str, Any], _context: LambdaContext) -> None:
    """Tell CloudFormation the ``ModelDataUrl`` of the model in service, or delete what promotions made.

    Properties:
        ParameterName: Where promotions are remembered. It is made where there is none, and deleted in the end.
        InitialModelDataUrl: The ``s3://`` URL of the stack's own model, which is in service until one is promoted.
        NamePrefix: How the names of models and configurations begin that promotions make.
    """
    properties = event["ResourceProperties"]
    data, problem = {}, None
    try:
        if event["RequestType"] == "Delete":
            _remove_all(properties["NamePrefix"])
            _parameter(properties["ParameterName"]).delete()
        else:
            data["ModelDataUrl"] = _model_data(properties["ParameterName"], properties["InitialModelDataUrl"])
    except GatewayError as error:
        logger.error("the model in service is not known: %s", error, extra=error.facts)
        problem = f"{error} ({error.facts.get('error')})"
    except Exception as error:  # CloudFormation would wait for an answer until its time-out
        logger.exception("the model in service is not known")
        problem = f"{type(error).__name__}: {error}"
    answer(event, physical_id=f"{properties['ParameterName']}/model", data=data, problem=problem)


def _model_data(parameter_name: str, initial: str) -> str:
    current = Memory.read(_parameter(parameter_name).value_or(Memory().write())).current
    logger.info("model in service", model_data=current.model_data if current else initial)
    return current.model_data if current else initial


def _parameter(name: str) -> Parameter:
    return Parameter(client=boto3.client("ssm", config=_BUDGET.client_config()), name=name, budget=_BUDGET)


def _remove_all(prefix: str) -> None:
    """Delete what promotions made. The endpoint is gone by then: its model depends on this resource."""
    sagemaker = SageMakerHosting(
        client=boto3.client("sagemaker", config=_BUDGET.client_config()), endpoint_name="", budget=_BUDGET
    )
    remove_unused(sagemaker, f"{prefix}-", set())
