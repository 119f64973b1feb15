"""Corrected labels: they become training data of the next training.

The texts of a request that was answered at once are kept for it, and those of a job are kept anyway.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError
from textprep import normalize

from text_classification.gateways.datasets import Datasets
from text_classification.gateways.job_objects import JobObjects
from text_classification.gateways.job_table import JobTable
from text_classification.logic.classification import languages_of
from text_classification.logic.dataset_pieces import FEEDBACK_PREFIX
from text_classification.logic.dataset_rows import MAX_LABEL_CHARACTERS
from text_classification.logic.errors import NotFoundError
from text_classification.logic.jobs import request_of
from text_classification.logic.requests import InvalidRequestError, validated

REQUESTS_PREFIX = "results/requests/"

_REQUEST_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_JOB_ID = re.compile(r"[0-9a-f]{32}")


def _not_blank(label: str) -> str:
    if not label.strip() or "\0" in label:
        raise PydanticCustomError("blank", "must have a character that is not white space, and none that is U+0000")
    return label.strip()


class FeedbackRequest(BaseModel):
    """The body of ``POST /v1/feedback``."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    request_id: Annotated[str, Field(max_length=64, description="Of a classification, or the id of a job.")]
    index: Annotated[int, Field(ge=0, description="Which of the texts of that request, counted from 0.")]
    label: Annotated[
        str, Field(max_length=MAX_LABEL_CHARACTERS, description="The right label."), AfterValidator(_not_blank)
    ]


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownText:
    """A text that has been classified, and its language."""

    text: str
    language: str


@dataclass(frozen=True, kw_only=True, slots=True)
class JobTexts:
    """The texts of jobs.

    Args:
        table: The jobs.
        objects: Their requests, where they are large.
    """

    table: JobTable
    objects: JobObjects

    def of(self, job_id: str) -> list[KnownText]:
        """Return the texts of a job; none, if there is no such job. Raises GatewayError."""
        job = self.table.read([job_id]).get(job_id) if _JOB_ID.fullmatch(job_id) else None
        if job is None:
            return []
        request = request_of(job, self.objects)
        return [
            KnownText(text=text, language=language)
            for text, language in zip(request.texts, languages_of(request), strict=True)
        ]


def parse_feedback(body: bytes) -> FeedbackRequest:
    """Return the request in a JSON body, in UTF-8.

    Raises:
        InvalidRequestError: The body is not JSON (saying where) or breaks rules (naming all).
    """
    return validated(lambda: FeedbackRequest.model_validate_json(body), FeedbackRequest)


def remember(request_id: str, texts: Sequence[KnownText], datasets: Datasets) -> None:
    """Keep the texts of a request that was answered. Raises GatewayError."""
    document = {"texts": [{"text": known.text, "language": known.language} for known in texts]}
    datasets.write(_request_key(request_id), json.dumps(document, ensure_ascii=False).encode())


def correct(request: FeedbackRequest, *, datasets: Datasets, jobs: JobTexts | None) -> str:
    """Keep a corrected label for the next training, and return its key; it takes the place of one for the same text.

    Args:
        request: Which text, and its label.
        datasets: Where the texts of requests are, and corrected labels.
        jobs: Where the texts of jobs are. None: there are no jobs.

    Raises:
        NotFoundError: There is no such request and no such job, or no longer.
        InvalidRequestError: It has no text of that index.
        GatewayError: It is not kept.
    """
    texts = _texts(request.request_id, datasets, jobs)
    if not texts:
        raise NotFoundError(f"there is no request and no job {request.request_id!r}, or no longer")
    if request.index >= len(texts):
        raise InvalidRequestError(
            [f"index is {request.index}: must be from 0 to {len(texts) - 1}, for the request has {len(texts)} texts"],
            kinds=["index"],
        )
    known = texts[request.index]
    row = {"text": known.text, "label": request.label, "language": known.language, "source": "feedback"}
    # By its text as data sets compare it: a later label takes the place of an earlier one, whichever request it was in.
    key = f"{FEEDBACK_PREFIX}{hashlib.sha256(normalize(known.text).encode()).hexdigest()}.jsonl"
    datasets.write(key, f"{json.dumps(row, ensure_ascii=False)}\n".encode())
    return key


def _texts(request_id: str, datasets: Datasets, jobs: JobTexts | None) -> list[KnownText]:
    if not _REQUEST_ID.fullmatch(request_id):
        return []
    if jobs and (found := jobs.of(request_id)):
        return found
    content = datasets.content(_request_key(request_id))
    document: dict[str, Any] = json.loads(content) if content else {"texts": []}
    return [KnownText(text=each["text"], language=each["language"]) for each in document["texts"]]


def _request_key(request_id: str) -> str:
    return f"{REQUESTS_PREFIX}{request_id}.json"
