"""What every model's ``inference.py`` does alike: SageMaker's input_fn and output_fn, and errors with a status.

Runs in SageMaker's containers, behind the sagemaker-inference toolkit, and without either. The payloads are
described in :mod:`payloads`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from http import HTTPStatus

from payloads import JSON, READERS, WRITERS, PayloadError, Prediction, Result

try:
    from sagemaker_inference.errors import BaseInferenceToolkitError
except ImportError:  # without SageMaker

    class BaseInferenceToolkitError(Exception):  # type: ignore[no-redef]
        """Stand-in with the attributes that the toolkit makes an HTTP answer of."""

        def __init__(self, status_code: int, message: str, phrase: str) -> None:
            self.status_code, self.message, self.phrase = status_code, message, phrase
            super().__init__(status_code, message, phrase)


class RequestError(BaseInferenceToolkitError):  # type: ignore[misc]
    """A request that cannot be answered, with the 4xx status that says why."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(status.value, message, status.phrase)


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


def result(labels: Sequence[str], probabilities: Sequence[float]) -> Result:
    """Return what the model says of one text.

    >>> result(["bad", "good"], [0.25, 0.75])
    {'label': 'good', 'score': 0.75, 'scores': {'bad': 0.25, 'good': 0.75}}
    """
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
