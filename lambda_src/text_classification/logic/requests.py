"""What a caller may send. API Gateway checks the JSON schema made from it; the handler checks all of it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

MAX_TEXTS = 100
MAX_CHARACTERS = 10_000
"""The most characters (Unicode code points) of one text."""

Text = Annotated[str, Field(min_length=1, max_length=MAX_CHARACTERS)]


class ClassificationRequest(BaseModel):
    """The body of ``POST /v1/classifications``."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    texts: Annotated[list[Text], Field(min_length=1, max_length=MAX_TEXTS, description="Texts to classify.")]
    language: Annotated[
        Literal["auto", "en", "zh"],
        Field(description="The language of the texts; auto decides for each text by its script."),
    ] = "auto"
    annotations: Annotated[bool, Field(description="Whether to return the tokens of each text.")] = False
