"""A model that needs no training: it counts keywords. SageMaker's scikit-learn container calls these functions."""

import json
from pathlib import Path

Keywords = dict[str, list[str]]


def model_fn(model_dir: str) -> Keywords:
    """Load what lies at the archive's root."""
    keywords: Keywords = json.loads((Path(model_dir) / "keywords.json").read_text())
    return keywords


def input_fn(body: str | bytes, content_type: str) -> list[str]:  # noqa: ARG001 - it takes JSON alone
    """Return the texts of ``{"texts": […]}``."""
    texts: list[str] = json.loads(body)["texts"]
    return texts


def predict_fn(texts: list[str], keywords: Keywords) -> list[dict[str, float]]:
    """Return each text's score for each label; a text's scores sum to 1."""
    return [_scores(text.lower().split(), keywords) for text in texts]


def output_fn(predictions: list[dict[str, float]], accept: str) -> str:  # noqa: ARG001 - it answers in JSON
    """Return the labels with the highest scores."""
    return json.dumps({"results": [{"label": _best(scores), "scores": scores} for scores in predictions]})


def _scores(words: list[str], keywords: Keywords) -> dict[str, float]:
    counts = {label: 1 + sum(word in known for word in words) for label, known in keywords.items()}
    return {label: count / sum(counts.values()) for label, count in counts.items()}


def _best(scores: dict[str, float]) -> str:
    return max(scores, key=lambda label: scores[label])
