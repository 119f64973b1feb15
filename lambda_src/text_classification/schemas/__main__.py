"""Write the JSON schemas beside this file."""

from text_classification.schemas import MODELS, schema

for path, model in MODELS.items():
    path.write_text(schema(model), encoding="utf-8")
