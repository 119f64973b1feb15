"""The model behind a SageMaker endpoint."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from text_classification.gateways.calls import TimeBudget, call_service
from text_classification.gateways.errors import RejectedError

if TYPE_CHECKING:
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient

Probability = Annotated[float, Field(ge=0, le=1)]


class ModelResult(BaseModel):
    """The label of one text."""

    model_config = ConfigDict(frozen=True)

    label: str
    score: Probability
    scores: dict[str, Probability]


class ModelAnswer(BaseModel):
    """What the model answers: one result for each text, in the order of the texts."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    model_version: str
    results: tuple[ModelResult, ...]


class Classifier(Protocol):
    """Whatever can label texts."""

    def classify(self, texts: Sequence[str]) -> ModelAnswer:
        """Label the texts in one call. Raises GatewayError."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class EndpointClassifier:
    """Labels texts by a SageMaker endpoint.

    Args:
        client: Made with ``budget.client_config()``.
        endpoint_name: The endpoint.
        budget: How long a call may take, repetitions included.
    """

    client: SageMakerRuntimeClient
    endpoint_name: str
    budget: TimeBudget

    def classify(self, texts: Sequence[str]) -> ModelAnswer:
        """Label the texts in one call of the endpoint.

        The payload stays below the 4 MB of serverless endpoints: 200,000 characters are at most 1.2 MB, since
        JSON writes no character in more than 6 bytes when it need not be ASCII.

        Raises:
            GatewayError: The call failed, or the answer is not what was agreed.
        """
        payload = json.dumps({"texts": list(texts)}, ensure_ascii=False).encode()
        answer = call_service(lambda: self._invoke(payload), self.budget)
        return parsed_answer(answer, expected=len(texts))

    def _invoke(self, payload: bytes) -> bytes:
        response = self.client.invoke_endpoint(
            EndpointName=self.endpoint_name,
            ContentType="application/json",
            Accept="application/json",
            Body=payload,
        )
        return response["Body"].read()


def parsed_answer(answer: bytes, *, expected: int) -> ModelAnswer:
    """Return what the model answered. Raises RejectedError when it is not one result for each text."""
    try:
        parsed = ModelAnswer.model_validate_json(answer)
    except ValidationError as error:
        kinds = sorted({detail["type"] for detail in error.errors(include_url=False)})
        raise _unexpected({"problems": kinds}) from None
    if len(parsed.results) != expected:
        raise _unexpected({"texts": expected, "results": len(parsed.results)})
    return parsed


def _unexpected(facts: dict[str, object]) -> RejectedError:
    message = "the model's answer has not the agreed form"
    return RejectedError(message, facts, cause=message)
