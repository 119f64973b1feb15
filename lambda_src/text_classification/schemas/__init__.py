"""The JSON schema that API Gateway checks request bodies against, as a file that synth reads.

``python -m text_classification.schemas`` writes it anew after a change of the request model.
"""

from __future__ import annotations

import json
from pathlib import Path

from text_classification.logic.requests import ClassificationRequest

CLASSIFICATION_REQUEST = Path(__file__).with_name("classification_request.json")


def classification_request() -> str:
    """Return the schema of ``POST /v1/classifications`` as JSON text.

    API Gateway's models are of JSON schema draft 4. The request model has nothing that draft 4 writes in
    another way than pydantic's draft 2020-12, and no ``$ref``, so only the name of the draft is added.
    """
    draft_4 = {"$schema": "http://json-schema.org/draft-04/schema#"}
    return json.dumps(draft_4 | ClassificationRequest.model_json_schema(), indent=2) + "\n"
