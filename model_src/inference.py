"""Serve a trained model: SageMaker's model_fn, input_fn, predict_fn and output_fn, for batches of texts.

Goes into the model archive as ``code/inference.py``. Runs in SageMaker's scikit-learn container, behind the
sagemaker-inference toolkit, and without either. The payloads are described in :mod:`payloads`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import joblib
from payloads import JSON, READERS, WRITERS, PayloadError, Prediction, Result
from sklearn.pipeline import Pipeline

try:
    from sagemaker_inference.errors import BaseInferenceToolkitError
except ImportError:  # without SageMaker

    class BaseInferenceToolkitError(Exception):  # type: ignore[no-redef]
        """Stand-in with the attributes that the toolkit makes an HTTP answer of."""

        def __init__(self, status_code: int, message: str, phrase: str) -> None:
            self.status_code, self.message, self.phrase = status_code, message, phrase
            super().__init__(status_code, message, phrase)


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """A loaded model.

    Args:
        version: Names the model in every answer.
        pipeline: From raw texts to probabilities.
    """

    version: str
    pipeline: Pipeline


class RequestError(BaseInferenceToolkitError):  # type: ignore[misc]
    """A request that cannot be answered, with the 4xx status that says why."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(status.value, message, status.phrase)


def model_fn(model_dir: str) -> Model:
    """Load ``model.joblib`` and ``metadata.json`` from ``model_dir``."""
    directory = Path(model_dir)
    metadata = json.loads((directory / "metadata.json").read_text(encoding="utf-8"))
    return Model(version=metadata["model_version"], pipeline=joblib.load(directory / "model.joblib"))


def input_fn(body: str | bytes, content_type: str | None) -> list[str] | RequestError:
    """Return the texts of a request.

    Args:
        body: UTF-8, decoded or not.
        content_type: Its media type; parameters are ignored. ``None`` means JSON.

    Raises:
        RequestError: The type is not supported (415), or the body is not of that type (400).
    """
    read = READERS.get(_essence(content_type or JSON))
    if read is None:
        return _refuse(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"content type is {content_type}: must be one of {_list(READERS)}"
        )
    try:
        text = body.decode("utf-8") if isinstance(body, bytes) else body
        return read(text.removeprefix("\ufeff"))
    except (PayloadError, UnicodeDecodeError) as error:
        return _refuse(HTTPStatus.BAD_REQUEST, str(error))


def predict_fn(texts: Sequence[str] | RequestError, model: Model) -> Prediction | RequestError:
    """Classify ``texts``, as they were sent, in one call. No texts give no results."""
    if isinstance(texts, RequestError):
        return texts
    labels = [str(label) for label in model.pipeline.classes_]
    rows = _probabilities(texts, model) if texts else []
    return {"model_version": model.version, "results": [_result(labels, row) for row in rows]}


def output_fn(prediction: Prediction | RequestError, accept: str | None) -> tuple[str, str] | object:
    """Return the answer's body and its media type.

    Args:
        prediction: What :func:`predict_fn` returned.
        accept: The media types that the caller understands; the first supported one is used.
            ``None`` and wildcards mean JSON.

    Raises:
        RequestError: None of the types is supported (406).
    """
    if isinstance(prediction, RequestError):
        return _flask_response(prediction)
    for choice in (accept or JSON).split(","):
        media_type = JSON if _essence(choice) in ("*/*", "application/*") else _essence(choice)
        if media_type in WRITERS:
            return WRITERS[media_type](prediction), media_type
    return _flask_response(_refuse(HTTPStatus.NOT_ACCEPTABLE, f"accept is {accept}: must name one of {_list(WRITERS)}"))


def _probabilities(texts: Sequence[str], model: Model) -> list[list[float]]:
    computed = model.pipeline.predict_proba(texts).astype(float)  # in single precision: the sum is 1 ± 1e-7
    rows: list[list[float]] = (computed / computed.sum(axis=1, keepdims=True)).tolist()
    return rows


def _result(labels: Sequence[str], probabilities: Sequence[float]) -> Result:
    scores = dict(zip(labels, probabilities, strict=True))
    label = max(scores, key=scores.__getitem__)
    return {"label": label, "score": scores[label], "scores": scores}


def _refuse(status: HTTPStatus, message: str) -> RequestError:
    """Raise a RequestError; return it where raising it would become a 500.

    SageMaker's scikit-learn container wraps whatever these functions raise in an error of its own and answers
    500, but passes a Flask response that output_fn returns on as it is. So there the error takes that way.
    """
    error = RequestError(status, message)
    flask = sys.modules.get("flask")
    if flask is None or not flask.has_request_context():
        raise error
    return error


def _flask_response(error: RequestError) -> object:
    return sys.modules["flask"].Response(error.message, error.status_code, mimetype="text/plain")


def _essence(media_type: str) -> str:
    return media_type.partition(";")[0].strip().lower()


def _list(media_types: Iterable[str]) -> str:
    return ", ".join(media_types)
