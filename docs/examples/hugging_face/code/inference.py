"""Answer as the project's endpoints do. SageMaker's Hugging Face container calls these functions.

Without this file the container answers in its own way: ``{"inputs": […]}`` → ``[{"label": "…", "score": 0.9}]``.
"""

from __future__ import annotations

import json
from typing import TypedDict

from transformers import Pipeline, pipeline


class Result(TypedDict):
    """What the model says of one text."""

    label: str
    score: float
    scores: dict[str, float]


class Answer(TypedDict):
    """What the endpoint answers."""

    model_version: str
    results: list[Result]


def model_fn(model_dir: str) -> Pipeline:
    """Load what lies at the archive's root: weights, configuration and tokenizer."""
    return pipeline("text-classification", model=model_dir, tokenizer=model_dir, top_k=None)


def input_fn(body: str | bytes, content_type: str) -> list[str]:  # noqa: ARG001 - it takes JSON alone
    """Return the texts of ``{"texts": […]}``."""
    texts: list[str] = json.loads(body)["texts"]
    return texts


def predict_fn(texts: list[str], classifier: Pipeline) -> Answer:
    """Return each text's probability of each label."""
    rows = [{each["label"]: each["score"] for each in row} for row in classifier(texts, truncation=True)]
    return {"model_version": classifier.model.config.model_version, "results": [_result(row) for row in rows]}


def output_fn(answer: Answer, accept: str) -> str:  # noqa: ARG001 - it answers in JSON
    """Return the answer's body; the container takes its media type from the request."""
    return json.dumps(answer, ensure_ascii=False)


def _result(scores: dict[str, float]) -> Result:
    best = max(scores, key=lambda label: scores[label])
    return {"label": best, "score": scores[best], "scores": scores}
