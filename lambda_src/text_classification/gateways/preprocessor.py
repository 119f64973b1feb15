"""The functions that find the words of texts, one for each language."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from text_classification.gateways.calls import TimeBudget, call_service
from text_classification.gateways.errors import RejectedError

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

Annotation = Mapping[str, Any]
"""What a function found in one text, as it says it: passed on to the caller unchanged."""


class Annotator(Protocol):
    """Whatever can annotate texts of one language."""

    def annotate(self, texts: Sequence[str]) -> Sequence[Annotation]:
        """Return one annotation for each text, in their order. Raises GatewayError."""
        ...


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)

    annotations: list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True, slots=True)
class FunctionAnnotator:
    """Annotates texts by a Lambda function.

    Args:
        client: Made with ``budget.client_config()``.
        function_name: The function of the texts' language.
        budget: How long a call may take, repetitions included.
    """

    client: LambdaClient
    function_name: str
    budget: TimeBudget

    def annotate(self, texts: Sequence[str]) -> Sequence[Annotation]:
        """Annotate the texts in one invocation.

        Raises:
            GatewayError: The invocation failed, the function failed, or its answer is not what was agreed.
        """
        payload = json.dumps({"texts": list(texts)}, ensure_ascii=False).encode()
        answer, error = call_service(lambda: self._invoke(payload), self.budget)
        if error:
            raise _rejected({"function_error": error})
        try:
            annotations = _Answer.model_validate_json(answer).annotations
        except ValidationError as invalid:
            kinds = sorted({detail["type"] for detail in invalid.errors(include_url=False)})
            raise _rejected({"problems": kinds}) from None
        if len(annotations) != len(texts):
            raise _rejected({"texts": len(texts), "annotations": len(annotations)})
        return annotations

    def _invoke(self, payload: bytes) -> tuple[bytes, str | None]:
        response = self.client.invoke(FunctionName=self.function_name, Payload=payload)
        return response["Payload"].read(), response.get("FunctionError")


def _rejected(facts: dict[str, object]) -> RejectedError:
    message = "the texts could not be annotated"
    return RejectedError(message, facts, cause=message)
