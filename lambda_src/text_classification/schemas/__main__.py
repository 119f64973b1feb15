"""Write the JSON schemas beside this file."""

from text_classification.schemas import CLASSIFICATION_REQUEST, classification_request

CLASSIFICATION_REQUEST.write_text(classification_request(), encoding="utf-8")
