"""The JSON schemas that API Gateway checks request bodies against, as files that synth reads.

``python -m text_classification.schemas`` writes them anew after a change of a request model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel

from text_classification.logic.feedback import FeedbackRequest
from text_classification.logic.requests import ClassificationRequest
from text_classification.logic.training_requests import TrainingRequest
from text_classification.logic.transform_requests import TransformRequest

_DIRECTORY = Path(__file__).parent

CLASSIFICATION_REQUEST = _DIRECTORY / "classification_request.json"
TRAINING_REQUEST = _DIRECTORY / "training_request.json"
FEEDBACK_REQUEST = _DIRECTORY / "feedback_request.json"
TRANSFORM_REQUEST = _DIRECTORY / "transform_request.json"

MODELS: Mapping[Path, type[BaseModel]] = {
    CLASSIFICATION_REQUEST: ClassificationRequest,
    TRAINING_REQUEST: TrainingRequest,
    FEEDBACK_REQUEST: FeedbackRequest,
    TRANSFORM_REQUEST: TransformRequest,
}
"""The request model of each file."""


def schema(model: type[BaseModel]) -> str:
    """Return the schema of a request body as JSON text.

    API Gateway's models are of JSON schema draft 4. The request models have nothing that draft 4 writes in
    another way than pydantic's draft 2020-12, and no ``$ref``, so only the name of the draft is added.
    """
    draft_4 = {"$schema": "http://json-schema.org/draft-04/schema#"}
    return json.dumps(draft_4 | model.model_json_schema(), indent=2) + "\n"
